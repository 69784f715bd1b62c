"""One output of a subclassed model as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdoctor.recorder.surgery import keras_of


def outputs_of(model: Any, x: Any) -> dict[str, Any]:
    """Name → array that a model gives for the examples ``x``; ``{}`` where it gives one array, or
    does not run. A list's outputs are named by their places."""
    import tensorflow as tf

    try:
        given = model(tf.convert_to_tensor(x), training=False)
    except Exception:  # noqa: BLE001 - the boundary: that the model does not run is said later
        return {}
    if isinstance(given, Mapping):
        return {str(name): given[name] for name in sorted(given)}
    if isinstance(given, list | tuple):
        return {str(place): output for place, output in enumerate(given)}
    return {}


def one_output(model: Any, key: str, x: Any) -> Any:
    """A built model that gives ``model(x)[key]``, with the layers and weights of ``model``."""
    keras = keras_of(model)

    class OneOutput(keras.Model):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__(name=f"{model.name}_{key}")
            self.net = model

        def call(self, inputs: Any, training: Any = None) -> Any:
            given = self.net(inputs, training=training)
            return given[key] if isinstance(given, Mapping) else given[int(key)]

    import tensorflow as tf

    made = OneOutput()
    made(tf.convert_to_tensor(x), training=False)
    return made
