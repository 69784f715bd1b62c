"""Labels with a weight map, or void, in one channel more than there are classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.measures.packed_labels import packed_as

FAMILIES = ("OUT", "LOSS", "IGN", "LBL", "MET")
SIDE, CLASSES = 16, 3
IDS = np.random.default_rng(0).integers(0, CLASSES, (2, 4, 4)).repeat(4, 1).repeat(4, 2)
ROWS = np.eye(CLASSES, dtype=np.float32)[IDS]
WEIGHT = np.random.default_rng(1).uniform(0.5, 3.0, IDS.shape).astype(np.float32)


def with_weight(labels: Any) -> Any:
    labels = labels if labels.ndim == 4 else labels[..., None]
    return np.concatenate([labels, WEIGHT[..., None]], -1).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "channels", "core"),
    [
        (with_weight(ROWS), 3, "onehot"),
        (with_weight(IDS), 3, "ids"),
        (with_weight(IDS > 0), 1, "ids"),
        (np.eye(4)[np.where(IDS == 2, 3, IDS)], 3, "void channel"),
        (ROWS, 3, None),
        (np.eye(2)[IDS % 2], 1, None),  # two classes one-hot before one channel: OUT008
        (np.eye(5)[IDS], 3, None),
        (with_weight(ROWS * 255), 3, None),
    ],
)
def test_what_the_last_channel_is(y: Any, channels: int, core: str | None) -> None:
    assert packed_as(y, channels) == core


@pytest.fixture(scope="module")
def net() -> Any:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    return keras.Model(image, layers.Conv2D(CLASSES, 1, activation="softmax")(x))


def cross(y: Any, p: Any) -> Any:
    import tensorflow as tf

    return -tf.reduce_sum(y * tf.math.log(tf.maximum(p, 1e-7)), -1)


def weighted(y: Any, p: Any) -> Any:
    return y[..., -1] * cross(y[..., :-1], p)


def by_column(y: Any, p: Any) -> Any:
    import tensorflow as tf

    return weighted(y, p / tf.reduce_sum(p, axis=1, keepdims=True))


def void_cut_off(y: Any, p: Any) -> Any:
    return cross(y[..., :-1], p)


@pytest.mark.parametrize(
    ("loss", "y", "codes"),
    [
        (weighted, with_weight(ROWS), []),
        (by_column, with_weight(ROWS), ["LOSS005"]),
        (void_cut_off, np.eye(4, dtype=np.float32)[np.where(IDS == 2, 3, IDS)], []),
        (cross, np.eye(4, dtype=np.float32)[IDS], ["OUT008"]),
    ],
)
def test_the_loss_is_asked_with_both(net: Any, loss: Any, y: Any, codes: list[str]) -> None:
    x = np.random.default_rng(2).random((2, SIDE, SIDE, 3), dtype=np.float32)
    report = segdoctor.check(
        net, (x, y), loss=loss, optimizer="adam", metrics=["accuracy"], trial=False, select=FAMILIES
    )
    errors = [f.code for f in report.findings if f.severity == "error"]
    assert errors == codes
    assert any("taken apart" in note for note in report.notes) == (codes != ["OUT008"])
