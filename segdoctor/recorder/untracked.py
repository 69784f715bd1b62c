"""Variables that the forward pass uses and that the model does not know."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from segdoctor.core.network_facts import Untracked
from segdoctor.recorder.layers import tf_variable, walk
from segdoctor.recorder.recalibrate import replaced_call
from segdoctor.recorder.snapshot import preserved


def untracked_variables(model: Any, x: Any) -> tuple[Untracked, ...]:
    """Trainable variables that are used on one example and that ``model.weights`` lacks.

    Only where the model has layers that are not Keras' own, or Lambdas; a gradient tape around
    each of them watches what it reads.
    """
    import tensorflow as tf

    doubtful = [(path, layer) for path, layer in walk(model) if _own_code(layer)]
    if _own_code(model):
        doubtful.append((str(model.name), model))
    if not doubtful:
        return ()
    found: dict[int, Untracked] = {}
    known = {id(tf_variable(variable)) for variable in model.variables}

    def watching(path: str) -> Any:
        def call(original: Any, *args: Any, **kwargs: Any) -> Any:
            with tf.GradientTape() as tape:
                y = original(*args, **kwargs)
            for variable in tape.watched_variables():
                if id(variable) not in known and id(variable) not in found:
                    found[id(variable)] = Untracked(path, str(variable.name), tuple(variable.shape))
            return y

        return call

    example = tf.nest.map_structure(lambda a: tf.convert_to_tensor(a)[:1], x)
    with preserved(model), ExitStack() as stack:
        for path, layer in doubtful:
            stack.enter_context(replaced_call(layer, watching(path)))
        model(example, training=False)
    return tuple(found.values())


def _own_code(layer: Any) -> bool:
    kind = type(layer)
    if kind.__name__ == "Lambda":
        return True
    return kind.__module__.partition(".")[0] not in ("keras", "tf_keras", "keras_hub", "keras_nlp")
