"""Reads one answer of a loss: is it a number, has it a gradient, does it differ from another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer

_ROUNDING = 1e-5
"""Relative difference that float32 sums in another order may have."""


def finite(answer: Answer) -> bool:
    """Whether value and gradient are numbers throughout; no gradient is no fault here."""
    gradient = gradient_of(answer)
    value = answer.value is not None and bool(np.isfinite(answer.value))
    return value and (gradient is None or bool(np.all(np.isfinite(gradient))))


def gradient_of(answer: Answer) -> NDArray[np.float64] | None:
    """The gradient as float64, shaped like the prediction; None where there is none."""
    return None if answer.gradient is None else np.asarray(answer.gradient, dtype=np.float64)


def differ(first: float | None, second: float | None) -> bool:
    """Whether two values are apart by more than rounding; a missing value differs from all."""
    if first is None or second is None:
        return True
    return not abs(first - second) <= 1e-7 + _ROUNDING * max(abs(first), abs(second))
