"""Sigmoids for labels that do not exclude each other: a pixel of no class is no void."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segdoctor

keras = pytest.importorskip("keras")
SIDE = 16
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 4, (4, 4, 4)).repeat(4, 1).repeat(4, 2)
SEVERAL = np.stack([(IDS == 1) | (IDS == 2), IDS == 2, IDS == 3], -1).astype(np.float32)
IMAGES = RNG.random((4, SIDE, SIDE, 3), dtype=np.float32)


def told(kind: str | None, **settings: Any) -> list[tuple[str, str]]:
    image = keras.layers.Input((SIDE, SIDE, 3))
    model = keras.Model(image, keras.layers.Conv2D(3, 1, activation=kind)(image))
    report = segdoctor.check(
        model,
        (IMAGES, SEVERAL),
        loss=keras.losses.BinaryCrossentropy(from_logits=kind is None),
        optimizer="adam",
        metrics=[keras.metrics.BinaryIoU(threshold=0.0 if kind is None else 0.5)],
        trial=False,
        select=("OUT", "LOSS", "IGN", "LBL", "MET"),
        **settings,
    )
    return [(f.code, f.severity) for f in report.findings]


@pytest.mark.parametrize("kind", ["sigmoid", None])
def test_nothing_is_said_of_pixels_without_a_class(kind: str | None) -> None:
    assert told(kind) == []


def test_a_declared_void_is_believed() -> None:
    assert ("IGN001", "error") in told("sigmoid", ignore_label=255)
