"""Tiny nets of every kind for the recorder's tests, and a batch to feed them."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZE = 16
CLASSES = 4


def batch(seed: int = 0, examples: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(examples, SIZE, SIZE, 3)).astype("float32")
    return x, rng.integers(0, CLASSES, size=(examples, SIZE, SIZE)).astype("int32")


def conv_bn(layers: Any, x: Any, filters: int, name: str, **norm: Any) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn", **norm)(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def functional(keras: Any, head: str = "logits", dropout: float = 0.0) -> Any:
    """conv-BN-ReLU three times with a skip, and a head."""
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    a = conv_bn(layers, image, 8, "a")
    b = conv_bn(layers, a, 8, "b")
    x = layers.Add(name="add")([a, b])
    x = conv_bn(layers, x, 8, "c")
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(image, with_head(keras, x, head), name="tiny")


def with_head(keras: Any, x: Any, head: str) -> Any:
    layers = keras.layers
    if head == "sigmoid":
        return layers.Conv2D(1, 1, activation="sigmoid", name="head")(x)
    if head == "softmax":
        return layers.Conv2D(CLASSES, 1, activation="softmax", name="head")(x)
    if head == "softmax, resize":
        x = layers.AveragePooling2D(2, name="down")(x)
        x = layers.Conv2D(CLASSES, 1, activation="softmax", name="head")(x)
        return layers.UpSampling2D(2, interpolation="bilinear", name="up")(x)
    if head == "bare softmax":
        import tensorflow as tf

        x = layers.Conv2D(CLASSES, 1, name="head")(x)
        return layers.Lambda(tf.nn.softmax, name="bare")(x)
    return layers.Conv2D(CLASSES, 1, name="head")(x)


def sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, padding="same", name="s1"),
            layers.BatchNormalization(name="s1_bn"),
            layers.ReLU(name="s1_relu"),
            layers.Conv2D(CLASSES, 1, name="head"),
        ],
        name="line",
    )


def nested(keras: Any, base_training: bool | None = None) -> Any:
    """A backbone as a model within a model, called with a wired mode if one is given."""
    layers = keras.layers
    inner = keras.Input((SIZE, SIZE, 3), name="inner_image")
    x = conv_bn(layers, inner, 8, "base")
    base = keras.Model(inner, conv_bn(layers, x, 8, "base2"), name="backbone")
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = base(image) if base_training is None else base(image, training=base_training)
    x = conv_bn(layers, x, 8, "top")
    return keras.Model(image, layers.Conv2D(CLASSES, 1, name="head")(x), name="outer")


def shared(keras: Any) -> Any:
    """One convolution called twice, the two results side by side."""
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = conv_bn(layers, image, 8, "a")
    twice = layers.Conv2D(8, 3, padding="same", name="twice")
    once = twice(x)
    x = layers.Concatenate(name="join")([once, twice(layers.ReLU(name="between")(once))])
    x = conv_bn(layers, x, 8, "b")
    return keras.Model(image, layers.Conv2D(CLASSES, 1, name="head")(x), name="twofold")


def two_outputs(keras: Any) -> Any:
    """A head, and another one at half of the depth."""
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    a = conv_bn(layers, image, 8, "a")
    aside = layers.Conv2D(CLASSES, 1, name="aside")(a)
    b = conv_bn(layers, a, 8, "b")
    return keras.Model(image, [layers.Conv2D(CLASSES, 1, name="head")(b), aside], name="twoheaded")


def subclassed(keras: Any) -> Any:
    layers = keras.layers

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.first = layers.Conv2D(8, 3, padding="same", name="first")
            self.norm = layers.BatchNormalization(name="norm")
            self.out = layers.Conv2D(CLASSES, 1, name="out")

        def call(self, x: Any, training: bool | None = None) -> Any:
            x = keras.activations.relu(self.norm(self.first(x), training=training))
            return self.out(x)

    net = Net()
    net(np.zeros((1, SIZE, SIZE, 3), "float32"))
    return net


def crossentropy(keras: Any, **options: Any) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(**{"from_logits": True, **options})
