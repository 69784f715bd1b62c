"""Layers that move the image at random, known by what they do and not by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.probes.alignment import PairsMisaligned
from segdoctor.recorder.image_movers import image_movers

tf = pytest.importorskip("tensorflow", reason="running a layer needs TensorFlow")

Make = Callable[[Any], Any]


def own(keras: Any) -> Any:
    class Mirrors(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool = False) -> Any:
            return tf.image.random_flip_left_right(x) if training else x

    return Mirrors()


MOVING: dict[str, Make] = {
    "flip": lambda keras: keras.layers.RandomFlip("horizontal"),
    "small rotation": lambda keras: keras.layers.RandomRotation(0.05),
    "zoom": lambda keras: keras.layers.RandomZoom(0.1),
    "crop": lambda keras: keras.layers.RandomCrop(24, 24),
    "of one's own": own,
    "lambda": lambda keras: keras.layers.Lambda(lambda x: tf.image.random_flip_left_right(x)),
}


def by_numpy(turn: Callable[[Any], Any]) -> Make:
    """A layer whose work is done outside of TensorFlow, so that no gradient goes through."""

    def make(keras: Any) -> Any:
        def call(x: Any) -> Any:
            return tf.ensure_shape(tf.numpy_function(turn, [x], tf.float32), x.shape)

        return keras.layers.Lambda(call)

    return make


def flipped_by_chance(x: Any) -> Any:
    return np.stack([one[:, ::-1] if CHANCE.random() < 0.5 else one for one in x])


def brighter_by_chance(x: Any) -> Any:
    return (x * CHANCE.uniform(0.5, 1.5, (len(x), 1, 1, 1))).astype("float32")


CHANCE = np.random.default_rng(0)
MOVING["by NumPy"] = by_numpy(flipped_by_chance)
STAYING: dict[str, Make] = {
    "brightness by NumPy": by_numpy(brighter_by_chance),
    "brightness": lambda keras: keras.layers.RandomBrightness(0.3),
    "contrast": lambda keras: keras.layers.RandomContrast(0.9),
    "a rotation by nothing": lambda keras: keras.layers.RandomRotation(0.0),
    "noise by a lambda": lambda keras: keras.layers.Lambda(
        lambda x: x + tf.random.normal(tf.shape(x))
    ),
    "always mirrored": lambda keras: keras.layers.Lambda(lambda x: tf.reverse(x, [2])),
    "of this size only": lambda keras: keras.layers.Lambda(
        lambda x: tf.reshape(tf.reshape(x, (-1, 32 * 32, 3)), (-1, 32, 32, 3))
    ),
    "resized": lambda keras: keras.layers.Lambda(lambda x: tf.image.resize(x, (16, 16))),
}


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", [*MOVING, *STAYING])
def test_what_moves_the_image(name: str, library: str) -> None:
    keras = pytest.importorskip(library)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, (MOVING | STAYING)[name](keras)(image))
    found, unasked = image_movers(model)
    assert [facts.layer for _, facts in found] == [model.layers[1].name] * (name in MOVING)
    assert unasked == ()


def test_a_layer_that_cannot_be_asked_is_told() -> None:
    keras = pytest.importorskip("keras")

    class Two(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool = False) -> Any:
            one, other = x
            return one + other if training else one

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.two = Two(name="two")
            self.head = keras.layers.Conv2D(4, 1)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.head(self.two([x, x], training=training))

    net = Net()
    net(tf.zeros((1, 16, 16, 3)))
    found, unasked = image_movers(net)
    assert found == ()
    assert len(unasked) == 1
    assert unasked[0].startswith("two fails when it is called alone (")
    outcome = examine(PairsMisaligned(), Trace({"image_movers": (), "unasked_movers": unasked}))
    assert outcome.status == "not examined"
    assert "two fails" in outcome.reason
