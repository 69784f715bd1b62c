"""Bars of one colour along the borders of an image: what padding leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EVEN = 3  # grey levels by which the pixels of a bar may differ (JPEG)
_LEAST = 0.04  # share of the side that a bar has at least
_MOST = 0.7


def bar_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """The bars of an image on two opposite sides, or on one.

    Parameters
    ----------
    pixels : array (S, S, channels)

    Returns
    -------
    boolean array (S, S) or None
        None where there is no bar, or where all four sides have one: that is rather an object on
        a plain ground.
    """
    even_rows = _even(pixels, axis=1)
    even_columns = _even(pixels, axis=0)
    if even_rows.all() or even_columns.all():
        return None
    top, bottom = _run(even_rows), _run(even_rows[::-1])
    left, right = _run(even_columns), _run(even_columns[::-1])
    side = len(pixels)
    least = max(2, round(_LEAST * side))
    vertical = [run if run >= least else 0 for run in (top, bottom)]
    horizontal = [run if run >= least else 0 for run in (left, right)]
    if all(vertical) and all(horizontal):
        return None
    marked = np.zeros(pixels.shape[:2], dtype=bool)
    marked[: vertical[0]] = True
    marked[side - vertical[1] :] = True
    marked[:, : horizontal[0]] = True
    marked[:, side - horizontal[1] :] = True
    share = float(marked.mean())
    if not 0 < share <= _MOST or np.ptp(pixels[marked].astype(np.int16), axis=0).max() > 2 * _EVEN:
        return None
    return marked


def _even(pixels: NDArray[np.uint8], axis: int) -> NDArray[np.bool_]:
    """Which rows (axis 1) or columns (axis 0) are of one colour."""
    spread = pixels.max(axis=axis).astype(np.int16) - pixels.min(axis=axis)
    even: NDArray[np.bool_] = spread.max(axis=-1) <= _EVEN
    return even


def _run(even: NDArray[np.bool_]) -> int:
    """How many at the start are even."""
    return int(len(even) if even.all() else even.argmin())
