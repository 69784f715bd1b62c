"""Gives void back to masks in which it was folded into a class: thin rings of that class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REACH = 3  # pixels to every side: what is thinner than twice that is a line


def restored(ids: NDArray[np.integer], label: int, void: int) -> NDArray[np.int32]:
    """``ids`` (H, W) with void where class ``label`` is nothing but a thin line.

    Solid parts of the class, with the pixel around them, stay what they are. Masks that hold void
    already, or nothing else than the class, come back as they are.
    """
    found: NDArray[np.int32] = np.asarray(ids, np.int32)
    mine = found == label
    if (found == void).any() or mine.all() or not mine.any():
        return found
    solid = _grown(~_grown(~mine, _REACH), _REACH + 1)
    return np.where(mine & ~solid, void, found).astype(np.int32)


def _grown(where: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Each pixel and its square of ``reach`` pixels to every side; nothing lies off the border."""
    for axis in (0, 1):
        grown = where.copy()
        for step in range(1, reach + 1):
            ahead = [slice(None), slice(None)]
            behind = [slice(None), slice(None)]
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            grown[tuple(behind)] |= where[tuple(ahead)]
            grown[tuple(ahead)] |= where[tuple(behind)]
        where = grown
    return where
