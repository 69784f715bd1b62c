"""A batch that any sound run can learn: coloured rectangles, labels in the format of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from segdoctor.core.measured import LabelFacts

_MOST_CLASSES = 4
_NOISE = 0.05


def drawn_ids(
    rng: np.random.Generator, shape: tuple[int, int, int], classes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Ids (B, H, W): the first of ``classes`` with two rectangles of the others in each image."""
    count, height, width = shape
    ids = np.full(shape, classes[0])
    others = classes[1:]
    for example in range(count):
        for piece in range(2):
            top, left = (int(rng.integers(0, side - side // 2 + 1)) for side in (height, width))
            rows = slice(top, top + max(height * (3 - piece) // 6, 1))
            columns = slice(left, left + max(width * (3 - piece) // 6, 1))
            ids[example, rows, columns] = others[(2 * example + piece) % len(others)]
    return ids


def drawn_images(
    rng: np.random.Generator,
    ids: npt.NDArray[np.int64],
    channels: int,
    limits: tuple[float, float],
) -> npt.NDArray[np.float32]:
    """Images (B, H, W, channels) within ``limits``, a colour for each id, a little noise."""
    names, place = np.unique(ids, return_inverse=True)
    colours = rng.permuted(
        np.tile(np.linspace(0.1, 0.9, len(names))[:, None], (1, channels)), axis=0
    )
    colours[:, 0] = np.linspace(0.1, 0.9, len(names))  # whatever the draw, no two are alike
    image = colours[place.reshape(ids.shape)] + rng.normal(0, _NOISE, (*ids.shape, channels))
    low, high = limits
    return np.asarray(low + (high - low) * np.clip(image, 0, 1), np.float32)


def in_format(ids: npt.NDArray[Any], labels: LabelFacts, channels: int) -> npt.NDArray[Any]:
    """``ids`` (B, H, W) as labels of the shape, type and encoding that the run feeds.

    Raises
    ------
    ValueError
        If the labels have a shape that neither ids nor one-hot codes of that size have.
    """
    dtype = np.dtype(labels.dtype)
    if labels.kind != "onehot" and int(np.prod(labels.shape)) == ids.size:
        return ids.reshape(labels.shape).astype(dtype)
    axis = labels.sums_to_one_over
    axis = -1 if axis is None else axis
    codes = labels.shape[axis] if labels.kind == "onehot" else channels
    rows = (ids[..., None] == np.arange(codes)).astype(dtype)
    if rows.size != int(np.prod(labels.shape)):
        raise ValueError(f"labels of shape {labels.shape} cannot be drawn")
    if axis in (-1, len(labels.shape) - 1):
        return np.asarray(rows.reshape(labels.shape))
    return np.asarray(np.moveaxis(rows, -1, axis).reshape(labels.shape))


def drawn_batch(
    x: npt.NDArray[Any],
    ids: npt.NDArray[Any],
    labels: LabelFacts,
    channels: int,
    *,
    limits: tuple[float, float],
    seed: int,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.int64]]:
    """``(x, y, ids)`` of drawn images, as many and as large as ``x`` and ``ids``.

    Of the classes, up to four that the batch holds are drawn; class 0 and 1 where it holds fewer.
    """
    rng = np.random.default_rng(seed)
    most = max(channels, 2)
    held = [int(i) for i in np.unique(ids) if 0 <= i < most]
    held += [i for i in (0, 1) if i not in held][: max(2 - len(held), 0)]
    classes = np.array(sorted(held)[:_MOST_CLASSES])
    count, height, width = (int(n) for n in x.shape[:3])
    full = drawn_ids(rng, (count, height, width), classes)
    image = drawn_images(rng, full, int(x.shape[-1]), limits)
    rows = np.arange(ids.shape[1]) * height // ids.shape[1]
    columns = np.arange(ids.shape[2]) * width // ids.shape[2]
    small = full[:, rows][:, :, columns]
    return image, in_format(small, labels, channels), small
