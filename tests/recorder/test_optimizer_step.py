"""A step of many small variables end to end is the optimizer's own step of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.recorder.layers import values_of
from segdoctor.recorder.optimizer_step import OptimizerStep, _Bundled

ELEMENTWISE = (
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-2}),
    ("Adam", {"amsgrad": True, "clipvalue": 0.5}),
    ("AdamW", {"weight_decay": 0.1}),
    ("Nadam", {}),
    ("Adamax", {}),
    ("RMSprop", {"centered": True, "global_clipnorm": 0.3}),
    ("Adagrad", {}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Ftrl", {"l1_regularization_strength": 1e-3}),
    ("Lion", {}),
)
OF_A_WHOLE = (("SGD", {"clipnorm": 0.1}), ("Lamb", {}), ("Adafactor", {}))


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def net(keras: Any, **kernel: Any) -> Any:
    """Biases and gains of a few numbers, and one kernel too large to be copied about."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(64, 3, name="small", **kernel)(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(64, 3, name="large")(x)
    return keras.Model(image, layers.Conv2D(2, 1, name="head")(x))


def gradients_of(model: Any, seed: int) -> list[Any]:
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    found = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in model.trainable_variables]
    found[1] = None  # a variable that nothing reaches
    return found


def stepped(model: Any, make: Any, *, bundled: bool) -> list[np.ndarray]:
    step = OptimizerStep(make(), model)
    for seed in range(4):
        step(gradients_of(model, seed))
    assert isinstance(step._step, _Bundled) is bundled
    return [values_of(v) for v in model.trainable_variables]


def by_itself(model: Any, make: Any) -> list[np.ndarray]:
    optimizer = make()
    optimizer.build(model.trainable_variables)
    for seed in range(4):
        pairs = zip(gradients_of(model, seed), model.trainable_variables, strict=True)
        optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
    return [values_of(v) for v in model.trainable_variables]


def assert_equal(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "options"), ELEMENTWISE, ids=[n for n, _ in ELEMENTWISE])
def test_it_is_the_optimizers_own_step(keras: Any, name: str, options: dict[str, Any]) -> None:
    def make() -> Any:
        return getattr(keras.optimizers, name)(**{"learning_rate": 1e-2, **options})

    assert_equal(stepped(net(keras), make, bundled=True), by_itself(net(keras), make))


@pytest.mark.parametrize(("name", "options"), OF_A_WHOLE, ids=[n for n, _ in OF_A_WHOLE])
def test_what_looks_at_a_whole_variable_is_not_bundled(
    keras: Any, name: str, options: dict[str, Any]
) -> None:
    def make() -> Any:
        return getattr(keras.optimizers, name)(learning_rate=1e-2, **options)

    assert_equal(stepped(net(keras), make, bundled=False), by_itself(net(keras), make))


def test_a_constraint_still_holds(keras: Any) -> None:
    def make() -> Any:
        return keras.optimizers.SGD(0.1)

    limit = {"kernel_constraint": keras.constraints.MaxNorm(0.2)}
    found = stepped(net(keras, **limit), make, bundled=False)
    assert_equal(found, by_itself(net(keras, **limit), make))


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_tf_keras(name: str) -> None:
    tf_keras = pytest.importorskip("tf_keras")

    def make() -> Any:
        return getattr(tf_keras.optimizers, name)(learning_rate=1e-2)

    def legacy() -> Any:
        return getattr(tf_keras.optimizers.legacy, name)(learning_rate=1e-2)

    assert_equal(stepped(net(tf_keras), make, bundled=True), by_itself(net(tf_keras), make))
    stepped(net(tf_keras), legacy, bundled=False)


def test_nothing_to_train_is_said(keras: Any) -> None:
    model = net(keras)
    step = OptimizerStep(keras.optimizers.SGD(0.1), model)
    with pytest.raises(ValueError, match="nothing to train"):
        step([None] * len(model.trainable_variables))
