"""Rebuilt models give what the saved ones gave; what is claimed is checked before it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.sources.model_file import ModelFileError, open_model_file

from ..processor_time import used
from .model_files import batch_norm, conv, conv_weights, functional, image_input, write_h5
from .test_model_file_vet import HOSTILE

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

from segdoctor.sources.model_file.rebuild import rebuild  # noqa: E402 - needs Keras, see above

Build = Callable[[Any], Any]


def nested(k: Any) -> Any:
    layers = k.layers
    image = k.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="c1")(image)
    x = layers.BatchNormalization(name="b1")(x)
    base = k.Model(image, layers.SeparableConv2D(4, 3, padding="same")(x), name="base")
    base.layers[2].trainable = False
    chain = [k.Input((16, 16, 4)), layers.Conv2D(4, 1), layers.BatchNormalization()]
    tail = k.Sequential([*chain, layers.LeakyReLU()], name="tail")
    image = k.Input((16, 16, 3))
    y = tail(base(image, training=False))
    shared = layers.Conv2D(4, 1, name="shared")
    y = layers.Add()([shared(y), shared(shared(y))])
    y = layers.Conv2DTranspose(3, 3, padding="same", strides=2)(y)
    return k.Model(image, layers.Activation("softmax")(layers.DepthwiseConv2D(3)(y)))


def composite(k: Any) -> Any:
    layers = k.layers
    tokens = k.Input((8, 12))
    x = layers.MultiHeadAttention(2, 4)(tokens, tokens)
    x = layers.TimeDistributed(layers.Dense(5))(layers.LayerNormalization()(x))
    return k.Model(tokens, layers.PReLU()(layers.Bidirectional(layers.LSTM(3))(x)))


def operations(k: Any) -> Any:
    image = k.Input((16, 16, 3))
    x = k.layers.Conv2D(4, 3, padding="same")(image) * 2.0 + 1.0
    if k is keras:
        x = keras.ops.relu(keras.ops.image.resize(x, (8, 8)))
        return k.Model(image, keras.ops.concatenate([x, x], -1)[:, :, :, :5])
    import tensorflow as tf

    x = tf.nn.relu6(tf.image.resize(1.0 - x, (8, 8)))
    x = tf.concat([x, x], -1)
    return k.Model(image, tf.compat.v1.image.resize_bilinear(x, (17, 17), align_corners=True))


def without_input(k: Any) -> Any:
    layers = k.layers
    model = k.Sequential([layers.Conv2D(3, 3), layers.Dropout(0.5), layers.Dense(2)])
    model.build((None, 8, 8, 3))
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("build", [nested, composite, operations, without_input])
@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_same_output(tmp_path: Path, k: Any, build: Build, suffix: str) -> None:
    model = build(k)
    random = np.random.default_rng(0)
    model.set_weights(
        [random.uniform(0.1, 0.4, w.shape).astype("float32") for w in model.get_weights()]
    )
    x = random.normal(size=(2, *model.input_shape[1:])).astype("float32")
    path = tmp_path / f"model{suffix}"
    model.save(path)
    opened = open_model_file(path)
    rebuilt, notes = rebuild(opened)
    assert opened.facts.parameters == model.count_params()
    assert notes == ()
    np.testing.assert_allclose(np.asarray(rebuilt(x)), np.asarray(model(x)), atol=1e-5)


def test_frozen_layers_and_wired_modes_come_back(tmp_path: Path) -> None:
    model = nested(keras)
    model.save(tmp_path / "m.keras")
    opened = open_model_file(tmp_path / "m.keras")
    rebuilt, _ = rebuild(opened)
    frozen = [layer.name for layer in rebuilt.get_layer("base").layers if not layer.trainable]
    assert frozen == ["b1"]
    norms = {norm.layer: norm for norm in opened.facts.batch_norms}
    assert norms["base/b1"].wired_training is False
    assert not norms["base/b1"].trainable


def test_it_trains(tmp_path: Path) -> None:
    path = write_h5(
        tmp_path / "m.h5",
        functional(image_input(), conv(), {**batch_norm(), "name": "bn"}),
        {
            **conv_weights(),
            "bn": [(f"bn/{n}:0", np.ones(4, "f")) for n in ("gamma", "beta", "moving_mean")]
            + [("bn/moving_variance:0", np.ones(4, "f"))],
        },
    )
    model, _ = rebuild(open_model_file(path))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    losses = model.fit(x, np.zeros((4, 8, 8, 4)), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_old_settings(tmp_path: Path) -> None:
    """``groups: 1``, aligned bilinear resizing and relu6 of the known DeepLab files."""
    depthwise = {
        "class_name": "DepthwiseConv2D",
        "name": "dw",
        "config": {"name": "dw", "kernel_size": [1, 1], "groups": 1, "use_bias": False},
    }
    up = {
        "class_name": "BilinearUpsampling",
        "name": "up",
        "config": {"name": "up", "upsampling": [2, 2], "output_size": None},
    }
    act = {"class_name": "Activation", "name": "a", "config": {"name": "a", "activation": "relu6"}}
    path = write_h5(
        tmp_path / "m.h5",
        functional(image_input(shape=[None, 2, 2, 1]), depthwise, up, act),
        {"dw": [("dw/depthwise_kernel:0", np.full((1, 1, 1, 1), 2, "f"))]},
    )
    opened = open_model_file(path)
    model, _ = rebuild(opened)
    out = np.asarray(model(np.array([[[[0.0], [3.0]], [[0.0], [3.0]]]], "float32")))
    np.testing.assert_allclose(out[0, 0, :, 0], [0, 2, 4, 6], atol=1e-6)  # corners aligned
    assert opened.facts.code[0].recognised
    assert opened.facts.graph.output_shapes == ((None, 4, 4, 1),)


@pytest.mark.parametrize("name", HOSTILE)
def test_code_is_refused(tmp_path: Path, name: str) -> None:
    path = write_h5(tmp_path / "m.h5", functional(image_input(), HOSTILE[name]), {})
    with pytest.raises(ModelFileError) as caught:
        rebuild(open_model_file(path))
    assert caught.value.reason == "needs trust"
    assert "--trust" in str(caught.value)


def test_custom_layers(tmp_path: Path) -> None:
    class Twice(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    layer = {"class_name": "Twice", "name": "t", "config": {"name": "t", "trainable": True}}
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv(), layer), conv_weights())
    with pytest.raises(ModelFileError) as caught:
        rebuild(open_model_file(path))
    assert caught.value.reason == "not at hand"
    model, _ = rebuild(open_model_file(path), {"Twice": Twice})
    assert model.layers[-1](np.ones(1))[0] == 2


def test_trust_runs_bytecode_of_this_python(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Lambda(lambda x: x * x * 3.0)])
    model.save(tmp_path / "m.keras")
    opened = open_model_file(tmp_path / "m.keras")
    assert opened.facts.code[0].kind == "lambda bytecode"
    with pytest.raises(ModelFileError, match="trust"):
        rebuild(opened)
    trusted, _ = rebuild(opened, trust=True)
    assert float(np.max(trusted(np.ones((1, 4, 4, 3))))) == 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (conv(filters=2**33), "do not fit"),
        (conv(kernel_size=[50_000, 50_000]), "do not fit"),
        ({"class_name": "Dense", "name": "conv", "config": {"units": 4}}, "do not fit"),
        (conv(strides=[0, 0]), "Keras does not build"),
        (conv(padding="sideways"), "Keras does not build"),
    ],
)
def test_claims_are_checked_before_anything_is_made(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    path = write_h5(tmp_path / "m.h5", functional(image_input(), config), conv_weights())
    start = used()
    with pytest.raises(ModelFileError, match=said) as caught:
        rebuild(open_model_file(path))
    assert used() - start < 2
    assert caught.value.reason == "not rebuilt"
    assert "\n" not in str(caught.value)
    assert keras.layers.Dense(2)(np.ones((1, 3))).shape == (1, 2)  # Keras is as it was


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = write_h5(
        tmp_path / "m.h5", functional(image_input(), conv(), conv("second")), conv_weights()
    )
    with pytest.raises(ModelFileError, match="weights of second"):
        rebuild(open_model_file(path))


def test_an_architecture_without_weights(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv()), {})
    _, notes = rebuild(open_model_file(path))
    assert any("no weights" in note for note in notes)
