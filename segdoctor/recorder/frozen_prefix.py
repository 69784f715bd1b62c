"""Cuts a net in two: what is frozen and cannot change on one batch, and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdoctor.recorder.layers import is_batch_norm, walk
from segdoctor.recorder.modes import draws_noise
from segdoctor.recorder.surgery import keras_of

_FEWEST = 3  # layers with weights that make the cut worth its while


def split_at_frozen(model: Any) -> tuple[Any, Any] | None:
    """``(prefix, rest)`` sharing the layers of ``model``, so that ``rest(prefix(x))`` is the model
    in training mode; None where there is no frozen part to speak of, or the graph is not known.

    Only layers of Keras are taken for frozen: one of the user's own may do what it likes.
    """
    try:
        nodes = list(_nodes(model))
        inputs, outputs = list(model.inputs), list(model.outputs)
    except (AttributeError, ValueError):
        return None
    if len(outputs) != 1 or isinstance(model.output, dict | list) or not nodes:
        return None
    known = {id(tensor) for tensor in inputs}
    still: list[Any] = []
    for layer, before, after in nodes:
        if before and all(id(tensor) in known for tensor in before) and is_still(layer):
            known.update(id(tensor) for tensor in after)
            still.append(layer)
    if sum(bool(layer.weights) for layer in still) < _FEWEST:
        return None
    needed: dict[int, Any] = {}
    for _, before, after in nodes:
        if any(id(tensor) not in known for tensor in after):
            needed |= {id(tensor): tensor for tensor in before if id(tensor) in known}
    if id(outputs[0]) in known or not needed:
        return None
    border = list(needed.values())
    keras = keras_of(model)
    single = border[0] if len(border) == 1 else border
    prefix, rest = keras.Model(inputs, border), keras.Model(single, outputs[0])
    # Cutting must leave out nothing that trains, and keep its order.
    trained = [id(variable) for variable in model.trainable_variables]
    if sorted(trained) != sorted(id(variable) for variable in rest.trainable_variables):
        return None
    return prefix, rest


def is_still(layer: Any) -> bool:
    """Whether a layer gives the same in training mode at every step: nothing in it trains, draws
    numbers or gathers statistics, and it is one of Keras' own."""
    parts = [layer, *(inner for _, inner in walk(layer))] if hasattr(layer, "layers") else [layer]
    return all(_still(part) for part in parts)


def _still(layer: Any) -> bool:
    module = type(layer).__module__.partition(".")[0]
    if module not in ("keras", "tf_keras", "segdoctor") or layer.trainable_variables:
        return False
    if is_batch_norm(layer) and layer.trainable:
        return False
    return not draws_noise(layer) and type(layer).__name__ != "Lambda"


def _nodes(model: Any) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """``(layer, input tensors, output tensors)`` of every call in the graph, sources first."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer = getattr(node, "operation", None) or getattr(node, "layer", None)
            if hasattr(node, "input_tensors") and hasattr(node, "operation"):
                before, after = list(node.input_tensors), list(node.outputs)
            else:
                before, after = _flat(node.keras_inputs), _flat(node.outputs)
            yield layer, before, after


def _flat(value: Any) -> list[Any]:
    import tensorflow as tf

    return list(tf.nest.flatten(value))
