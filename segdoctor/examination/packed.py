"""Labels with one more channel than the loss takes for classes: a weight map, or void. They are
taken apart, and the loss is asked with both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.examination.feeding import is_folder
from segdoctor.examination.mapped import mapped
from segdoctor.examination.own_training import peeked
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of
from segdoctor.measures.packed_labels import Core, packed_as

_WEIGHT = "the last channel of the labels is a weight for each pixel, which the loss finds there"
_VOID = "the last channel of the one-hot labels is no class of the head, and the loss takes it off"
_BOTH = "both are taken apart, and the loss is asked with both; metrics are fed both: not asked"


def unpacked(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with labels and sample weights of their own; as it was for other runs."""
    model = request.model
    loss = request.loss if request.loss is not None else compiled_loss(model)
    shape = getattr(model, "output_shape", None)
    if loss is None or isinstance(loss, str) or not isinstance(shape, tuple):
        return request, ()
    from segdoctor.recorder.loss import is_of_keras
    from segdoctor.recorder.packed_loss import understands, unpacked_loss

    if request.data is None or is_folder(request.data) or not _single(shape):
        return request, ()
    known = _label_shape(request.data)
    if is_of_keras(loss) or (known and known[-1] not in (2, shape[-1] + 1)):
        return request, ()
    try:
        batch, request = peeked(request)
    except Exception as error:  # noqa: BLE001 - the boundary: it is told where the data are read
        return (raising(request, error) if hasattr(request.data, "__next__") else request), ()
    y, channels = np.asarray(batch.y), int(shape[-1])
    fits = y.ndim == len(shape) and batch.sample_weight is None
    core = packed_as(y, channels) if fits else None
    if core is None:
        return request, ()
    made = unpacked_loss(loss, model, core)
    labels, weight = (*_parts(y, core), None)[:2]
    rows = core != "ids"
    ids = labels.argmax(axis=-1) if rows else labels.astype(np.int64)
    ids[(labels.sum(axis=-1) == 0) if rows else (ids == 255)] = -1
    if not understands(made, model, labels, weight, ids, rows, channels):
        return request, ()
    view = replace(
        request,
        loss=made,
        optimizer=request.optimizer if request.optimizer is not None else optimizer_of(model),
        metrics=[],
        data=mapped(request.data, lambda item: (item[0], *_parts(item[1], core))),
    )
    return view, (f"{_VOID if core == 'void channel' else _WEIGHT}; {_BOTH}",)


def _label_shape(data: Any) -> tuple[Any, ...]:
    """Of labels that can be seen without drawing a batch; () of others."""
    if isinstance(data, list | tuple) and len(data) > 1:
        return tuple(getattr(data[1], "shape", ()))
    spec = getattr(data, "element_spec", None)
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    return tuple(getattr(labels, "shape", None) or ())


def raising(request: Request, error: Exception) -> Request:
    """A generator that failed fails again when it is read in earnest."""

    def again() -> Iterator[Any]:
        raise error
        yield

    return replace(request, data=again())


def _single(shape: tuple[Any, ...]) -> bool:
    return len(shape) >= 3 and isinstance(shape[-1], int)


def _parts(y: Any, core: Core) -> tuple[Any, ...]:
    """``(labels, weights)`` of an array or tensor; ``(labels,)`` where there are none."""
    labels = y[..., 0] if core == "ids" else y[..., :-1]
    return (labels,) if core == "void channel" else (labels, y[..., -1])
