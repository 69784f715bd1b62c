"""What a step of a trial minimises: the run's loss and the model's regularisation."""

from __future__ import annotations

from typing import Any

from segdoctor.recorder.forward import Outputs, Reach
from segdoctor.recorder.loss import LossAsInFit, is_of_keras, single


class StepLoss:
    """``(y, outputs, sample_weight, reach) -> scalar``, with a gradient to the outputs.

    One of Keras' own is traced once: by itself each of its operations costs as much as what it
    computes on a small batch. Another's runs eagerly, where it runs so, and can be ended.
    """

    def __init__(self, loss: Any, model: Any) -> None:
        self._as_in_fit = LossAsInFit(loss, model)
        self._own = is_of_keras(single(loss))
        self._traced: dict[Reach, Any] = {}

    def __call__(self, y: Any, outputs: Outputs, sample_weight: Any, reach: Reach) -> Any:
        import tensorflow as tf

        # The way back to the logits that hangs on the output would not come into the trace.
        if not self._own or reach == "attribute":
            return self._as_in_fit.total(y, outputs, sample_weight, reach)
        if reach not in self._traced:

            def total(y: Any, outputs: Outputs, sample_weight: Any) -> Any:
                return self._as_in_fit.total(y, outputs, sample_weight, reach)

            self._traced[reach] = tf.function(total, autograph=False)
        return self._traced[reach](y, outputs, sample_weight)
