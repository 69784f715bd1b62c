"""Parts of a concatenation that change nothing: branches and skips, by layers and by functions."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.recorder.branches import zeroed_branches
from segdoctor.recorder.layers import is_tf_keras
from tests.recorder import nets

X, _ = nets.batch()
LIMIT = 1e-4


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def idle(model: Any) -> list[tuple[str, str]]:
    """``(merge, part)`` of each part that changes nothing; something must have been looked at."""
    found = zeroed_branches(model, X)
    assert found
    return [(branch.merge, branch.layer) for branch in found if branch.effect <= LIMIT]


def deaf(layer: Any, first: int, last: int) -> None:
    """The layer no longer looks at these channels."""
    kernel, *rest = layer.get_weights()
    kernel[:, :, first:last] = 0.0
    layer.set_weights([kernel, *rest])


def unet(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input(X.shape[1:])
    skip = nets.conv_bn(layers, image, 8, "skip")  # it goes down as well as across
    deep = nets.conv_bn(layers, layers.MaxPooling2D(2)(skip), 8, "deep")
    x = layers.Concatenate(name="join")([layers.UpSampling2D(2, name="up")(deep), skip])
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="behind")(x)
    return keras.Model(image, layers.Conv2D(nets.CLASSES, 1, name="head")(x))


def own(keras: Any, padded: bool = False) -> Any:
    import tensorflow as tf

    layers = keras.layers

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.a = layers.Conv2D(8, 3, padding="same")
            self.b = layers.Conv2D(8, 3, padding="same", dilation_rate=2)
            self.head = layers.Conv2D(nets.CLASSES, 1)

        def call(self, x: Any) -> Any:
            a, b = self.a(x), self.b(x)
            b = tf.zeros_like(b) if padded else b
            join = tf.concat if is_tf_keras(self) or padded else keras.ops.concatenate
            return self.head(join([a, b], -1))

    net = Net()
    net(X)
    return net


def test_a_skip_that_nothing_looks_at(keras: Any) -> None:
    model = unet(keras)
    assert idle(model) == []
    deaf(model.get_layer("behind"), 8, 16)
    assert idle(model) == [("join", "skip_relu")]


def test_a_branch_in_a_nested_model(keras: Any) -> None:
    inner = unet(keras)
    image = keras.Input(X.shape[1:])
    model = keras.Model(image, keras.layers.Conv2D(nets.CLASSES, 1)(inner(image)))
    deaf(inner.get_layer("behind"), 0, 8)
    assert idle(model) == [(f"{inner.name}/join", f"{inner.name}/up")]


def test_a_branch_that_a_call_joins(keras: Any) -> None:
    net = own(keras)
    assert idle(net) == []
    deaf(net.head, 8, 16)
    assert idle(net) == [("own", "part 2 of 2")]


def test_padding_with_zeros_is_no_branch(keras: Any) -> None:
    assert idle(own(keras, padded=True)) == []
