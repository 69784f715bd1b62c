"""Names of the usual input ranges, and the same images in each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def range_name(x: npt.NDArray[Any]) -> str:
    """``"none"`` ([0, 255]), ``"unit"`` ([0, 1]), ``"tf"`` ([-1, 1]), or ``"other"``."""
    low, high = float(np.min(x)), float(np.max(x))
    if low >= 0 and 2 < high <= 255:
        return "none"
    if low >= 0 and high <= 1:
        return "unit"
    if -1.001 <= low < 0 and high <= 1.001:
        return "tf"
    return "other"


def in_each_range(x: npt.NDArray[Any]) -> dict[str, Floats]:
    """The images (B, H, W, channels) in each usual range, those of three channels alone in
    ``"torch"``; empty where their own cannot be told."""
    name = range_name(x)
    if name == "other":
        return {}
    values = np.asarray(x, np.float32)
    raw = {"none": values, "unit": values * 255, "tf": (values + 1) * 127.5}[name]
    ranges = {"none": raw, "unit": raw / 255, "tf": raw / 127.5 - 1}
    if x.shape[-1] == 3:
        ranges["torch"] = (raw / 255 - _MEAN) / _DEVIATION
    return ranges
