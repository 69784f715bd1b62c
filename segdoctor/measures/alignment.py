"""Do the outlines of masks follow the edges of their images, better than those of others do?

For every image and every mask of a set, how well they fit is one number: the table. Each image
suits outlines more or less, and each mask is long or short, so rows and columns are brought to
mean 0 and deviation 1 (by medians, so that wrong pairs do not disturb): what is left, *z*, is
standard normal for pairs that have nothing to do with each other (measured on 160 real VOC pairs:
kurtosis 2.8, 0.2 % above 3, 0.008 % above 4). That makes the p-values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.edges import TURNS, Float, turned
from segdoctor.measures.shift import Displacement, common_displacement

FEWEST = 8
_CHUNK = 32
_POLISH = 4
_PRIOR = 12  # cells of the pooled deviation that each row and column is shrunk towards
_MAD = 1.4826  # of a normal distribution, deviation / median absolute deviation

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fits:
    """How well outlines fit images. ``own`` (N,) are the pairs' z; ``z`` (N, N) has images as rows
    and masks as columns; ``turned`` maps a turn of the mask to the z of the pairs then; ``chance``
    is the probability that a random pairing fits as well."""

    z: Table
    turned: dict[str, NDArray[np.float64]]
    chance: float
    displacement: Displacement | None = None

    @property
    def own(self) -> NDArray[np.float64]:
        return np.diagonal(self.z)


def fits(
    images: Sequence[Float] | Float,
    outlines: Sequence[Float],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Fits | None:
    """Fit every outline to every image.

    Parameters
    ----------
    images, outlines : N arrays (3, S, S)
        Of :func:`~segdoctor.measures.edges.image_edges` and
        :func:`~segdoctor.measures.edges.mask_edges`; pair ``i`` is ``images[i], outlines[i]``.
    stopped : callable
        Asked between the parts of the work; True ends it.

    Returns
    -------
    Fits or None
        None if there are fewer than ``FEWEST`` pairs, or it was stopped.
    """
    count = len(images)
    if count < FEWEST:
        return None
    rows = np.asarray(images).reshape(count, -1)
    table = np.empty((count, count))
    changed = {how: np.empty(count) for how in TURNS}
    for start in range(0, count, _CHUNK):
        if stopped():
            return None
        chunk = range(start, min(start + _CHUNK, count))
        table[:, chunk.start : chunk.stop] = rows @ np.stack(
            [outlines[j].reshape(-1) for j in chunk], axis=1
        )
        for j in chunk:
            for how in TURNS:
                changed[how][j] = float(rows[j] @ turned(outlines[j], how).reshape(-1))
    z, level, scale = standardised(table)
    own_level, own_scale = np.diagonal(level), np.diagonal(scale)
    after = {how: (scores - own_level) / own_scale for how, scores in changed.items()}
    moved = common_displacement(images, outlines, own_scale)
    return Fits(z, after, chance_of_all(table), moved)


def standardised(table: Table) -> tuple[Table, Table, Table]:
    """``(z, level, scale)`` with ``z = (table - level) / scale``, each (N, N).

    The level is additive in rows and columns (Tukey's median polish), the scale a product of a
    row's and a column's, each shrunk towards the pooled one. The diagonal is left out of both.
    """
    count = len(table)
    level = np.zeros((count, 1)), np.zeros((1, count))
    rest = table
    for _ in range(_POLISH):
        by_row = _median_of_others(rest, 1)
        level[0][:] += by_row
        rest = rest - by_row
        by_column = _median_of_others(rest, 0)
        level[1][:] += by_column
        rest = rest - by_column
    scale = np.ones((count, 1)), np.ones((1, count))
    for _ in range(_POLISH):
        for axis in (1, 0):
            size = count - 1
            own = _MAD * _median_of_others(np.abs(rest), axis)
            pooled = _MAD * float(np.median(np.abs(rest[~np.eye(count, dtype=bool)]))) or 1.0
            shrunk = np.sqrt((_PRIOR * pooled**2 + size * own**2) / (_PRIOR + size))
            scale[1 - axis][:] *= shrunk
            rest = rest / shrunk
    whole_level, whole_scale = level[0] + level[1], scale[0] * scale[1]
    return (table - whole_level) / whole_scale, whole_level, whole_scale


def _median_of_others(values: Table, axis: int) -> Table:
    """Median along an axis of an (N, N) table, its diagonal left out; N and 1 long."""
    by_row = values if axis == 1 else values.T
    count = len(values)
    others = by_row[~np.eye(count, dtype=bool)].reshape(count, count - 1)
    medians: Table = np.expand_dims(np.median(others, axis=1), axis)
    return medians


def chance(z: float, count: int, tries: float = 1.0) -> float:
    """Probability that the best of ``tries`` outlines of other images fits as well as ``z``.

    Bonferroni over the tail of Student's t with ``count - 1`` degrees of freedom, for level and
    scale come from as many numbers; t is turned into a normal deviate after Wallace (1959).
    """
    if z <= 0:
        return 1.0
    free = max(count - 1, 1)
    normal = math.sqrt(free * math.log1p(z * z / free)) * (8 * free + 1) / (8 * free + 3)
    return min(1.0, tries * 0.5 * math.erfc(normal / math.sqrt(2)))


def chance_of_all(table: Table, seed: int = 0, draws: int = 999) -> float:
    """Probability that a random pairing fits as well as this one: a permutation test, exact.

    The statistic is the sum of the diagonal after rows and columns were brought to mean 0; its
    standardisation does not know which pairing is the given one.
    """
    rest = table - table.mean(axis=0, keepdims=True)
    rest = rest - rest.mean(axis=1, keepdims=True)
    count = len(table)
    given = float(np.trace(rest))
    rng = np.random.default_rng(seed)
    rows = np.arange(count)
    drawn = [float(rest[rows, rng.permutation(count)].sum()) for _ in range(draws)]
    return (1 + sum(value >= given for value in drawn)) / (1 + draws)
