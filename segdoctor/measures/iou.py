"""Intersection over union, the ceiling of a grid, and what constant predictors reach.

All of them leave void out: a void pixel is neither an intersection nor a union.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]


def class_iou(prediction: IntArray, ids: IntArray, void: int | None) -> dict[int, float]:
    """``|P ∩ L| / |P ∪ L|`` of every class that is present in ``ids``, over the whole batch.

    Parameters
    ----------
    prediction, ids : integer arrays of one shape, usually (B, H, W).
    void : the ignore label; its pixels are left out. None: there is none.
    """
    if prediction.shape != ids.shape:
        raise ValueError(f"expected a prediction of shape {ids.shape}, received {prediction.shape}")
    valid = np.ones(ids.shape, bool) if void is None else ids != void
    predicted, true = prediction[valid], ids[valid]
    scores: dict[int, float] = {}
    for label in np.unique(true):
        hit = np.count_nonzero((predicted == label) & (true == label))
        union = np.count_nonzero(predicted == label) + np.count_nonzero(true == label) - hit
        scores[int(label)] = float(hit / union)
    return scores


def mean_iou(prediction: IntArray, ids: IntArray, void: int | None) -> float:
    """Mean of :func:`class_iou` over the classes present in ``ids``; 0.0 where all is void."""
    scores = class_iou(prediction, ids, void)
    return float(np.mean(list(scores.values()))) if scores else 0.0


def constant_miou(ids: IntArray, void: int | None) -> float:
    """The mean IoU of the best predictor that says one class everywhere: the largest class share
    divided by the number of classes present."""
    true = ids if void is None else ids[ids != void]
    if true.size == 0:
        return 0.0
    _, counts = np.unique(true, return_counts=True)
    return float(counts.max() / true.size / counts.size)


def grid_ceiling(ids: IntArray, grid: tuple[int, int], void: int | None) -> float:
    """The mean IoU that a perfect prediction reaches when it has to pass a coarser grid.

    The one-hot labels are averaged over the cells of ``grid`` (h, w), resized back bilinearly
    with half-pixel centres, and the arg max is compared with the labels.
    """
    height, width = ids.shape[1:3]
    if grid == (height, width):
        return 1.0
    present = np.unique(ids if void is None else ids[ids != void])
    if present.size == 0:
        return 0.0
    onehot = (ids[..., None] == present).astype(np.float32)
    cells = _along(_along(onehot, 1, _averaging(height, grid[0])), 2, _averaging(width, grid[1]))
    back = _along(_along(cells, 1, _bilinear(grid[0], height)), 2, _bilinear(grid[1], width))
    return mean_iou(present[back.argmax(-1)], ids, void)


def _along(array: FloatArray, axis: int, weights: FloatArray) -> FloatArray:
    """Multiply ``weights`` (new, old) into ``axis``."""
    return np.moveaxis(np.tensordot(weights, array, axes=(1, axis)), 0, axis)


def _averaging(old: int, new: int) -> FloatArray:
    """(new, old) weights that average each cell's share of the old pixels."""
    edges = np.linspace(0.0, old, new + 1)
    start, stop = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)[None, :]
    overlap = np.clip(np.minimum(stop, pixel + 1) - np.maximum(start, pixel), 0.0, None)
    return np.asarray(overlap / overlap.sum(1, keepdims=True), np.float32)


def _bilinear(old: int, new: int) -> FloatArray:
    """(new, old) weights of bilinear resizing with half-pixel centres."""
    centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.floor(centre).astype(int)
    high = np.minimum(low + 1, old - 1)
    weights = np.zeros((new, old), np.float32)
    weights[np.arange(new), low] += 1 - (centre - low)
    weights[np.arange(new), high] += centre - low
    return weights
