"""Reads one answer of a loss: is it a number, has it a gradient, does it differ from another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_sheet import Sheet

Fact = float | str | bool | None

_ROUNDING = 1e-5
"""Relative difference that float32 sums in another order may have."""

AGREEMENT = 0.5
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
    """Whether two values are apart by more than rounding; what is no number differs from all."""
    if first is None or second is None or not np.isfinite([first, second]).all():
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
    if sheet.channels > 1:
        channels_moved = np.count_nonzero(np.abs(change).reshape(-1, sheet.channels).max(axis=0))
        told = np.union1d(sheet.ids, sheet.wrong).size  # of many channels the sheet holds some
        if 2 * channels_moved < min(sheet.channels, told):
            return False  # ids that are multiplied with one channel are no labels of all
    found = agreement(change, sheet.ids, sheet.wrong)
    return found is not None and abs(found) >= AGREEMENT


def agreement(
    change: NDArray[np.floating[Any]], ids: NDArray[Any], other: NDArray[Any]
) -> float | None:
    """How well a change of the gradient fits the change of the labels from ``ids`` to ``other``.

    Parameters
    ----------
    change : (..., C), difference of two gradients
    ids, other : integer (...)

    Returns
    -------
    float or None
        Mean over the classes, and over their pixels that moved, of (change of the first label's
        channel − that of the other's) ÷ their size: ±1 where labels are understood, near 0 where
        they broadcast. None where nothing moved.
    """
    if change.shape[-1] == 1:
        up = change[..., 0] * np.where(ids == 1, 1.0, -1.0)
        moved = np.abs(change[..., 0])
    else:
        here = np.take_along_axis(change, ids[..., None], axis=-1)[..., 0]
        there = np.take_along_axis(change, other[..., None], axis=-1)[..., 0]
        up, moved = here - there, np.abs(here) + np.abs(there)
    if not np.any(moved):
        return None
    where = moved > 0
    fits, labels = up[where] / moved[where], np.asarray(ids)[where]
    # By class: of a mask that is mostly background any answer of one sign would fit most pixels.
    return float(np.mean([fits[labels == label].mean() for label in np.unique(labels)]))
