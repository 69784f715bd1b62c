"""What a trial minimises is what ``fit`` minimises, traced once or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.trial.step_loss import StepLoss
from tests.recorder import nets


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.mark.parametrize("head", ["softmax", "softmax, resize", "logits", "bare softmax"])
@pytest.mark.parametrize("whose", ["keras", "home-made"])
def test_value_and_gradient_are_those_of_the_loss_as_fit_runs_it(
    keras: Any, head: str, whose: str
) -> None:
    import tensorflow as tf

    keras.utils.set_random_seed(3)
    model = nets.functional(keras, head)
    model.get_layer("a_conv").kernel.regularizer = keras.regularizers.L2(0.01)
    x, y = nets.batch()
    weight = np.linspace(0, 1, y.size, dtype=np.float32).reshape(y.shape)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=head == "logits")
    if whose == "home-made":
        stock = loss

        def loss(y_true: Any, y_pred: Any) -> Any:
            return stock(y_true, y_pred) * 2.0

    forward = TracedForward(model, training=True)
    step, plain = StepLoss(loss, model), LossAsInFit(loss, model).total
    variables = forward.trainable_variables()
    for _ in range(2):  # the second call has the first one's trace
        found = []
        for of in (step, plain):
            with tf.GradientTape() as tape:
                value = of(y, forward(x), weight, forward.reach)
            found.append((value, tape.gradient(value, variables)))
        (one, ours), (other, theirs) = found
        assert float(one) == pytest.approx(float(other), rel=1e-6)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
