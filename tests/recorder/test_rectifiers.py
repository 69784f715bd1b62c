"""Rectifiers that a net calls as functions are watched as layers are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.network_facts import ActivationFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.gradient_units import DeadUnits
from segdoctor.recorder.activations import Activity, activity
from tests.recorder import nets

X = np.random.default_rng(0).normal(size=(2, nets.SIZE, nets.SIZE, 3)).astype("float32")


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def functional(keras: Any, rectify: Callable[[Any], Any], bias: float) -> Any:
    image = keras.Input(X.shape[1:])
    first = keras.layers.Conv2D(8, 3, name="a", bias_initializer=keras.initializers.Constant(bias))(
        image
    )
    x = keras.layers.Conv2D(6, 1, name="b")(rectify(first))
    return keras.Model(image, keras.layers.Conv2D(nets.CLASSES, 1, name="head")(rectify(x)))


def subclassed(keras: Any, rectify: Callable[[Any], Any], bias: float) -> Any:
    class Block(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, filters: int, bias: float, name: str) -> None:
            super().__init__(name=name)
            start = keras.initializers.Constant(bias)
            self.conv = keras.layers.Conv2D(filters, 3, bias_initializer=start)

        def call(self, x: Any) -> Any:
            return rectify(self.conv(x))

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.a, self.b = Block(8, bias, "a"), Block(6, 0.0, "b")
            self.out = keras.layers.Conv2D(nets.CLASSES, 1, name="out")

        def call(self, x: Any) -> Any:
            return self.out(rectify(self.b(self.a(x))))

    return Net()


def seen(model: Any, *, traced: bool = False) -> tuple[ActivationFacts, ...]:
    import tensorflow as tf

    if not traced:
        with activity(model) as active:
            model(X, training=True)
        return active.facts({})
    looked: list[Activity] = []

    def body(x: Any) -> Any:
        with activity(model) as active:
            active.look_back(model(x, training=True))
        looked.append(active)
        return list(active.raw.values())

    model(X)
    values = tf.function(body, autograph=False)(X)
    return looked[-1].given(values).facts({})


def status(facts: tuple[ActivationFacts, ...]) -> str:
    return examine(DeadUnits(), Trace({"activations": facts})).status


WAYS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "ops.relu": lambda keras: keras.ops.relu,
    "ops.relu6": lambda keras: keras.ops.relu6,
    "activations.relu": lambda keras: keras.activations.relu,
    "activations.get": lambda keras: keras.activations.get("relu"),
    "Activation": lambda keras: keras.layers.Activation("relu"),
    "one ReLU for all": lambda keras: keras.layers.ReLU(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", [functional, subclassed])
def test_dead_units_behind_functions(keras: Any, way: str, build: Callable[..., Any]) -> None:
    for bias, wanted in ((-50.0, "fired"), (0.0, "clear")):
        facts = seen(build(keras, WAYS[way](keras), bias))
        assert status(facts) == wanted
        # Each call for itself: two of a functional graph, three of the subclassed net.
        assert [fact.channels for fact in facts] == ([8, 6, 6] if build is subclassed else [8, 6])
        assert (facts[0].dead == 1.0) is (bias < 0)


def test_the_place_is_named(keras: Any) -> None:
    facts = seen(subclassed(keras, keras.ops.relu, 0.0))
    assert [fact.layer for fact in facts] == ["a: relu", "b: relu", "own: relu"]
    first, _ = seen(functional(keras, keras.ops.relu, 0.0))
    assert first.layer.startswith("relu")


def test_a_trace_sees_the_same(keras: Any) -> None:
    model = subclassed(keras, keras.ops.relu, 0.0)
    plain, traced = seen(model), seen(model, traced=True)
    assert [(f.layer, f.dead, f.values) for f in plain] == [
        (f.layer, f.dead, f.values) for f in traced
    ]


def test_of_tensorflow_and_of_tf_keras(keras: Any) -> None:
    import tensorflow as tf

    old = pytest.importorskip("tf_keras")
    # Looked up at the call, as people write it.
    ways = [lambda x: tf.nn.relu(x), old.activations.relu]
    for package, build in ((keras, subclassed), (old, subclassed), (old, functional)):
        for way in ways if package is old else ways[:1]:
            assert status(seen(build(package, way, -50.0))) == "fired", (package, build)
            assert status(seen(build(package, way, 0.0))) == "clear", (package, build)


def test_what_is_no_part_of_the_net_is_not_looked_at(keras: Any) -> None:
    import tensorflow as tf

    before = tf.nn.relu, tf.compat.v2.nn.relu
    model = functional(keras, keras.layers.ReLU(), 0.0)
    with activity(model) as active:
        tf.nn.relu(tf.constant(X))  # as a loss does
        assert not active.raw
        assert tf.nn.relu is not before[0]
    assert (tf.nn.relu, tf.compat.v2.nn.relu) == before


def test_rectifiers_by_any_name_are_found_in_the_trace(keras: Any) -> None:
    import tensorflow as tf

    bound = tf.nn.relu  # as `from tensorflow.nn import relu` binds it
    ways = (bound, lambda x: keras.ops.maximum(x, 0.0), lambda x: tf.maximum(0.0, x))
    for build, rectify in zip((subclassed, functional, subclassed), ways, strict=True):
        for bias, wanted in ((-50.0, "fired"), (0.0, "clear")):
            facts = seen(build(keras, rectify, bias), traced=True)
            assert status(facts) == wanted
            assert [fact.channels for fact in facts] == (
                [8, 6, 6] if build is subclassed else [8, 6]
            )
    # A maximum with another number is no rectifier.
    assert not seen(functional(keras, lambda x: keras.ops.maximum(x, -9.0), 0.0), traced=True)


def test_without_a_rectifier_nothing_is_claimed(keras: Any) -> None:
    def own(x: Any) -> Any:
        return x * keras.ops.cast(x > 0, x.dtype)

    for traced in (False, True):
        assert status(seen(functional(keras, own, -50.0), traced=traced)) == "not examined"
