"""Looks at examples as they are fed: what their images hold, whether image and label belong
together."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.data_facts import PixelFacts
from segdoctor.core.fed_facts import FedFacts
from segdoctor.measures.digests import digest
from segdoctor.measures.edges import GRID
from segdoctor.measures.labels import label_facts
from segdoctor.measures.pairing import SmallPair, alignment

_FINE = 16  # steps that are told apart between two neighbouring ids
_ONE = 255  # … and between 0 and 1
_SILENT, _VOID = 0.5, np.float32(255)
FEWEST_PX = GRID // 4
"""Side below which an outline has too few pixels of its own to tell whose it is: each would count
many times on the grid, and chance would look like proof."""
_LARGEST = 1 << 15  # beyond which values are no ids
_MOST_CLASSES = 256  # of more values, they are no ids either

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class FedExample:
    """One example, reduced: ``small`` float32 (GRID, GRID, 3), ``ids`` (GRID, GRID)."""

    small: NDArray[np.float32]
    low: float
    high: float
    finite: bool
    digest: str
    ids: NDArray[np.integer] | None = None  # (GRID, GRID)
    side: int = GRID  # the shorter one, before it was reduced


def fed_example(x: Array, y: Array) -> FedExample:
    """Reduce an image (H, W, channels) and its label (H, W), (H, W, 1) or (H, W, C)."""
    values = np.asarray(x, np.float32)
    finite = bool(np.isfinite(values).all())
    values = np.nan_to_num(values)
    ids = fine_ids(y)
    return FedExample(
        small=_small(values),
        low=float(values.min()),
        high=float(values.max()),
        finite=finite,
        digest=digest(x),
        ids=None if ids is None else _nearest(ids),
        side=min(values.shape[:2]),
    )


def fed_facts(examples: list[FedExample], *, whole: bool) -> FedFacts:
    """What the examples say together; ``whole``: they are of one array, each once."""
    low, high = min(e.low for e in examples), max(e.high for e in examples)
    scale = 255 / (high - low) if high > low else 0.0
    pictures = [((e.small - low) * scale).clip(0, 255).astype(np.uint8) for e in examples]
    names = [f"example {i}" for i in range(len(examples))]
    pairs = [
        SmallPair(name, name, name, picture, example.ids)
        for name, picture, example in zip(names, pictures, examples, strict=True)
        if example.ids is not None and example.side >= FEWEST_PX
    ]
    alike: dict[str, list[str]] = defaultdict(list)
    for name, example in zip(names, examples, strict=True):
        alike[example.digest].append(name)
    return FedFacts(
        examples=len(examples),
        pixels=tuple(
            _pixel_facts(name, picture) for name, picture in zip(names, pictures, strict=True)
        ),
        alignment=alignment(pairs, len(pairs)),
        not_finite=tuple(n for n, e in zip(names, examples, strict=True) if not e.finite),
        repeated=tuple(tuple(group) for group in alike.values() if whole and len(group) > 1),
        classes=_classes(examples),
    )


def _classes(examples: list[FedExample]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for example in examples:
        if example.ids is not None:
            values, pixels = np.unique(example.ids, return_counts=True)
            counts.update(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
    return dict(counts) if len(counts) <= _MOST_CLASSES else {}


def fine_ids(y: Array) -> NDArray[np.int32] | None:
    """Whole numbers (H, W) that lie as the labels do, None where they are none.

    Where ids have fractions (smoothed, or divided), steps between them become whole ones; of
    one-hot labels the mean id of each pixel is taken, which a smoothing filter makes a fraction.
    """
    values = np.asarray(y)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        facts = label_facts(values[None])
        if facts.kind != "onehot" or facts.sums_to_one_over is not None:
            return None
        weights = np.arange(values.shape[-1], dtype=np.float32)
        rows = values.astype(np.float32)
        silent = np.abs(rows.sum(axis=-1) - 1) > _SILENT  # rows of zeros or of 255: void
        values = np.where(silent, _VOID, np.clip(rows, 0, 1) @ weights)
    if values.ndim != 2:
        return None
    values = values.astype(np.float32) if values.dtype.kind == "f" else values.astype(np.int32)
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > _LARGEST:
        return None
    if values.dtype.kind == "f" and np.abs(values - np.rint(values)).max(initial=0) > 1e-4:
        values = values * (_ONE if values.min() >= 0 and values.max() <= 1 else _FINE)
    return np.asarray(np.rint(values), np.int32)


def _pixel_facts(name: str, picture: NDArray[np.uint8]) -> PixelFacts:
    flat = picture.reshape(-1, picture.shape[-1]).astype(np.float64)
    return PixelFacts(
        stem=name,
        path=name,
        low=int(flat.min()),
        high=int(flat.max()),
        mean=tuple(flat.mean(axis=0).round(3).tolist()),
        deviation=tuple(flat.std(axis=0).round(3).tolist()),
    )


def _small(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, channels) on the common grid, with three channels (of more, the first three)."""
    planes = [values[..., i] for i in range(min(values.shape[-1], 3))]
    shrunk = [
        np.asarray(Image.fromarray(plane).resize((GRID, GRID), Image.Resampling.BILINEAR))
        for plane in planes
    ]
    return np.stack((shrunk * 3)[:3], axis=-1)


def _nearest(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    rows = ((np.arange(GRID) + 0.5) * ids.shape[0] / GRID).astype(np.intp)
    columns = ((np.arange(GRID) + 0.5) * ids.shape[1] / GRID).astype(np.intp)
    nearest: NDArray[np.int32] = ids[rows[:, None], columns[None, :]]
    return nearest
