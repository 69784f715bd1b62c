"""The traced forward pass: value and gradients are those of ``fit``, whatever the head."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from segdoctor.recorder.forward import TracedForward, quick_tracing
from segdoctor.recorder.layers import values_of
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.snapshot import preserved
from tests.recorder import nets

HEADS = ("softmax", "softmax, resize", "logits", "sigmoid", "softmax, ignore", "bare softmax")


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def as_fit_does(model: Any, x: Any, y: Any) -> tuple[float, list[Any]]:
    """Value and gradients inside one graph, as Keras' own train_step computes them."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = model.compute_loss(x, y, model(x, training=True), None)
        return value, tape.gradient(value, [v._value for v in model.trainable_variables])

    with preserved(model):
        value, gradients = step(x, y)
    return float(value), [np.asarray(g) for g in gradients]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("eager", [False, True])
def test_value_and_gradients_are_those_of_fit(keras: Any, head: str, eager: bool) -> None:
    import tensorflow as tf

    if eager and head == "bare softmax":
        pytest.skip("a bare operation shows its logits in a graph only")
    keras.utils.set_random_seed(3)
    model = nets.functional(keras, head.partition(", ignore")[0])
    model.get_layer("a_conv").kernel.regularizer = keras.regularizers.L2(0.01)
    x, y = nets.batch()
    loss: Any = nets.crossentropy(keras)
    if head == "sigmoid":
        y = (y > 1)[..., None].astype("float32")
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    if head == "softmax, ignore":
        y[:, :4] = 255
        loss = nets.crossentropy(keras, ignore_class=255)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile(optimizer="sgd", loss=loss)
        wanted, gradients = as_fit_does(model, x, y)
        forward = TracedForward(model, training=True, eager=eager)
        as_in_fit = LossAsInFit(loss, model)
        with preserved(model), quick_tracing():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(forward.trainable_variables())
                outputs = forward(x)
                total = as_in_fit.total(y, outputs, None, forward.reach)
            found = tape.gradient(total, forward.trainable_variables())
    assert float(total) == pytest.approx(wanted, rel=1e-6)
    for one, other in zip(gradients, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_frozen_variables_get_no_gradient_and_batch_norm_still_moves(keras: Any) -> None:
    import tensorflow as tf

    model = nets.functional(keras)
    model.get_layer("a_conv").trainable = False
    model.get_layer("a_bn").trainable = False
    x, _ = nets.batch()
    frozen = model.get_layer("a_conv").kernel._value
    before = [values_of(model.get_layer(name).moving_mean) for name in ("a_bn", "b_bn")]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(frozen)
        value = tf.reduce_sum(TracedForward(model, training=True)(x).y_pred)
    assert tape.gradient(value, frozen) is None
    assert np.array_equal(before[0], model.get_layer("a_bn").moving_mean)
    assert not np.array_equal(before[1], model.get_layer("b_bn").moving_mean)


def test_tracing_options_are_given_back() -> None:
    tf = pytest.importorskip("tensorflow")
    before = tf.config.optimizer.get_experimental_options()
    with quick_tracing():
        assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] is True
    after = tf.config.optimizer.get_experimental_options()
    assert after.get("disable_meta_optimizer", False) == before.get("disable_meta_optimizer", False)


def test_activity_losses_are_in_the_regularisation(keras: Any) -> None:
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    out = keras.layers.Conv2D(2, 1, activity_regularizer="l2", kernel_regularizer="l1")(image)
    model = keras.Model(image, out)
    x, _ = nets.batch()
    model(x, training=True)
    wanted = float(sum(np.asarray(value) for value in model.losses))
    for eager in (False, True):
        found = TracedForward(model, training=True, eager=eager)(x).regularisation
        assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_python_control_flow_is_traced_by_autograph() -> None:
    tf_keras = pytest.importorskip("tf_keras")

    class Branch(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            if tf.reduce_sum(x) > 0:
                return x
            return -x

    image = tf_keras.Input((4, 4, 3))
    model = tf_keras.Model(image, Branch()(tf_keras.layers.Conv2D(2, 1)(image)))
    out = TracedForward(model, training=True)(np.ones((1, 4, 4, 3), "float32"))
    assert float(np.sum(out.y_pred)) >= 0
