"""Labels with one more channel behind the classes: a weight for each pixel, or void."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Core = Literal["onehot", "ids", "void channel"]
"""What a weight stands behind; or one-hot labels whose last channel is void."""


def packed_as(y: NDArray[Any], channels: int) -> Core | None:
    """What the last channel of ``y`` stands behind, or is; None where there is none of this kind.

    Parameters
    ----------
    y : labels as fed, (B, H, W, K) or (B, H*W, K).
    channels : of the output.
    """
    size = y.shape[-1]
    if y.ndim < 3 or size == channels or size not in (2, channels + 1):
        return None
    weight = np.asarray(y[..., -1], np.float32)
    if not np.isfinite(weight).all() or weight.min() < 0 or not weight.any():
        return None
    if size == channels + 1 and channels > 1:
        rows = np.asarray(y[..., :-1], np.float32)
        sums = rows.sum(axis=-1)
        legal = np.isin(rows, (0.0, 1.0)).all() and np.isin(sums, (0.0, 1.0)).all()
        if not legal:
            return None
        return "void channel" if np.allclose(sums + weight, 1.0) else "onehot"
    ids = np.asarray(y[..., 0], np.float32)
    known = (ids == 255) | ((ids >= 0) & (ids < max(channels, 2)) & (ids == np.rint(ids)))
    coded = np.allclose(ids + weight, 1.0)
    return "ids" if known.all() and not coded and len(np.unique(ids)) > 1 else None
