"""What the labels as fed say at the pixels that are void in the masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]

_LEAST_BORDER = 2  # rows or columns of one colour from which on they are padding


def forms_at(
    y: NDArray[Any], where: Bool, *, onehot: bool, void: int, class_axis: int = -1
) -> dict[str, int]:
    """How the labels write the pixels of ``where``.

    Parameters
    ----------
    y : labels as fed, with as many pixels as ``where``.
    where : bool (B, H, W).

    Returns
    -------
    dict
        ``"255"`` (ids) or ``"row of zeros"``, ``"row of 255"``, ``"255 in one channel"``, and
        ``"class 0"``, … → pixels; the most frequent first.
    """
    chosen = where.reshape(-1)
    if onehot:
        rows = np.moveaxis(y, class_axis, -1)
        rows = np.asarray(rows.reshape(-1, rows.shape[-1])[chosen], np.float32)
        names = _row_names(rows, void)
    else:
        names = np.asarray(np.rint(y.reshape(-1)[chosen].astype(np.float64)), np.int64)
    values, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    found = {}
    for index in order:
        value = int(values[index])
        if onehot:
            name = _ROWS.get(value, f"class {value}")
        else:
            name = str(value) if value < 0 or value == void else f"class {value}"
        found[name] = int(counts[index])
    return found


_ROWS = {-1: "row of zeros", -2: "row of 255", -3: "255 in one channel", -4: "no class"}


def _row_names(rows: NDArray[np.float32], void: int) -> NDArray[np.int64]:
    top, low, total = rows.max(axis=-1), rows.min(axis=-1), rows.sum(axis=-1)
    named = rows.argmax(axis=-1).astype(np.int64)
    named[(top > 1) | (low < 0) | (total <= 0.5)] = -4
    named[(top == void) & (low == 0)] = -3
    named[(top == void) & (low == void)] = -2
    named[(top == 0) & (low == 0)] = -1
    return np.asarray(named)


def padding_of(x: NDArray[Any]) -> Bool:
    """Rows and columns at the border of each image that are of one colour: (B, H, W).

    Images that are of one colour throughout have none.
    """
    found = np.zeros(x.shape[:3], bool)
    for image, mask in zip(np.asarray(x), found, strict=True):
        flat = np.all(image == image[:1, :1], axis=-1)
        if flat.all():
            continue
        for turned, out in ((flat, mask), (flat.T, mask.T)):
            whole = turned.all(axis=1)
            first = int(np.argmin(whole))
            if first >= _LEAST_BORDER:
                out[:first] = True
        ends = np.all(image == image[-1:, -1:], axis=-1)
        for turned, out in ((ends, mask), (ends.T, mask.T)):
            last = int(np.argmin(turned.all(axis=1)[::-1]))
            if last >= _LEAST_BORDER:
                out[-last:] = True
    return found
