"""Arithmetic of training curves: trend, noise and which way is better."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_FALLS = re.compile(r"loss|err|mse|mae|rmse|bce|entropy|divergence|distance|hausdorff|perplex|nll")
_RISES = re.compile(
    r"acc|iou|io_u|jaccard|dice|tversky|f1|f_?score|precision|recall|auc|overlap|kappa|mcc|matthews"
    r"|sensitivity|specif"
)


def better(name: str) -> str:
    """``"min"`` or ``"max"``: which way a key is better by its name; ``""`` where it is not told.

    ``dice_loss`` falls, ``dice_coef`` rises: a word for a loss anywhere in the name wins.
    """
    plain = name.lower().removeprefix("val_")
    if _FALLS.search(plain):
        return "min"
    return "max" if _RISES.search(plain) else ""


def is_iou(name: str) -> bool:
    return re.search(r"iou|io_u|jaccard", name.lower()) is not None and better(name) == "max"


def is_accuracy(name: str) -> bool:
    return "acc" in name.lower() and better(name) == "max"


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of one curve, its last values left out from the first non-finite one on.

    ``level`` is the median, ``first`` and ``last`` the medians of the first and last third,
    ``noise`` the spread of the values around a running line (so that a smooth fall has none),
    ``turns`` the share of places where the curve changes direction.
    """

    length: int
    level: float
    first: float
    last: float
    noise: float
    turns: float

    @property
    def fall(self) -> float:
        return self.first - self.last


def shape_of(values: Sequence[float]) -> Shape | None:
    """The shape of a curve; None for fewer than three finite values."""
    y = finite_part(values)
    if len(y) < 3:
        return None
    third = max(len(y) // 3, 1)
    steps = np.diff(y)
    signs = np.sign(steps[steps != 0])
    turns = float(np.mean(signs[1:] != signs[:-1])) if len(signs) > 1 else 0.0
    # Second differences know no trend: of pure noise s they have a spread of s·sqrt(6).
    noise = float(np.sqrt(np.mean(np.diff(y, 2) ** 2) / 6.0)) if len(y) > 2 else 0.0
    return Shape(
        length=len(y),
        level=float(np.median(y)),
        first=float(np.median(y[:third])),
        last=float(np.median(y[-third:])),
        noise=noise,
        turns=turns,
    )


def finite_part(values: Sequence[float]) -> NDArray[np.float64]:
    """The values up to the first that is not finite, gaps before it left out."""
    y = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad) and np.isfinite(y[bad[0] :]).any():
        return y[np.isfinite(y)]  # a gap: a key that is not reported in every epoch
    return y[: bad[0]] if len(bad) else y


def first_not_finite(values: Sequence[float]) -> int | None:
    """The place from which on no value is finite any more; None if the curve ends finite.

    A key that is missing in the first epochs, or in some, is a gap and no fault; and so is an end
    that is no longer than the gaps before it (validation in each fifth epoch).
    """
    y = np.asarray(values, dtype=np.float64)
    good = np.flatnonzero(np.isfinite(y))
    if len(y) == 0 or len(good) == len(y):
        return None
    last = int(good[-1]) if len(good) else -1
    longest = int(np.diff(good, prepend=-1).max()) - 1 if len(good) > 1 else 0
    return last + 1 if len(y) - 1 - last > longest else None


def rose(values: Sequence[float], gain: float) -> bool:
    """Whether a score went up by ``gain`` and more, and clearly beyond its noise."""
    shape = shape_of(values)
    if shape is None:
        return False
    start = float(finite_part(values)[0])
    return shape.last - min(start, shape.first) > max(gain, 3.0 * shape.noise)


def trend(values: Sequence[float]) -> tuple[float, float]:
    """How far the finite values fall from first to last, and that in standard errors.

    The fall is that of a line in the time, or of one that falls at first and then less and less,
    whichever is surer; the error is that of independent noise.
    """
    y, shape = finite_part(values), shape_of(values)
    if shape is None or shape.noise <= 0.0:
        return 0.0, 0.0
    time = np.arange(len(y), dtype=np.float64)
    found = []
    for course in (time, 1.0 - np.exp(-5.0 * time / len(y))):
        along = course - course.mean()
        size = float(along @ along)
        slope = -float(along @ y) / size
        found.append((slope * math.sqrt(size) / shape.noise, slope * float(np.ptp(course))))
    errors, fall = max(found)
    return fall, errors


def range_test(series: Mapping[str, Sequence[float]]) -> bool:
    """Whether the learning rate rises all the way, and a hundredfold: a sweep, no training."""
    for name in ("learning_rate", "lr"):
        rates = [rate for rate in series.get(name, ()) if math.isfinite(rate)]
        if len(rates) > 3 and rates[0] > 0 and rates[-1] >= 100.0 * rates[0]:
            return all(b >= a for a, b in pairwise(rates))
    return False


def rate_cycles(series: Mapping[str, Sequence[float]]) -> bool:
    """Whether the learning rate itself goes up and down."""
    for name in ("learning_rate", "lr"):
        rates = [rate for rate in series.get(name, ()) if math.isfinite(rate)]
        steps = [b - a for a, b in pairwise(rates)]
        ups = sum(1 for a, b in pairwise(steps) if a < 0 < b)
        if ups >= 2:
            return True
    return False


def slope_of(y: NDArray[np.float64]) -> float:
    """Change in an epoch, the median of the slopes between all pairs (Theil–Sen)."""
    if len(y) < 2:
        return 0.0
    rows, columns = np.triu_indices(len(y), 1)
    return float(np.median((y[columns] - y[rows]) / (columns - rows)))


def entropy(counts: Sequence[float]) -> float:
    """Entropy of the class frequencies in nats: the cross-entropy of a net that knows only them."""
    share = np.asarray(counts, dtype=np.float64)
    share = share[share > 0] / max(share.sum(), 1e-300)
    return float(-(share * np.log(share)).sum())
