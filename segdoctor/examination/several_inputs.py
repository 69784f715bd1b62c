"""A model of several inputs: they are handed to it as the channels of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.examination.feeding import is_folder
from segdoctor.examination.mapped import mapped
from segdoctor.examination.outputs import compiled_metrics
from segdoctor.examination.packed import raising
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of
from segdoctor.examination.training import training_of
from segdoctor.sources.batches import opened
from segdoctor.sources.script.own_step import steps_itself


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What each input is called, what shape one example of it has and of which type it is;
    ``by_name``: the model takes them in a dict."""

    names: list[str]
    shapes: list[tuple[Any, ...]]
    types: list[str]
    by_name: bool


def as_one(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with the inputs of a live model packed into one; as it was for other models, and
    where no input is an image or the size of one is not known."""
    model = request.model
    if request.data is None or is_folder(request.data) or not hasattr(model, "train_step"):
        return request, ()
    if steps_itself(model):
        return request, ()
    inputs, request = _inputs(request)
    maps = [n for n, shape in enumerate(inputs.shapes) if len(shape) == 3] if inputs else []
    if inputs is None or not maps:
        return request, ()
    from segdoctor.recorder.one_input import one_input, pack, places_of

    names, shapes = inputs.names, inputs.shapes
    largest = max(maps, key=lambda place: _like_an_image(shapes[place]))
    order = [largest, *(place for place in range(len(names)) if place != largest)]
    size = shapes[largest][:2]
    places = places_of([shapes[n] for n in order], [inputs.types[n] for n in order], size)
    if places is None:
        return request, ()

    def item_of(item: Any) -> Any:
        if not isinstance(item, list | tuple) or not item:
            return item
        parts = _parts(item[0], names)
        return item if parts is None else (pack([parts[n] for n in order], places), *item[1:])

    keys = [names[n] if inputs.by_name else n for n in order]
    view = replace(
        request,
        model=one_input(model, places, keys, size),
        loss=request.loss if request.loss is not None else compiled_loss(model),
        optimizer=request.optimizer if request.optimizer is not None else optimizer_of(model),
        metrics=request.metrics if request.metrics is not None else compiled_metrics(model),
        training=training_of(request, model),
        data=mapped(request.data, item_of),
        validation_data=mapped(request.validation_data, item_of),
    )
    told = ", ".join(clean(names[n], 40) for n in order)
    return view, (
        f"the model has {len(names)} inputs ({told}): they are handed to it as the channels of "
        "one array, in this order; the first of them is examined as the image",
    )


def _inputs(request: Request) -> tuple[_Inputs | None, Request]:
    """Those of a functional model's graph, or those that a subclassed one is fed; None of a model
    of one. A generator gives again what was taken of it."""
    model = request.model
    tensors = getattr(model, "inputs", None)
    if not isinstance(tensors, list | tuple):
        return _as_fed(request) if getattr(model, "weights", None) else (None, request)
    if len(tensors) < 2:
        return None, request
    names, shapes = _names(model, list(tensors)), [tuple(t.shape[1:]) for t in tensors]
    if any(None in shape for shape in shapes):
        item, request = _seen(request)
        shapes = _filled(shapes, item, names)
    types = [np.dtype(getattr(t.dtype, "name", t.dtype)).name for t in tensors]
    return _Inputs(names, shapes, types, isinstance(_struct(model), Mapping)), request


def _as_fed(request: Request) -> tuple[_Inputs | None, Request]:
    item, request = _seen(request)
    x = item[0] if isinstance(item, list | tuple) and len(item) > 1 else None
    if not isinstance(x, Mapping | list | tuple) or len(x) < 2:
        return None, request
    parts = list(x.values() if isinstance(x, Mapping) else x)
    if not all(hasattr(part, "shape") and hasattr(part, "dtype") for part in parts):
        return None, request
    names = [str(name) for name in (x if isinstance(x, Mapping) else range(len(x)))]
    shapes = [tuple(part.shape)[1:] for part in parts]
    types = [np.dtype(getattr(part.dtype, "name", part.dtype)).name for part in parts]
    return _Inputs(names, shapes, types, isinstance(x, Mapping)), request


def _like_an_image(shape: tuple[int | None, ...]) -> tuple[int, bool]:
    """By which the image is told among the maps: the largest, of them one of three channels."""
    return (shape[0] or 0) * (shape[1] or 0), shape[2] == 3


def _struct(model: Any) -> Any:
    """The inputs in the form in which the model takes them: a list, or a dict."""
    return getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", None))


def _names(model: Any, inputs: list[Any]) -> list[str]:
    """What each input is called in a dict of inputs."""
    struct = _struct(model)
    if isinstance(struct, Mapping):
        by_tensor = {id(tensor): str(key) for key, tensor in struct.items()}
        if all(id(tensor) in by_tensor for tensor in inputs):
            return [by_tensor[id(tensor)] for tensor in inputs]
    return list(getattr(model, "input_names", None) or [str(t.name) for t in inputs])


def _parts(x: Any, names: list[str]) -> list[Any] | None:
    """The inputs of a batch in the model's order; None where there are not as many."""
    if isinstance(x, Mapping):
        return [x[name] for name in names] if all(name in x for name in names) else None
    if isinstance(x, list | tuple) and len(x) == len(names):
        return list(x)
    return None


def _seen(request: Request) -> tuple[Any, Request]:
    """Something with the shapes of a batch; a generator gives its first one again."""
    data = request.data
    if isinstance(data, list | tuple) or hasattr(data, "element_spec"):
        return getattr(data, "element_spec", data), request
    try:
        _, source, _ = opened(data)
        first = next(source, None)
    except Exception as error:  # noqa: BLE001 - the boundary: it is told where the data are read
        return None, raising(request, error) if hasattr(data, "__next__") else request
    if hasattr(data, "__next__") and first is not None:
        request = replace(request, data=chain([first], source))
    return first, request


def _filled(shapes: list[Any], item: Any, names: list[str]) -> list[Any]:
    """The shapes, with what the model leaves open as it is fed."""
    parts = _parts(item[0], names) if isinstance(item, list | tuple) and item else None
    if parts is None:
        return shapes
    found = []
    for shape, part in zip(shapes, parts, strict=True):
        fed = tuple(getattr(part, "shape", ()))[1:]
        fits = len(fed) == len(shape)
        found.append(tuple(a or b for a, b in zip(shape, fed, strict=True)) if fits else shape)
    return found
