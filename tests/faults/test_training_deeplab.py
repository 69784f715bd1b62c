"""Codes of the network and the training on DeepLabv3+ MobileNetV2 with genuine VOC pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.core.finding import Finding
from segdoctor.sources.deeplab import build_deeplab
from segdoctor.sources.voc import make_batch, scan_folder

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")

SIDE = 64
FAMILIES = ("MDL", "BN", "GRAD", "OPT", "HIST")


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def pairs(real_voc: Path) -> tuple[np.ndarray, np.ndarray]:
    scan = scan_folder(real_voc)
    batch = make_batch(scan, size=(SIDE, SIDE), count=2, num_classes=21, ignore_label=255)
    return np.asarray(batch.x), np.asarray(batch.y)


@pytest.fixture(scope="module")
def built(keras: Any) -> Any:
    keras.utils.set_random_seed(0)
    return build_deeplab("mobilenetv2", (SIDE, SIDE, 3), 21, alpha=0.35, momentum=0.999)


@pytest.fixture
def deeplab(built: Any) -> Iterator[Any]:
    weights = built.get_weights()
    yield built
    built.set_weights(weights)
    for layer in built.layers:
        layer.trainable = True


def check(keras: Any, model: Any, pairs: Any, **options: Any) -> dict[str, Finding]:
    given: dict[str, Any] = {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        "optimizer": keras.optimizers.Adam(1e-3),
        "ignore_label": 255,
    }
    report = segdoctor.check(
        model, pairs, trial=False, batch_size=8, num_classes=21, **(given | options)
    )
    assert not [o for o in report.outcomes if o.status == "crashed"], report.outcomes
    return {f.code: f for f in report.findings if f.code.startswith(FAMILIES)}


def test_healthy_is_silent_also_with_a_frozen_backbone(
    keras: Any, deeplab: Any, pairs: Any
) -> None:
    plan = {"epochs": 60, "steps_per_epoch": 200}
    good = {"loss": [2.0, 1.4, 1.1, 0.9, 0.7, 0.6], "mean_iou": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    watch = keras.callbacks.EarlyStopping("mean_iou", mode="max", patience=20)
    assert check(keras, deeplab, pairs, history=good, callbacks=[watch], **plan) == {}


def test_the_optimisation_of_the_question(keras: Any, deeplab: Any, pairs: Any) -> None:
    rate = keras.optimizers.schedules.CosineDecay(1e-5, 145)
    told = check(
        keras,
        deeplab,
        pairs,
        optimizer=keras.optimizers.Adadelta(rate),
        epochs=8,
        steps_per_epoch=145,
        class_weight={0: 0.5, 15: 2.0},
        history={"loss": [3.04, 3.05, 3.04, 3.03, 3.04, 3.04, 3.05, 3.04]},
        callbacks=[keras.callbacks.EarlyStopping("val_mean_iou", mode="min", patience=3)],
        validation_data=False,
    )
    wanted = {"OPT001", "OPT005", "OPT007", "OPT008", "HIST001", "HIST005", "HIST006", "BN007"}
    assert wanted <= set(told)
    assert told["HIST001"].because_of == told["OPT007"].because_of == "OPT001"
    assert told["BN007"].evidence[0].value == pytest.approx(0.999**1160, rel=0.02)


def test_layers_356(keras: Any, deeplab: Any, pairs: Any) -> None:
    told = check(keras, deeplab, pairs, freeze=356)
    assert {"GRAD007", "OPT009"} <= set(told)
    assert told["OPT009"].evidence[2].value == "nothing"


def test_statistics_and_gammas(keras: Any, deeplab: Any, pairs: Any) -> None:
    norms = [layer for layer in deeplab.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in norms[:-1]:
        layer.gamma.assign(np.linspace(0.8, 1.2, layer.gamma.shape[0]))
    norms[-1].gamma.assign(np.zeros(norms[-1].gamma.shape))
    told = check(keras, deeplab, pairs)
    assert {"BN004", "BN008"} <= set(told)


def test_dead_channels(keras: Any, deeplab: Any, pairs: Any) -> None:
    norm = deeplab.get_layer("expanded_conv_1_expand_BN")
    norm.beta.assign(np.full(norm.beta.shape, -50.0))
    told = check(keras, deeplab, pairs)
    assert told["GRAD005"].evidence[0].value == 1.0
    assert told["GRAD005"].evidence[0].where == "expanded_conv_1_expand_relu"


def test_without_the_last_resize(keras: Any, deeplab: Any, pairs: Any) -> None:
    small = keras.Model(deeplab.inputs, deeplab.layers[-1].input)
    assert "MDL008" in check(keras, small, pairs)


def test_scrambled_scores(keras: Any, deeplab: Any, pairs: Any) -> None:
    layers = keras.layers
    x = layers.Reshape((21, SIDE * SIDE))(deeplab.outputs[0])
    x = layers.Reshape((SIDE, SIDE, 21))(layers.Permute((2, 1))(x))
    told = check(keras, keras.Model(deeplab.inputs, x), pairs)
    assert "MDL009" in told


def test_an_argmax_at_the_end(keras: Any, deeplab: Any, pairs: Any) -> None:
    class Ids(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return keras.ops.one_hot(keras.ops.argmax(x, axis=-1), 21)

    told = check(keras, keras.Model(deeplab.inputs, Ids(name="ids")(deeplab.outputs[0])), pairs)
    assert told["MDL005"].evidence[0].value == "ArgMax"
    assert told["GRAD001"].because_of is not None
