"""Statistics of a large array, block by block, in small memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_BLOCK = 1 << 17  # elements: what stays in the processor's cache
_SMALL = 1 << 14  # elements of an array that is summed beside others
_ROW = 512
_ONES = np.ones(_ROW, np.float32)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the finite elements; they merge (``a + b``). ``spread`` is the sum of
    squared deviations from the mean. Without a finite element the four numbers are NaN."""

    count: int = 0
    not_finite: int = 0
    zeros: int = 0
    mean: float = math.nan
    spread: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan

    @property
    def std(self) -> float:
        finite = self.count - self.not_finite
        return math.sqrt(self.spread / finite) if finite else math.nan

    def __add__(self, other: Statistics) -> Statistics:
        mine, theirs = self.count - self.not_finite, other.count - other.not_finite
        count, not_finite = self.count + other.count, self.not_finite + other.not_finite
        zeros = self.zeros + other.zeros
        if not mine or not theirs:
            known = self if mine else other
            return Statistics(
                *(count, not_finite, zeros),
                *(known.mean, known.spread, known.minimum, known.maximum),
            )
        both = mine + theirs
        gap = other.mean - self.mean
        return Statistics(
            count,
            not_finite,
            zeros,
            self.mean + gap * theirs / both,
            self.spread + other.spread + gap * gap * mine * theirs / both,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


def statistics_of(values: Any, room: Any = None) -> Statistics:
    """Statistics of one block, an array of numbers or booleans of any shape.

    ``room`` is a float64 array to work in: fresh memory costs more than the arithmetic.

    Sums are float64. The squares are summed as they are, and about the block's mean where that
    would cost more than six digits.
    """
    flat = np.asarray(values).reshape(-1)
    count = flat.size
    if not count:
        return Statistics()
    lowest, highest = float(flat.min()), float(flat.max())
    not_finite = 0
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        flat = flat[np.isfinite(flat)]
        not_finite = count - flat.size
        if not flat.size:
            return Statistics(count, not_finite)
        lowest, highest = float(flat.min()), float(flat.max())
    zeros = int(np.count_nonzero(flat == 0)) if lowest <= 0 <= highest else 0
    quick = _in_single(flat, max(-lowest, highest)) if flat.dtype == np.float32 else None
    if quick is not None:
        return Statistics(count, not_finite, zeros, *quick, lowest, highest)
    if room is None or room.size < flat.size:
        wide = flat.astype(np.float64, copy=False)
    else:
        wide = room[: flat.size]
        np.copyto(wide, flat, casting="unsafe")
    mean = float(np.add.reduce(wide)) / wide.size
    # Not np.dot: its threads wait for each other where the cores are busy.
    square = float(np.einsum("i,i->", wide, wide))
    spread = square - wide.size * mean * mean
    if not spread > 1e-9 * square:
        wide = wide - mean
        spread = float(np.einsum("i,i->", wide, wide))
    return Statistics(count, not_finite, zeros, mean, spread, lowest, highest)


def statistics_of_each(arrays: Sequence[Any]) -> list[Statistics]:
    """:func:`statistics_of` of each array. Small ones are laid end to end and summed together: a
    net has hundreds of vectors, and a call for each costs more than its arithmetic."""
    found: list[Statistics | None] = [None] * len(arrays)
    small = [i for i, a in enumerate(arrays) if 0 < a.size <= _SMALL and a.dtype.kind == "f"]
    if len(small) > 1:
        sizes = np.array([arrays[i].size for i in small])
        wide = np.concatenate([arrays[i].reshape(-1) for i in small]).astype(np.float64)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        with np.errstate(all="ignore"):
            lowest, highest = (f.reduceat(wide, starts) for f in (np.minimum, np.maximum))
            mean = np.add.reduceat(wide, starts) / sizes
            square = np.add.reduceat(wide * wide, starts)
            spread = square - sizes * mean * mean
        zeros = np.add.reduceat(wide == 0.0, starts, dtype=np.int64)
        exact = np.isfinite(lowest + highest) & (spread > 1e-9 * square)
        for k in np.flatnonzero(exact).tolist():
            found[small[k]] = Statistics(
                *(int(sizes[k]), 0, int(zeros[k]), float(mean[k]), float(spread[k])),
                *(float(lowest[k]), float(highest[k])),
            )
    room = np.empty(_BLOCK)
    return [
        statistics_of(array, room) if known is None else known
        for array, known in zip(arrays, found, strict=True)
    ]


def _in_single(flat: Any, largest: float) -> tuple[float, float] | None:
    """``(mean, spread)`` of float32 numbers, summed in rows of 512 in single precision: half the
    time, and eight digits. None where that would not be exact enough."""
    vecdot = getattr(np, "vecdot", None)  # NumPy 2.1 and later
    if vecdot is None or flat.size < _SMALL or flat.size % _ROW or not 1e-15 < largest < 1e15:
        return None
    rows = flat.reshape(-1, _ROW)
    mean = float(np.add.reduce(rows @ _ONES, dtype=np.float64)) / flat.size
    square = float(np.add.reduce(vecdot(rows, rows), dtype=np.float64))
    spread = square - flat.size * mean * mean
    return (mean, spread) if spread > 0.1 * square else None


def total_of(blocks: Iterable[Any]) -> Statistics:
    """The merged statistics of all ``blocks``."""
    total = Statistics()
    room = np.empty(_BLOCK)
    for block in blocks:
        total = total + statistics_of(block, room)
    return total


def blocks_of(values: Any) -> Iterator[Any]:
    """An array in memory, flat and in blocks that stay in the processor's cache."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK]


def block_slices(shape: Sequence[int], limit: int) -> Iterator[tuple[slice, ...]]:
    """Slices that cover an array of ``shape`` in blocks of at most ``limit`` elements."""
    if not shape:
        yield ()
        return
    inner = math.prod(shape[1:])
    if inner > limit:
        for index in range(shape[0]):
            for rest in block_slices(shape[1:], limit):
                yield (slice(index, index + 1), *rest)
        return
    step = max(limit // max(inner, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)
