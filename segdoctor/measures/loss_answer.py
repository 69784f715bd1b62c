"""Reads one answer of a loss: is it a number, has it a gradient, does it differ from another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_sheet import Sheet

_ROUNDING = 1e-5
"""Relative difference that float32 sums in another order may have."""

_AGREEMENT = 0.5
"""Mean agreement of gradient and label, of at most 1, from which labels count as understood."""


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


def follows_labels(sheet: Sheet, first: Answer, other: Answer) -> bool | None:
    """Whether another label at a pixel moves the gradient of the two channels concerned apart.

    ``first`` is the answer for the labels ``sheet.ids``, ``other`` for ``sheet.wrong``, with the
    same prediction. Labels that merely broadcast move all channels of a pixel the same way.
    Returns None where there is no gradient to look at.
    """
    one, two = gradient_of(first), gradient_of(other)
    if one is None or two is None or not (np.any(one) or np.any(two)):
        return None
    change = one - two
    if sheet.channels == 1:
        up = change[..., 0] * np.where(sheet.ids == 1, 1.0, -1.0)
        moved = np.abs(change[..., 0])
    else:
        here = np.take_along_axis(change, sheet.ids[..., None], axis=-1)[..., 0]
        there = np.take_along_axis(change, sheet.wrong[..., None], axis=-1)[..., 0]
        up, moved = here - there, np.abs(here) + np.abs(there)
    if not np.any(moved):
        return False
    agreement = float(np.mean(up[moved > 0] / moved[moved > 0]))
    return abs(agreement) >= _AGREEMENT
