"""Where a frozen part is computed once, one trace gives what the parts apart give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")
import keras
import tensorflow as tf

from segdoctor.core.run import Run
from segdoctor.trial.gradient_step import GradientStep
from segdoctor.trial.traced import TracedNet
from tests.recorder import nets

X, Y = nets.batch(examples=2)
WEIGHT = np.linspace(0, 1, Y.size, dtype=np.float32).reshape(Y.shape)


def frozen(head: str = "logits") -> Any:
    keras.utils.set_random_seed(3)
    model = nets.functional(keras, head)
    for layer in model.layers:
        layer.trainable = layer.name.startswith(("c_", "head"))
    model.get_layer("c_conv").kernel.regularizer = keras.regularizers.L2(0.01)
    return model


def crossentropy(head: str) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=head == "logits")


@pytest.mark.parametrize("head", ["softmax", "logits", "bare softmax"])
def test_one_trace_gives_what_the_parts_give(head: str) -> None:
    model, loss = frozen(head), crossentropy(head)

    def of_ones_own(y_true: Any, y_pred: Any) -> Any:
        return loss(y_true, y_pred)

    found = []
    for one in (loss, of_ones_own):
        net = TracedNet(Run(model))
        step = GradientStep(net, one, model)
        assert bool(net.whole_steps) == (one is loss)
        if one is of_ones_own:
            step = GradientStep(net, loss, model)
            step._one = None
        for _ in range(2):
            output, value, gradients = step(X, Y, WEIGHT)
        found.append((output, value, gradients()))
    (a, one, ours), (b, other, theirs) = found
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert float(one) == pytest.approx(float(other), rel=1e-6)
    assert len(ours) == len(model.trainable_variables)
    for g, h in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-4, atol=1e-6)


def test_a_trace_is_used_again_by_runs_with_the_same_loss_alone() -> None:
    model, loss = frozen(), crossentropy("logits")
    net = TracedNet(Run(model))
    first, again = (GradientStep(net, loss, model) for _ in range(2))
    other = GradientStep(net, crossentropy("logits"), model)
    assert first._one is again._one is not other._one


def test_what_cannot_be_traced_in_one_is_run_in_parts() -> None:
    model, loss = frozen(), crossentropy("logits")
    net = TracedNet(Run(model))
    whole = float(GradientStep(net, loss, model)(X, Y, None)[1])
    step = GradientStep(net, loss, model)

    def fails(*given: Any) -> Any:
        raise ValueError("not in a graph")

    step._one = fails
    assert float(step(X, Y, None)[1]) == pytest.approx(whole, rel=1e-5)
    assert step._one is None


def test_a_lack_of_memory_and_a_lost_ctrl_c_are_not_tried_again() -> None:
    model, loss = frozen(), crossentropy("logits")
    step = GradientStep(TracedNet(Run(model)), loss, model)
    for error in (tf.errors.ResourceExhaustedError(None, None, "OOM"), SystemError("returned")):

        def fails(*given: Any, error: Exception = error) -> Any:
            raise error

        step._one = fails
        with pytest.raises(type(error)):
            step(X, Y, None)
