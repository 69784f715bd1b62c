"""From what a network gives, and from what a run feeds, to class ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_SMALL = 1e-3

IntArray = npt.NDArray[np.integer[Any]]


def predicted_ids(
    output: npt.NDArray[Any], shape: tuple[int, ...], *, kind: str, class_axis: int = -1
) -> IntArray:
    """Class ids (B, H, W) that an output says.

    Parameters
    ----------
    output : (B, H, W, C), (B, H*W, C) or (B, C, H, W) with ``class_axis=1``.
    shape : (B, H, W) of the labels.
    kind : the head's kind; with one channel it decides the threshold (0 for logits, else 0.5).
    """
    scores = np.moveaxis(np.asarray(output, np.float32), class_axis, -1)
    channels = scores.shape[-1]
    if channels == 1:
        ids = (scores[..., 0] > (0.0 if kind == "logits" else 0.5)).astype(np.int64)
    else:
        ids = scores.argmax(-1)
    if ids.size != int(np.prod(shape)):
        raise ValueError(f"expected an output for labels of shape {shape}, received {output.shape}")
    return np.asarray(ids.reshape(shape))


def label_ids(
    y: npt.NDArray[Any],
    spatial: tuple[int, int],
    *,
    onehot: bool,
    void: int | None,
    sample_weight: npt.NDArray[Any] | None = None,
) -> IntArray:
    """Class ids (B, H, W) with void that labels as fed stand for.

    One-hot rows that say no class (all equal, 255 in one channel) are void, as are pixels
    whose sample weight is zero; rows that say several (multi-label, mixup) stand for the first of
    the largest. Without a declared ``void``, −1 stands for it.
    """
    batch = y.shape[0]
    shape = (batch, *spatial)
    mark = -1 if void is None else void
    if onehot:
        rows = np.asarray(y, np.float32).reshape(*shape, y.shape[-1])
        ids = rows.argmax(-1)
        ids = np.where(_says_a_class(rows), ids, mark)
    else:
        ids = np.rint(np.asarray(y, np.float64)).astype(np.int64).reshape(shape)
    if sample_weight is not None and np.size(sample_weight) == ids.size:
        ids = np.where(np.asarray(sample_weight).reshape(shape) == 0, mark, ids)
    return np.asarray(ids)


def _says_a_class(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Rows within [0, 1] that favour something: one-hot, label-smoothed, multi-label."""
    top, low = rows.max(-1), rows.min(-1)
    return np.asarray((top > low) & (top <= 1 + _SMALL) & (low >= 0))
