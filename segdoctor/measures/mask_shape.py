"""How the ids of one mask lie: sharp borders, ramps between two ids, speckles, thin rings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEAR = 12  # a speckle differs by at most so much from the ids around it
_CORE = 3  # pixels to every side that must be of the same kind
_MOST_IDS = 64


@dataclass(frozen=True, slots=True)
class MaskShape:
    """Counts over the rows and the columns of one mask.

    ``edges``: places where two neighbours differ by two or more and neither lies on a ramp.
    ``ramps``: pixels strictly between their two neighbours, which differ by two or more from each
    other: what a smoothing filter leaves on every border, and a drawing on none.
    ``speckles``: pixels that are above or below both of their neighbours, which are within
    ``12`` of it: what a lossy code leaves around borders.
    ``core``: id → pixels of it that are three pixels or more from any other id; an id of many
    pixels and no core is a thin line.
    ``borders``: places where two neighbours differ; ``touches``: id → those it has a part in. A
    thin line with a part in all of them is a ring around everything, as void is.
    ``speckle_values``: different values among the speckles.
    """

    edges: int
    ramps: int
    speckles: int
    core: dict[int, int]
    borders: int
    touches: dict[int, int]
    speckle_values: int


def mask_shape(ids: NDArray[np.integer]) -> MaskShape:
    """Measure ``ids`` (H, W)."""
    values = np.asarray(ids)
    if values.dtype.kind != "u" or values.dtype.itemsize > 1:
        values = values.astype(np.int32)
    edges = ramps = speckles = borders = 0
    touches: Counter[int] = Counter()
    dotted: set[int] = set()
    for lines in (values, np.ascontiguousarray(values.T)):
        jumps, between, dots = _along(lines)
        edges, ramps, speckles = edges + jumps, ramps + between, speckles + len(dots)
        dotted.update(np.unique(dots).tolist())
        changed = lines[:, 1:] != lines[:, :-1]
        borders += int(changed.sum())
        for side in (lines[:, :-1][changed], lines[:, 1:][changed]):
            found, times = np.unique(side, return_counts=True)
            touches.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    most = dict(touches.most_common(_MOST_IDS))
    return MaskShape(edges, ramps, speckles, _cores(values), borders, most, len(dotted))


def _along(lines: NDArray[np.integer]) -> tuple[int, int, NDArray[np.int32]]:
    """``(edges, ramps, values of the speckles)`` along the rows; only pixels beside a change are
    looked at."""
    changes = np.argwhere(lines[:, 1:] != lines[:, :-1])
    if not len(changes):
        return 0, 0, np.empty(0, np.int32)
    width = lines.shape[1]
    # Each change has a pixel on either side; of each, its two neighbours.
    columns = np.concatenate([changes[:, 1], changes[:, 1] + 1])
    rows = np.concatenate([changes[:, 0], changes[:, 0]])
    flat = np.unique(rows * width + columns)
    row, column = np.divmod(flat, width)
    inner = (column > 0) & (column < width - 1)
    row, column = row[inner], column[inner]
    wide = lines.astype(np.int32)
    here, left, right = wide[row, column], wide[row, column - 1], wide[row, column + 1]
    between = ((here > left) & (here < right)) | ((here < left) & (here > right))
    outside = ((here > left) & (here > right)) | ((here < left) & (here < right))
    close = np.maximum(np.abs(here - left), np.abs(here - right)) <= _NEAR
    ramp = np.zeros(lines.shape, dtype=bool)
    ramp[row[between], column[between]] = True
    first, second = changes[:, 0], changes[:, 1]
    jump = np.abs(wide[first, second] - wide[first, second + 1]) >= 2
    jump &= ~(ramp[first, second] | ramp[first, second + 1])
    return int(jump.sum()), int(between.sum()), here[outside & close]


def _cores(values: NDArray[np.integer]) -> dict[int, int]:
    """Id → pixels that are at least three pixels away from any other id."""
    near = np.zeros(values.shape, dtype=bool)
    right, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    near[:, 1:] |= right
    near[:, :-1] |= right
    near[1:] |= down
    near[:-1] |= down
    for _ in range(_CORE - 1):
        near = _grown(near)
    found, counts = np.unique(values[~near], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_IDS]
    return {int(found[i]): int(counts[i]) for i in order}


def _grown(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``marked`` and its eight neighbours."""
    sideways = marked.copy()
    sideways[:, 1:] |= marked[:, :-1]
    sideways[:, :-1] |= marked[:, 1:]
    grown = sideways.copy()
    grown[1:] |= sideways[:-1]
    grown[:-1] |= sideways[1:]
    return grown
