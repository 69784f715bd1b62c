"""How the labels as fed lie in the plane, example by example: ramps, speckles, rings, bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.data_facts import ShapeFacts
from segdoctor.core.measured import FedBar, FedMask
from segdoctor.measures.bars import bar_mask
from segdoctor.measures.mask_shape import mask_shape

_GRID = 96  # side of the grid on which bars are looked for
_FINE = 16  # steps of one id, so that fractions between two ids stay apart
_SAME = 12  # grey levels by which two pixels of one colour may differ
_FAR = 1 << 24  # no id lies beyond
_MOST_LABELS = 64  # examples looked at


def fed_masks(y: NDArray[Any]) -> tuple[FedMask, ...]:
    """The shape of each example's labels; () where they do not lie in a plane.

    Parameters
    ----------
    y : array (B, H, W) or (B, H, W, 1) of ids, or of fractions where they were smoothed.
    """
    planes = np.asarray(y)
    if planes.ndim == 4 and planes.shape[-1] == 1:
        planes = planes[..., 0]
    if planes.ndim != 3 or min(planes.shape[1:]) < 3:
        return ()
    if planes.dtype.kind == "f":
        planes = np.clip(np.nan_to_num(planes.astype(np.float64)), -_FAR, _FAR)
        if (np.mod(planes, 1) != 0).any():
            planes = planes * (255 if planes.min() >= 0 and planes.max() <= 1 else _FINE)
        planes = np.rint(planes)
    found = []
    for number, plane in enumerate(planes[:_MOST_LABELS].astype(np.int64)):
        values, counts = np.unique(plane, return_counts=True)
        histogram = dict(zip(values.tolist(), counts.tolist(), strict=True))
        found.append(FedMask(shape_facts(f"example {number}", plane), histogram))
    return tuple(found)


def shape_facts(path: str, ids: NDArray[np.integer]) -> ShapeFacts:
    """How the ids (H, W) of a mask lie."""
    shape = mask_shape(ids)
    return ShapeFacts(
        path,
        shape.edges,
        shape.ramps,
        shape.speckles,
        shape.core,
        shape.borders,
        shape.touches,
        shape.speckle_values,
    )


def fed_bars(x: NDArray[Any], ids: NDArray[np.integer]) -> tuple[FedBar, ...]:
    """Bars of one colour along the borders of the images (B, H, W, channels), and their one id.

    A plain ground looks like a bar: where pixels elsewhere with the same id have the bar's colour,
    there is none.
    """
    if x.ndim != 4 or x.shape[:3] != ids.shape:
        return ()
    found = []
    for number, (image, mask) in enumerate(zip(x[:_MOST_LABELS], ids, strict=False)):
        rows, columns = (
            ((np.arange(_GRID) + 0.5) * side / _GRID).astype(np.intp) for side in mask.shape
        )
        small, labels = image[rows[:, None], columns], mask[rows[:, None], columns]
        grey = _grey_levels(small)
        bars = bar_mask(grey)
        if bars is None or np.unique(labels[bars]).size != 1:
            continue
        label = int(labels[bars][0])
        elsewhere = grey[~bars & (labels == label)].astype(np.int16)
        colour = np.median(grey[bars], axis=0).astype(np.int16)
        same = np.abs(elsewhere - colour).max(axis=-1, initial=0) <= _SAME
        if not len(elsewhere) or same.mean() < 0.5:
            found.append(FedBar(number, round(float(bars.mean()), 4), label))
    return tuple(found)


def _grey_levels(image: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.nan_to_num(np.asarray(image, np.float64))
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low)) if high > low else values * 0
    return scaled.astype(np.uint8)
