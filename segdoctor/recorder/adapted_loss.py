"""A loss that is fed labels, output and weights in another form than it is asked in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.loss_answers import loss_name
from segdoctor.recorder.surgery import keras_of

Adapt = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


def adapted_loss(loss: Any, model: Any, adapt: Adapt) -> Any:
    """A Keras loss ``(y_true, y_pred, sample_weight)`` that hands ``adapt`` of the three on."""
    keras, inner = keras_of(model), LossAsInFit(loss, model)

    class Adapted(keras.losses.Loss):  # type: ignore[name-defined, misc]
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return inner.compute(*adapt(y_true, y_pred, sample_weight))

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self(y_true, y_pred)

    made = Adapted(name=loss_name(loss))
    made.__name__ = loss_name(loss)
    return made
