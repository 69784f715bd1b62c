"""Where the edges of an image and of its mask are, and which way they run, on one common grid.

The direction is what tells: a textured meadow has edges everywhere, but hardly ever along a cow's
outline. An edge of strength ``r`` and direction ``a`` becomes three numbers, ``r``, ``r cos 2a``
and ``r sin 2a`` (twice the angle, for an edge has no front and back), so that how well mask fits
image is one sum of products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = 128
_SMOOTH = 1  # radius over which the direction of an edge is averaged, in cells
_AROUND = 6  # radius of the surroundings that an edge must stand out from
_FLOOR = 3.0  # grey levels below which an edge is noise
_REACH = 2  # half the width of a void ring that an outline may have, in cells
_CLASSES = 12  # the most frequent ones; a mask of more was smoothed, or is rather an image
_RAMP = 8  # cells that a smoothed border is wide at most
_FILLED = 25  # cells of a region, its border aside, where there are so many values
_VOID = 255

Float = NDArray[np.float32]


def image_edges(pixels: NDArray[np.generic]) -> Float:
    """Edges of an image.

    Parameters
    ----------
    pixels : array (S, S, channels) or (S, S), 0 to 255.

    Returns
    -------
    array (3, S, S)
        Rank of the strength, from -1/2 to 1/2; rank in 0 … 1 times cosine and sine of twice the
        direction. Strength is the square root of the structure tensor's anisotropy, divided by its
        mean around (Bigün & Granlund 1987; ranks make it independent of contrast).
    """
    values = np.asarray(pixels, dtype=np.float32)
    values = values[..., None] if values.ndim == 2 else values
    down, right = _slopes(values)
    strongest = np.hypot(down, right).argmax(axis=-1)[..., None]
    down = np.take_along_axis(down, strongest, -1)[..., 0]
    right = np.take_along_axis(right, strongest, -1)[..., 0]
    tensor = np.stack([right * right - down * down, 2 * right * down])
    along, across = box_mean(tensor, _SMOOTH)
    strength = np.sqrt(np.hypot(along, across))
    rank = _ranks(strength / (box_mean(strength, _AROUND) + _FLOOR))
    angle = np.arctan2(across, along)
    return np.stack([rank - 0.5, rank * np.cos(angle), rank * np.sin(angle)])


def mask_edges(ids: NDArray[np.integer]) -> Float | None:
    """Outlines of a mask.

    Parameters
    ----------
    ids : array (S, S)
        Void (255) is no region of its own: the outline runs along the middle of a void ring.

    Returns
    -------
    array (3, S, S) or None
        Weight of the outline, summing to 1, and weight times cosine and sine of twice its normal;
        None where there is no outline.
    """
    values, counts = np.unique(ids, return_counts=True)
    if len(values) > _CLASSES:
        ids = _without_ramps(ids)
        values, counts = np.unique(ids, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [int(values[i]) for i in order if values[i] != _VOID or len(values) <= 2]
    if len(values) < 2:
        return None
    along = np.zeros(ids.shape, np.float32)
    across = np.zeros(ids.shape, np.float32)
    energy = np.zeros(ids.shape, np.float32)
    for value in kept[:_CLASSES]:
        inside = box_mean((ids == value).astype(np.float32), _REACH)
        down, right = (slope[..., 0] for slope in _slopes(inside[..., None]))
        along += right * right - down * down
        across += 2 * right * down
        energy += right * right + down * down
    weight = np.sqrt(energy)
    total = float(weight.sum())
    if total <= 0:
        return None
    weight /= total
    angle = np.arctan2(across, along)
    return np.stack([weight, weight * np.cos(angle), weight * np.sin(angle)])


def _without_ramps(ids: NDArray[np.integer]) -> NDArray[np.integer]:
    """Only values that fill some area are regions: what lies between them (the ramps of a smoothed
    mask, speckles) is given to the nearest one."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(ids, 1, mode="edge"), (3, 3))
    inner = (windows == ids[..., None, None]).all(axis=(-2, -1))
    values, counts = np.unique(ids[inner], return_counts=True)
    known = np.isin(ids, values[counts >= _FILLED])
    settled = ids.copy()
    for _ in range(_RAMP):
        if known.all() or not known.any():
            break
        for axis in (0, 1):
            for step in (1, -1):
                taken = np.roll(known, step, axis) & ~known
                edge = [slice(None), slice(None)]
                edge[axis] = slice(0, 1) if step > 0 else slice(-1, None)
                taken[tuple(edge)] = False
                settled[taken] = np.roll(settled, step, axis)[taken]
                known = known | taken
    return settled


def turned(outline: Float, how: str) -> Float:
    """The outline of a mask that is ``"mirrored"`` (left to right), ``"upside down"``,
    ``"turned by 180°"``, ``"transposed"``, or ``"turned left by 90°"`` or right."""
    strength, cosine, sine = outline
    if how == "mirrored":
        return np.stack([strength[:, ::-1], cosine[:, ::-1], -sine[:, ::-1]])
    if how == "upside down":
        return np.stack([strength[::-1], cosine[::-1], -sine[::-1]])
    if how == "turned by 180°":
        return outline[:, ::-1, ::-1]
    if how == "transposed":
        return np.stack([strength.T, -cosine.T, sine.T])
    if how in (
        "turned left by 90°",
        "turned right by 90°",
    ):  # an edge turns with it: twice 90° is the sign
        quarter = np.rot90(outline, 1 if how.startswith("turned left") else -1, axes=(1, 2))
        return np.stack([quarter[0], -quarter[1], -quarter[2]])
    raise ValueError(f"`how` is a turn of TURNS. Received: {how!r}")


TURNS = (
    *("mirrored", "upside down", "turned by 180°"),
    *("transposed", "turned left by 90°", "turned right by 90°"),
)


def box_mean(values: Float, radius: int) -> Float:
    """Mean over a square of ``2 radius + 1``, over the last two axes; borders are repeated."""
    side = 2 * radius + 1
    width = [(0, 0)] * (values.ndim - 2) + [(radius + 1, radius)] * 2
    sums = np.pad(values, width, mode="edge").astype(np.float64).cumsum(-1).cumsum(-2)
    inner = (
        sums[..., side:, side:]
        - sums[..., :-side, side:]
        - sums[..., side:, :-side]
        + sums[..., :-side, :-side]
    )
    mean: Float = (inner / side**2).astype(np.float32)
    return mean


def _slopes(values: Float) -> tuple[Float, Float]:
    """Central differences down and to the right, shape (H, W, channels) each."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]


def _ranks(values: Float) -> Float:
    """Rank of each value, 0 to 1, shape as given. Equal values share the mean of their ranks."""
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[first, flat.size])
    middle = np.repeat(first + (lengths - 1) / 2, lengths)
    ranks = np.empty(flat.size, np.float32)
    ranks[order] = middle / max(flat.size - 1, 1)
    return ranks.reshape(values.shape)
