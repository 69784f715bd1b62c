"""Examples as they are fed: paired wrongly, turned, flat, not finite; and sound ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.probes.alignment import PairsMisaligned
from segdoctor.probes.images import InputDegenerate
from segdoctor.sources.stream import watch_batches

Array = NDArray[Any]
Arrays = tuple[Array, Array]
PROBES = (PairsMisaligned(), InputDegenerate())
SIDE = 128
CLASSES = 21


@pytest.fixture(scope="module")
def pairs(voc_folder: Path) -> Arrays:
    """Images in [-1, 1] (14, 128, 128, 3), and ids with void 255."""
    stems = sorted(path.stem for path in (voc_folder / "SegmentationClass").glob("*.png"))[:14]
    images, masks = [], []
    for stem in stems:
        image = Image.open(voc_folder / "JPEGImages" / f"{stem}.jpg").convert("RGB")
        mask = Image.open(voc_folder / "SegmentationClass" / f"{stem}.png")
        images.append(np.asarray(image.resize((SIDE, SIDE))))
        masks.append(np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST)))
    return np.stack(images) / np.float32(127.5) - 1, np.stack(masks)


def codes(data: Any) -> set[str]:
    trace = Trace({"fed": watch_batches(data)[2]})
    outcomes = [examine(probe, trace) for probe in PROBES]
    assert [outcome.reason for outcome in outcomes if outcome.status == "crashed"] == []
    return {outcome.code for outcome in outcomes if outcome.findings}


def onehot(y: Array) -> Array:
    return (y[..., None] == np.arange(CLASSES)).astype(np.float32)


def bars(x: Array, y: Array, label: int) -> Arrays:
    x, y = x.copy(), y.copy()
    x[:, :20], y[:, :20] = 0, label
    return x, y


def with_nan(x: Array) -> Array:
    x = x.copy()
    x[3, 5, 5] = np.nan
    return x


def binary(y: Array) -> Array:
    return ((y > 0) & (y < 255)).astype(np.float32)


SOUND: dict[str, Callable[[Array, Array], Arrays]] = {
    "ids with void": lambda x, y: (x, y),
    "ids with an axis": lambda x, y: (x, y[..., None].astype(np.int32)),
    "ids as floats": lambda x, y: (x, y.astype(np.float32)),
    "binary": lambda x, y: (x, binary(y)[..., None]),
    "one-hot": lambda x, y: (x, onehot(y)),
    "smoothed one-hot labels": lambda x, y: (x, onehot(y) * 0.9 + 0.1 / CLASSES),
    "grey images": lambda x, y: (x[..., :1], y),
    "a few examples": lambda x, y: (x[:4], y[:4]),
    "both flipped": lambda x, y: (x[:, :, ::-1], y[:, :, ::-1]),
    "crops": lambda x, y: (x[:, 20:90, 10:80], y[:, 20:90, 10:80]),
    "padded with void": lambda x, y: bars(x, y, 255),
    "labels on a coarser grid": lambda x, y: (x, y[:, ::4, ::4]),
}
SICK: dict[str, tuple[str, Callable[[Array, Array], Arrays]]] = {
    "shuffled apart": ("DATA004", lambda x, y: (x, np.roll(y, 5, axis=0))),
    "labels mirrored": ("DATA004", lambda x, y: (x, y[:, :, ::-1])),
    "half upside down": (
        "DATA004",
        lambda x, y: (x, np.where(np.arange(len(y))[:, None, None] % 2, y[:, ::-1], y)),
    ),
    "shifted one-hot": ("DATA004", lambda x, y: (x, onehot(np.roll(y, 9, axis=2)))),
    "nothing but one colour": ("DATA010", lambda x, y: (x * 0 + 0.5, y)),
    "one example again and again": ("DATA010", lambda x, y: (x[[0, 0, 0, 1]], y[[0, 0, 0, 1]])),
    "NaN": ("DATA010", lambda x, y: (with_nan(x), y)),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_examples_raise_no_finding(name: str, pairs: Arrays) -> None:
    assert codes(SOUND[name](*pairs)) == set()


@pytest.mark.parametrize("name", SICK)
def test_sick_examples_are_named(name: str, pairs: Arrays) -> None:
    code, make = SICK[name]
    assert codes(make(*pairs)) == {code}


def test_batches_are_looked_at_as_arrays_are(pairs: Arrays) -> None:
    x, y = pairs

    def mirrored() -> Any:
        for start in range(0, len(x), 4):
            yield x[start : start + 4], y[start : start + 4, :, ::-1]

    assert codes(mirrored) == {"DATA004"}
    fed = watch_batches(mirrored)[2]
    assert fed.examples == len(x)


def test_the_batch_holds_the_rare_label(pairs: Arrays) -> None:
    x, y = pairs
    y = np.where(y == 255, 0, y)
    y[11, 0, 0] = 255
    batch = watch_batches((x, y), batch_size=4)[0].batches[0]
    assert batch.y.shape[0] == 4
    assert batch.y.max() == 255
    assert np.array_equal(batch.x[0], x[0])
