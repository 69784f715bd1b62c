"""Labels as fed in the plane: smoothed, folded into a ring, padded; and what only looks like it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.engine import examine
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.measures.fed_masks import fed_bars
from segdoctor.measures.labels import label_facts
from segdoctor.probes.mask_shape import InterpolatedLabels, LossyMasks
from segdoctor.probes.padding import PaddingLabelled
from segdoctor.probes.void_on_disk import VoidAsClass, VoidFolded

Ids = NDArray[np.int32]


def drawn(ring: int | None = None, size: int = 64) -> Ids:
    """Four masks of two objects on ground; ``ring``: an id around both."""
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((4, size, size), np.int32)
    for mask, shift in zip(masks, range(4), strict=True):
        for label, centre in ((5, 20 + shift), (9, 45 - shift)):
            far = np.hypot(rows - centre, columns - centre)
            if ring is not None:
                mask[far < 12] = ring
            mask[far < 10] = label
    return masks


def status(probe: Probe, y: NDArray[np.generic], channels: int = 21, **more: object) -> str:
    low, high = (0.0, 1.0) if channels == 1 else (-1.0, 1.0)
    head = HeadFacts((4, 64, 64, channels), channels, 3, "logits", low, high, 2.0)
    labels = label_facts(y, channels)
    declared = more.pop("declared", Declared())
    fields = {"labels": labels, "head": head, "declared": declared, **more}
    outcome = examine(probe, Trace(fields))
    return outcome.findings[0].severity if outcome.findings else outcome.status


def smoothed(y: NDArray[np.generic]) -> NDArray[np.float64]:
    values = y.astype(float)
    for axis in (1, 2):
        values = (np.roll(values, 1, axis) + 2 * values + np.roll(values, -1, axis)) / 4
    return values


def test_smoothed_labels() -> None:
    y = drawn()
    assert status(InterpolatedLabels(), smoothed(y)) == "error"
    assert status(InterpolatedLabels(), np.rint(smoothed(y))) == "error"
    assert status(InterpolatedLabels(), y) == "clear"
    assert status(InterpolatedLabels(), drawn(255)) == "clear"
    soft = smoothed(np.minimum(y, 1))[..., None]
    assert status(InterpolatedLabels(), soft, channels=1) == "warning"
    assert status(LossyMasks(), smoothed(y)) == "clear"


def test_void_that_became_a_class() -> None:
    assert status(VoidFolded(), drawn(20)) == "error"
    void = Declared(ignore_label=255, ignore_declared_by="user")
    assert status(VoidFolded(), drawn(3), channels=30, declared=void) == "error"
    # Drawn borders of some other set: the last class is told of, any other is left alone.
    assert status(VoidFolded(), drawn(3), channels=30) == "clear"
    assert status(VoidAsClass(), drawn(21), channels=22) == "warning"
    assert status(VoidAsClass(), drawn(3), channels=30) == "clear"
    for probe in (VoidFolded(), VoidAsClass()):
        assert status(probe, drawn(255)) == "clear"
        assert status(probe, drawn()) == "clear"


def test_padding_that_carries_a_class() -> None:
    generator = np.random.default_rng(0)
    x = generator.random((4, 64, 64, 3)).astype(np.float32)
    x[:, :, :10] = 0.5
    y = drawn()
    y[:, :, :10] = 7
    sick = {"bars_as_fed": fed_bars(x, y)}
    assert status(PaddingLabelled(), y, **sick) == "error"
    y[:, :, :10] = 0
    assert status(PaddingLabelled(), y, bars_as_fed=fed_bars(x, y)) == "warning"
    y[:, :, :10] = 255
    assert status(PaddingLabelled(), y, bars_as_fed=fed_bars(x, y)) == "clear"
    plain = np.full_like(x, 0.5)
    plain[:, 30:, 30:] = x[:, 30:, 30:]
    assert fed_bars(plain, np.zeros((4, 64, 64), np.int32)) == ()
