"""A model that trains itself: a ``train_step`` or ``compute_loss`` of its own brings the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.run import Batch
from segdoctor.examination.feeding import is_folder
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of
from segdoctor.sources.batches import opened, take_batches


def asked_itself(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with the loss that the model's own method computes, or with why it cannot be
    asked; as it was for other models, for files, and where the user names a loss."""
    model = request.model
    if request.loss is not None or request.why_no_loss or not hasattr(model, "train_step"):
        return request, ()
    own = [name for name in ("train_step", "compute_loss") if _is_own(model, name)]
    if not own:
        return request, ()
    if request.data is None or is_folder(request.data):
        return _not_asked(request, own[0], "it is asked with batches of the run's own (data=)")
    several, request = _several_labels(request)
    if several:
        return _not_asked(request, own[0], "the labels are of several outputs")
    batch, request = peeked(request)
    if "train_step" in own:
        return _by_a_step(request, batch)
    return _by_compute_loss(request, batch)


def _is_own(model: Any, name: str) -> bool:
    """Whether a method of the model is not Keras' own."""
    owner = next((kind for kind in type(model).__mro__ if name in vars(kind)), object)
    return owner.__module__.partition(".")[0] not in ("keras", "tf_keras", "builtins")


def peeked(request: Request) -> tuple[Batch, Request]:
    """The first batch; a generator gives it again."""
    data = request.data
    size = request.batch_size
    if not hasattr(data, "__next__"):
        return take_batches(data, 1, batch_size=size).batches[0], request
    _, source, _ = opened(data)
    first = list(islice(source, 1))
    batch = take_batches(iter(first), 1).batches[0]
    return batch, replace(request, data=chain(first, source))


def _several_labels(request: Request) -> tuple[bool, Request]:
    """Whether a batch holds labels of more than one output; a generator gives it again."""
    data = request.data
    if isinstance(data, list | tuple):
        first: Any = data
    else:
        _, source, _ = opened(data)
        first = next(source, None)
        if hasattr(data, "__next__") and first is not None:
            request = replace(request, data=chain([first], source))
    labels = first[1] if isinstance(first, list | tuple) and len(first) > 1 else None
    return isinstance(labels, Mapping | list | tuple) and len(labels) > 1, request


def _not_asked(request: Request, method: str, why: str) -> tuple[Request, tuple[str, ...]]:
    """Without a loss of ``compile`` there is none; else that one is asked, and the report says
    that the method may do otherwise."""
    said = f"the model's own {method} was not examined: {why}"
    if compiled_loss(request.model) is not None:
        return request, (f"{said}; the loss of compile is",)
    return replace(request, why_no_loss=said), (said,)


def _by_a_step(request: Request, batch: Batch) -> tuple[Request, tuple[str, ...]]:
    from segdoctor.recorder.snapshot import preserved
    from segdoctor.sources.script.own_step import NO_GRADIENT, moves_nothing, own_step

    model = request.model
    with preserved(model, optimizer_of(model)):
        before = [variable.numpy() for variable in model.trainable_variables]
        step = own_step(model, batch)
        still = all(map(np.array_equal, before, (v.numpy() for v in model.trainable_variables)))
    if step == NO_GRADIENT and still and request.optimizer is None and moves_nothing(model):
        return _standing_still(request)
    if isinstance(step, str):
        return _not_asked(request, "train_step", step)
    if step.loss is compiled_loss(model):
        return request, ()
    told: dict[str, Any] = {"loss": step.loss, "said_by": "train_step"}
    if request.optimizer is None:
        told["optimizer"] = optimizer_of(model)
    if step.data is not None and not np.array_equal(np.asarray(step.data[1]), batch.y):
        told["data"] = step.data
    return replace(request, **told), (
        "the loss is the one that the model's own train_step differentiates; it is asked by itself",
    )


def _standing_still(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The run of a step that moves no weight, as an optimizer would make it."""
    from segdoctor.recorder.surgery import keras_of

    told = {"optimizer": keras_of(request.model).optimizers.SGD(0.0)}
    script = {**request.script, "steps_nothing": True}
    return replace(request, **told, script=script, said_by="train_step"), (
        "the model's own train_step applies no gradient: the run as it is steps by nothing, with "
        "the loss of compile",
    )


def _by_compute_loss(request: Request, batch: Batch) -> tuple[Request, tuple[str, ...]]:
    import tensorflow as tf

    from segdoctor.recorder.snapshot import preserved

    model = request.model
    loss = _as_loss(model)
    with preserved(model, optimizer_of(model)):
        try:
            x, y = tf.convert_to_tensor(batch.x), tf.convert_to_tensor(batch.y)
            y_pred = model(x, training=False)
            given = model.compute_loss(x=x, y=y, y_pred=y_pred)
        except Exception as error:  # noqa: BLE001 - the boundary: a method of the user's own
            return _not_asked(request, "compute_loss", f"it fails: {error_line(error)}")
        try:
            alone = loss(y, y_pred)
        except Exception:  # noqa: BLE001 - the same, without the images
            return _not_asked(request, "compute_loss", "it looks at the images")
    if not np.allclose(_total(given), _total(alone), rtol=1e-3, equal_nan=True):
        return _not_asked(request, "compute_loss", "it looks at more than labels and outputs")
    told: dict[str, Any] = {"loss": loss, "said_by": "compute_loss"}
    if request.optimizer is None:
        told["optimizer"] = optimizer_of(model)
    return replace(request, **told), (
        "the loss is the model's own compute_loss; it is asked by itself",
    )


def _as_loss(model: Any) -> Callable[[Any, Any], Any]:
    def compute_loss(y_true: Any, y_pred: Any) -> Any:
        return model.compute_loss(x=None, y=y_true, y_pred=y_pred)

    return compute_loss


def _total(value: Any) -> float:
    return float(np.sum(np.asarray(value)))
