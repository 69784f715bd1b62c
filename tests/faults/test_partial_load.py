"""MDL003 where everything trains: what a load left out, and nets that are fresh by design."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.probes.weights import WeightsNeverLoaded
from segdoctor.recorder.live_graph import live_facts
from segdoctor.recorder.recalibrate import recalibrate
from tests.recorder import nets

BLOCKS = [f"block_{number}_conv" for number in range(1, 6)]


@pytest.fixture(scope="module")
def keras() -> Any:
    package = pytest.importorskip("keras")
    package.utils.set_random_seed(0)
    return package


def told(model: Any) -> str:
    graph, weights, _ = live_facts(model)
    outcome = examine(WeightsNeverLoaded(), Trace({"graph": graph, "weights": weights}))
    assert outcome.status != "crashed", outcome
    return outcome.findings[0].severity if outcome.findings else outcome.status


def block(layers: Any, x: Any, name: str, filters: int = 16, **options: Any) -> Any:
    options = {"padding": "same", "use_bias": False, **options}
    x = layers.Conv2D(filters, 3, name=f"{name}_conv", **options)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def backbone(keras: Any, channels: int = 3, skip: bool = True) -> Any:
    image = keras.Input((nets.SIZE, nets.SIZE, channels))
    x = block(keras.layers, image, "stem", strides=2)
    for number in range(1, 6):
        y = block(keras.layers, x, f"block_{number}")
        x = keras.layers.Add(name=f"add_{number}")([x, y]) if skip else y
    return keras.Model(image, x, name="backbone")


def decoder(keras: Any, x: Any) -> Any:
    x = block(keras.layers, x, "decoder_1", 24)
    x = block(keras.layers, x, "decoder_2", 24)
    return keras.layers.Conv2D(nets.CLASSES, 1, name="head")(x)


def flat(keras: Any, base: Any) -> Any:
    return keras.Model(base.input, decoder(keras, base.output))


def nested(keras: Any, base: Any) -> Any:
    image = keras.Input(base.input_shape[1:])
    return keras.Model(image, decoder(keras, base(image)))


def load(model: Any, *left_out: str) -> Any:
    """As if the weights were trained, and then read, but for the layers named."""
    rng = np.random.default_rng(1)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    for variable in model.trainable_variables:
        value = np.asarray(variable.numpy())
        noise = rng.normal(0, 0.02, value.shape)
        variable.assign(value * rng.lognormal(0, 0.6, value.shape) + noise)
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    recalibrate(model, [x])
    for layer in model.layers:
        if layer.name.startswith(left_out or ("none",)):
            layer.set_weights(before[layer.name])
    return model


def shortcut(keras: Any) -> Any:
    """Xception's shortcuts have names that Keras counts: another session's file has others."""
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = block(layers, image, "entry")
    y = block(layers, x, "block2", 32)
    x = layers.Conv2D(32, 1, use_bias=False, name="conv2d_7")(x)
    x = layers.Add()([layers.BatchNormalization(name="bn_7")(x), y])
    return keras.Model(image, block(layers, x, "block3"))


def attention(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = block(layers, block(layers, image, "block_1"), "block_2")
    gate = layers.Dense(32, activation="relu", name="squeeze")(x)
    gate = layers.Dense(16, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply()([x, gate])
    return keras.Model(image, block(layers, x, "block_3"))


def of_depth_too(keras: Any) -> Any:
    """A loaded encoder of colours, a new one of depth that is added to it on the way."""
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    depth = keras.Input((nets.SIZE, nets.SIZE, 1))
    x, z = block(layers, image, "block_1"), block(layers, depth, "depth_1")
    for number in range(2, 4):
        x = layers.Add()([block(layers, x, f"block_{number}"), z])
        z = block(layers, z, f"depth_{number}")
    return keras.Model([image, depth], decoder(keras, block(layers, x, "block_4")))


def enlarged(keras: Any) -> Any:
    """A whole encoder-decoder as a model within a model, its decoder new and named alike."""
    base = load(backbone(keras))
    x = keras.layers.UpSampling2D(2)(base.output)
    whole = keras.Model(base.input, block(keras.layers, x, "block_6"), name="whole")
    image = keras.Input(base.input_shape[1:])
    return keras.Model(image, keras.layers.Conv2D(nets.CLASSES, 1, name="head")(whole(image)))


def half_loaded(keras: Any) -> Any:
    model = of_depth_too(keras)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if layer.name.startswith("block_"):
            layer.set_weights([w + rng.normal(0.3, 0.2, w.shape) ** 2 for w in layer.get_weights()])
    return model


def a_little(keras: Any, rate: float) -> Any:
    model = flat(keras, backbone(keras))
    model.compile(keras.optimizers.SGD(rate), nets.crossentropy(keras))
    x, y = nets.batch()
    model.fit(x, y[:, ::2, ::2], epochs=1, verbose=0)
    return model


SICK: dict[str, Callable[[Any], Any]] = {
    "one block": lambda keras: flat(keras, load(backbone(keras), "block_3")),
    "in a line": lambda keras: flat(keras, load(backbone(keras, skip=False), "block_2", "block_3")),
    "in a nested model": lambda keras: nested(keras, load(backbone(keras), "block_3")),
    "the last of a nested model": lambda keras: nested(
        keras, load(backbone(keras), "block_4", "block_5")
    ),
    "the first blocks": lambda keras: flat(keras, load(backbone(keras), "block_1", "block_2")),
    "shortcuts that Keras named": lambda keras: load(shortcut(keras), "conv2d_7", "bn_7"),
    "the decoder of a trained net": lambda keras: load(flat(keras, backbone(keras)), "decoder"),
}
SOUND: dict[str, Callable[[Any], Any]] = {
    "new": lambda keras: flat(keras, backbone(keras)),
    "new, nested": lambda keras: nested(keras, backbone(keras)),
    "a new head": lambda keras: flat(keras, load(backbone(keras))),
    "a new head, nested": lambda keras: nested(keras, load(backbone(keras))),
    "all trained": lambda keras: load(flat(keras, backbone(keras))),
    "a step": lambda keras: a_little(keras, 1e-5),
    "a large step": lambda keras: a_little(keras, 1.0),
    "a stem for four channels": lambda keras: flat(keras, load(backbone(keras, 4), "stem")),
    "a new encoder of depth": half_loaded,
    "a new decoder, nested": enlarged,
}


@pytest.mark.parametrize("name", SICK)
def test_what_a_load_left_out_is_told(keras: Any, name: str) -> None:
    assert told(SICK[name](keras)) == "error"


@pytest.mark.parametrize("name", SOUND)
def test_fresh_by_design(keras: Any, name: str) -> None:
    assert told(SOUND[name](keras)) == "clear"


def test_what_may_have_been_put_in(keras: Any) -> None:
    assert told(load(attention(keras), "squeeze", "excite")) == "info"


def test_a_subclassed_net_does_not_say_what_takes_from_what(keras: Any) -> None:
    net = nets.subclassed(keras)
    assert told(net) == "clear"
    net.first.set_weights([w + np.float32(0.5) for w in net.first.get_weights()])
    net.norm.set_weights([w + np.float32(0.5) for w in net.norm.get_weights()])
    assert told(net) == "clear"  # the head is too small to be judged

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.base = load(backbone(keras))
            self.top = keras.layers.Conv2D(64, 1, name="top")

        def call(self, x: Any) -> Any:
            return self.top(self.base(x))

    own = Net()
    own(np.zeros((1, nets.SIZE, nets.SIZE, 3), "float32"))
    assert told(own) == "not examined"
