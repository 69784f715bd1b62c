"""The loss that a functional model of tf_keras adds itself, cut off at the scores.

There a loss may be a tensor of the graph (``model.add_loss(tensor)``), made of operations that are
layers each. What leads from the label and the scores to it becomes a model of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Cut(NamedTuple):
    """Which input is the image, the scores, and the loss ``(y_true, y_pred)``."""

    image: int
    scores: Any
    loss: Callable[[Any, Any], Any]


def cut_off(model: Any) -> Cut | None:
    """None where the label meets more than one tensor of the image's, or no loss is added."""
    behind, learnt = _origins(model)
    for image in (0, 1):
        scores: dict[int, Any] = {}
        mixed: list[Any] = []
        for taken, given in _calls(model):
            origins = [behind.get(id(t), frozenset()) for t in taken]
            if not any(1 - image in origin for origin in origins):
                continue
            own = [
                t for t in taken if behind.get(id(t)) == frozenset({image}) and learnt.get(id(t))
            ]
            scores |= {id(t): t for t in own}
            mixed += [t for t in given if len(behind.get(id(t), ())) == 2]
        if len(scores) == 1 and mixed:
            (tensor,) = scores.values()
            return Cut(image, tensor, _as_loss(model, model.inputs[1 - image], tensor, mixed))
    return None


def _calls(model: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """``(tensors taken, tensors given)`` of each call of a layer."""
    for layer in model.layers:
        for node in layer._inbound_nodes:
            yield list(node.keras_inputs), _listed(node.output_tensors)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _origins(model: Any) -> tuple[dict[int, frozenset[int]], dict[int, bool]]:
    """Of each tensor the inputs that it is made of, and whether weights have a part in it."""
    behind = {id(t): frozenset({i}) for i, t in enumerate(model.inputs)}
    learnt: dict[int, bool] = {}
    for _ in model.layers:  # in whatever order they stand
        before = len(behind)
        for layer in model.layers:
            for node in layer._inbound_nodes:
                taken = list(node.keras_inputs)
                if not taken or not all(id(t) in behind for t in taken):
                    continue
                weights = bool(layer.trainable_weights)
                origin = frozenset().union(*(behind[id(t)] for t in taken))
                for tensor in _listed(node.output_tensors):
                    behind.setdefault(id(tensor), origin)
                    learnt[id(tensor)] = weights or any(learnt.get(id(t)) for t in taken)
        if len(behind) == before:
            break
    return behind, learnt


def _as_loss(model: Any, label: Any, scores: Any, mixed: list[Any]) -> Callable[[Any, Any], Any]:
    from segdoctor.recorder.surgery import keras_of

    tail = keras_of(model).Model([label, scores], mixed)

    def added_loss(y_true: Any, y_pred: Any) -> Any:
        import tensorflow as tf

        tail([tf.cast(y_true, label.dtype), y_pred])
        return tf.add_n([tf.reduce_sum(tf.cast(loss, y_pred.dtype)) for loss in tail.losses])

    return added_loss
