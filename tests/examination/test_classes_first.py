"""An output (B, C, H*W) is examined with its classes last, and its loss in its own layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segdoctor

keras = pytest.importorskip("keras")
SIDE, CLASSES = 16, 3
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, CLASSES, (2, 4, 4)).repeat(4, 1).repeat(4, 2).reshape(2, SIDE * SIDE)
ROWS = np.moveaxis(np.eye(CLASSES, dtype=np.float32)[IDS], -1, 1)
IMAGES = RNG.random((2, SIDE, SIDE, 3), dtype=np.float32)


def net(axis: int) -> Any:
    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.Permute((3, 1, 2))(layers.Conv2D(CLASSES, 1)(x))
    return keras.Model(image, layers.Softmax(axis)(layers.Reshape((CLASSES, SIDE * SIDE))(x)))


def sparse(y: Any, p: Any) -> Any:
    p = keras.ops.transpose(p, (0, 2, 1))
    return keras.losses.sparse_categorical_crossentropy(y, p)


@pytest.mark.parametrize(
    ("axis", "loss", "y", "codes"),
    [
        (1, keras.losses.CategoricalCrossentropy(axis=1), ROWS, []),
        (1, keras.losses.CategoricalCrossentropy(), ROWS, ["LOSS005"]),
        (1, sparse, IDS, []),
        (-1, keras.losses.CategoricalCrossentropy(axis=1), ROWS, ["OUT006"]),
    ],
)
def test_classes_first_and_flattened(axis: int, loss: Any, y: Any, codes: list[str]) -> None:
    report = segdoctor.check(
        net(axis),
        (IMAGES, y),
        loss=loss,
        optimizer="adam",
        trial=False,
        select=("OUT", "LOSS", "IGN", "LBL"),
    )
    assert [f.code for f in report.findings if f.severity == "error"] == codes
    assert any("classes first" in note for note in report.notes)
