"""Layers that move the image at random, known by what they do and not by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
STAYING: dict[str, Make] = {
    "brightness": lambda keras: keras.layers.RandomBrightness(0.3),
    "contrast": lambda keras: keras.layers.RandomContrast(0.9),
    "a rotation by nothing": lambda keras: keras.layers.RandomRotation(0.0),
    "noise by a lambda": lambda keras: keras.layers.Lambda(
        lambda x: x + tf.random.normal(tf.shape(x))
    ),
    "always mirrored": lambda keras: keras.layers.Lambda(lambda x: tf.reverse(x, [2])),
    "resized": lambda keras: keras.layers.Lambda(lambda x: tf.image.resize(x, (16, 16))),
}


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", [*MOVING, *STAYING])
def test_what_moves_the_image(name: str, library: str) -> None:
    keras = pytest.importorskip(library)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, (MOVING | STAYING)[name](keras)(image))
    found = image_movers(model)
    assert [facts.layer for _, facts in found] == [model.layers[1].name] * (name in MOVING)
