"""A step of a trial up to its gradient: the net, what it minimises, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from segdoctor.recorder.loss import LossAsInFit, is_of_keras, single
from segdoctor.recorder.modes import first_output
from segdoctor.trial.step_loss import StepLoss
from segdoctor.trial.traced import TracedNet

# Output, loss, and what gives the gradient of each trained variable.
Gone = tuple[Any, Any, Callable[[], list[Any]]]


class GradientStep:
    """``(x, y, sample_weight) -> Gone`` in training mode.

    The net's trace, the loss and the gradient stay apart, so that runs with another loss need no
    new trace of the net. Where its frozen part is computed once, the rest is small: all three come
    into one trace, which is made sooner, and each step is a third quicker.

    Parameters
    ----------
    net : keeps the traces for the runs that follow.
    loss : as given to ``compile``.
    model : decides by which Keras the loss is read.
    """

    def __init__(self, net: TracedNet, loss: Any, model: Any) -> None:
        self._net, self._loss = net, StepLoss(loss, model)
        self._variables = net.forward.trainable_variables()
        self._one: Any = None
        # A loss of another's may hang or fail: it is asked outside of the net's trace.
        if net.frozen_part and not net.forward.eager and is_of_keras(single(loss)):
            # The loss is kept beside its trace: an id is good only while the loss lives.
            made = net.whole_steps.setdefault(id(loss), (loss, self._in_one(loss, model)))
            self._one = made[1]

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Gone:
        import tensorflow as tf

        if self._one is not None:
            try:
                output, value, gradients = self._one(self._net.features(x), y, sample_weight)
                return output, value, lambda: gradients
            except (tf.errors.ResourceExhaustedError, SystemError):  # the latter: of a Ctrl-C
                raise
            except Exception:  # noqa: BLE001 - what cannot be traced so is run part by part
                self._one = None
        with tf.GradientTape() as tape:
            outputs = self._net(x)
            value = self._loss(y, outputs, sample_weight, self._net.forward.reach)
        output = first_output(outputs.y_pred)
        return output, value, lambda: tape.gradient(value, self._variables)

    def _in_one(self, loss: Any, model: Any) -> Any:
        import tensorflow as tf

        as_in_fit, forward, variables = LossAsInFit(loss, model), self._net.forward, self._variables

        def step(fed: Any, y: Any, sample_weight: Any) -> Any:
            with tf.GradientTape() as tape:
                y_pred, _, regularisation = forward.parts(fed)
                value = as_in_fit.compute(y, y_pred, sample_weight)
                value += tf.cast(regularisation, value.dtype)
            return first_output(y_pred), value, tape.gradient(value, variables)

        return tf.function(step, autograph=False)
