"""A model that takes the labels as an input and makes its loss itself, with ``add_loss``.

It is taken apart at the layer that adds the loss: the part that leads from the image to what that
layer compares is the model, the layer itself is asked as a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.examination.added_in_call import call_taken_apart
from segdoctor.examination.added_legacy import cut_off
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of


@dataclass(frozen=True, slots=True)
class _Parts:
    """The layer that adds the loss, its call, the two tensors it compares, and which of the
    model's two inputs is the image."""

    layer: Any
    node: Any
    label: Any
    scores: Any
    image: int


def taken_apart(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with model, loss and data as of a model that is compiled with its loss; as it
    was, where the model is no such one."""
    model = request.model
    inputs = getattr(model, "inputs", None)
    compiled = request.loss is not None or compiled_loss(model) is not None
    if not compiled and not isinstance(inputs, list | tuple) and _labels_inside(request.data):
        return call_taken_apart(request)
    if compiled or not isinstance(inputs, list | tuple) or len(inputs) != 2:
        return request, ()
    parts = next(_endpoints(model), None)
    if parts is not None:
        name = f"layer {clean(parts.layer.name, 60)!r} adds"
        place, scores, loss = parts.image, parts.scores, _as_loss(parts)
    else:
        cut = cut_off(model) if hasattr(model, "_network_nodes") else None
        if cut is None:
            return request, ()
        name, (place, scores, loss) = "the model adds", cut
    from segdoctor.recorder.surgery import keras_of

    image, label = inputs[place], inputs[1 - place]
    keys = ((place, image.name), (1 - place, label.name))
    optimizer = request.optimizer if request.optimizer is not None else optimizer_of(model)
    view = replace(
        request,
        model=keras_of(model).Model(image, scores, name=model.name),
        loss=loss,
        optimizer=optimizer,
        data=_paired(request.data, keys),
    )
    return view, (f"the loss is the one that {name} (add_loss); it is asked by itself",)


def _labels_inside(data: Any) -> bool:
    """Whether arrays are of a model's inputs alone, the labels among them: ``([x, y],)``."""
    alone = isinstance(data, list | tuple) and len(data) == 1
    return alone and isinstance(data[0], list | tuple | Mapping) and len(data[0]) == 2


def _endpoints(model: Any) -> Iterator[_Parts]:
    """Layers that add a loss and compare something of the image's with the other input alone."""
    behind: dict[int, set[int]] = {id(t): {i} for i, t in enumerate(model.inputs)}
    learnt: dict[int, bool] = {id(t): False for t in model.inputs}
    for operation in getattr(model, "operations", ()):
        for node in getattr(operation, "_inbound_nodes", ()):
            taken = list(node.input_tensors)
            if not taken or not all(id(t) in behind for t in taken):
                continue
            has_weights = bool(getattr(operation, "trainable_weights", ()))
            for tensor in node.output_tensors:
                behind[id(tensor)] = set().union(*(behind[id(t)] for t in taken))
                learnt[id(tensor)] = has_weights or any(learnt[id(t)] for t in taken)
            if len(taken) < 2 or not hasattr(operation, "add_loss"):
                continue
            scores = [t for t in taken if learnt[id(t)] and len(behind[id(t)]) == 1]
            labels = [t for t in taken if not learnt[id(t)] and len(behind[id(t)]) == 1]
            if len(scores) != 1 or len(labels) != 1:
                continue
            (image,) = behind[id(scores[0])]
            if behind[id(labels[0])] != {image} and labels[0] is model.inputs[1 - image]:
                yield _Parts(operation, node, labels[0], scores[0], image)


def _as_loss(parts: _Parts) -> Callable[[Any, Any], Any]:
    layer, node = parts.layer, parts.node

    def added_loss(y_true: Any, y_pred: Any) -> Any:
        import tensorflow as tf

        layer._clear_losses()
        given = {id(parts.label): y_true, id(parts.scores): y_pred}
        args, kwargs = node.arguments.fill_in(given)
        try:
            layer(*args, **kwargs)
            added = list(layer.losses)
        finally:
            layer._clear_losses()
        return tf.add_n([tf.reduce_sum(tf.cast(loss, y_pred.dtype)) for loss in added])

    added_loss.__name__ = f"add_loss of {layer.name}"
    return added_loss


def _paired(data: Any, keys: tuple[tuple[int, str], ...]) -> Any:
    """The data as (image, label)."""

    def item_of(item: Any) -> Any:
        inputs = item
        if isinstance(item, list | tuple) and item and isinstance(item[0], list | tuple | Mapping):
            inputs = item[0]
        if isinstance(inputs, Mapping):
            return tuple(inputs[name] for _, name in keys)
        return tuple(inputs[place] for place, _ in keys)

    if data is None or isinstance(data, list | tuple | Mapping):
        return None if data is None else item_of(data)
    if hasattr(data, "element_spec"):
        return data.map(lambda *item: item_of(item if len(item) > 1 else item[0]))
    if callable(data) and not hasattr(data, "__getitem__"):
        return lambda: (item_of(item) for item in data())
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return lambda: (item_of(data[i]) for i in range(len(data)))
    return (item_of(item) for item in data)
