"""The classes that a map of sample weights leaves to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import LabelFacts


def weighed_classes(
    y: NDArray[Any], labels: LabelFacts, weight: NDArray[Any] | None
) -> tuple[float, ...] | None:
    """The ids of those pixels whose weight is not 0.

    Parameters
    ----------
    y : labels as fed, of which ``labels`` was measured.
    weight : of each pixel, or (B,) of each example.

    Returns
    -------
    tuple of ids, or None : None without weights, where none is 0, and where they do not fit.
    """
    if weight is None or np.all(np.asarray(weight) != 0):
        return None
    ids, weight = np.asarray(y), np.asarray(weight)
    if labels.kind == "onehot":
        rows = np.moveaxis(ids, labels.sums_to_one_over or -1, -1)
        ids = np.where((rows != 0).any(axis=-1), rows.argmax(axis=-1), -1)
    counts = weight.reshape(len(weight), -1) != 0
    ids = ids.reshape(len(ids), -1)
    if counts.shape[0] != ids.shape[0] or counts.shape[1] not in (1, ids.shape[1]):
        return None
    kept = np.unique(ids[np.broadcast_to(counts, ids.shape)])
    return tuple(float(value) for value in kept if labels.kind != "onehot" or value >= 0)
