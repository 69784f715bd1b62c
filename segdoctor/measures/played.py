"""EarlyStopping and ReduceLROnPlateau, played epoch by epoch on curves, given and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.history_facts import CallbackFacts
from segdoctor.measures.curves import finite_part, shape_of, slope_of

# Spread about a straight line, in spreads of the noise, of a curve that is straight.
_STRAIGHT = 1.5
# Rounding aside, a tenth: what a cut by Keras' default factor leaves.
_MUCH = 0.1 * (1.0 + 1e-6)


@dataclass(frozen=True, slots=True)
class Course:
    """A curve as it would go on to the planned end: ``line`` without its noise, and ``noise``;
    ``sure``: its fall or rise as it is known, in standard errors."""

    line: NDArray[np.float64]
    noise: float
    direction: str
    sure: float

    @property
    def gains(self) -> NDArray[np.float64]:
        """What is gained from each epoch to the last; negative where it gets worse."""
        sign = 1.0 if self.direction == "min" else -1.0
        return np.asarray(sign * (self.line - self.line[-1]), np.float64)


def course_of(values: Sequence[float], epochs: int, direction: str) -> Course | None:
    """The course of a curve; None for fewer than three finite values.

    The line is straight (Theil–Sen) where the curve is so but for its noise, else smoothed; behind
    the last value it goes on as the second half goes, and slows down as that did.
    """
    y, shape = finite_part(values), shape_of(values)
    if shape is None:
        return None
    epochs = max(round(epochs * len(y) / len(values)), 2)  # as often as it is reported
    time = np.arange(max(epochs, len(y)))
    slope = slope_of(y)
    start = float(np.median(y - slope * time[: len(y)]))
    line = np.asarray(start + slope * time, np.float64)
    if float(np.std(y - line[: len(y)])) > _STRAIGHT * shape.noise:
        line[: len(y)] = _smooth(y)
        line[len(y) :] = line[len(y) - 1] + _further(y, len(line) - len(y))
    error = shape.noise * math.sqrt(12.0 / len(y) ** 3)
    sure = abs(slope) / error if error else math.inf
    return Course(line[:epochs], shape.noise, direction, sure)


def _further(y: NDArray[np.float64], epochs: int) -> NDArray[np.float64]:
    """What a curve gains in each epoch after its last."""
    half = len(y) // 2
    before, now = slope_of(y[:half]), slope_of(y[half:])
    kept = min(abs(now / before), 1.0) if before else 1.0
    return np.cumsum(now * kept ** (np.arange(1, epochs + 1) / max(half, 1)))


def _smooth(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """At each place the straight line through the values around it."""
    reach = max(2, len(y) // 8)
    smooth = np.empty_like(y)
    for place in range(len(y)):
        first = max(place - reach, 0)
        near = y[first : place + reach + 1]
        slope, start = np.polyfit(np.arange(len(near)), near, 1)
        smooth[place] = start + slope * (place - first)
    return smooth


def acts_early(
    callback: CallbackFacts, course: Course, rate: float | None, left: float, draws: int = 400
) -> tuple[float, float]:
    """How a callback fares on curves of this course, each with noise of its own.

    Parameters
    ----------
    rate : the learning rate at the start; None where it is not known, then ``min_lr`` is nothing.
    left : share of the whole gain that is still to come where it acts too early.

    Returns
    -------
    share : of the curves on which training is stopped, or the rate is cut to a tenth, too early.
    median : epoch in which it is, over these; the last one where there is none.
    """
    epochs, gains = len(course.line), course.gains
    much = max(left * gains[0], course.noise)
    random = np.random.default_rng(0)
    early = []
    for _ in range(draws):
        curve = course.line + random.normal(0.0, course.noise, epochs)
        epoch = _acts(callback, curve.tolist(), rate)
        if epoch < epochs and gains[epoch - 1] > much:
            early.append(epoch)
    return len(early) / draws, float(np.median(early)) if early else float(epochs)


def _acts(callback: CallbackFacts, values: Sequence[float], rate: float | None) -> int:
    """Number of epochs after which a callback acts for good; all of them where it does not."""
    if callback.kind == "EarlyStopping":
        return stops_after(callback, values)
    lowest = 0.0 if rate is None else callback.min_rate
    rates = replayed_rate(callback, values, rate or 1.0, lowest)
    # The rate of an epoch is what the epochs before it made of it.
    return next((at for at, now in enumerate(rates) if now <= _MUCH * rates[0]), len(values))


def stops_after(callback: CallbackFacts, values: Sequence[float]) -> int:
    """Number of epochs after which EarlyStopping ends the training; all where it does not."""
    sign = -1.0 if callback.direction == "max" else 1.0
    baseline = math.inf if callback.baseline is None else sign * callback.baseline
    best, waited = math.inf, 0
    for place, value in enumerate(sign * np.asarray(values, dtype=np.float64)):
        if place < callback.start:
            continue
        waited += 1
        if value + callback.min_delta < best:
            best = value
            if value + callback.min_delta < baseline:
                waited = 0
        elif waited >= (callback.patience or 0) and place > 0:
            return place + 1
    return len(values)


def replayed_rate(
    callback: CallbackFacts, values: Sequence[float], rate: float, lowest: float | None = None
) -> list[float]:
    """The learning rate in each epoch that ReduceLROnPlateau makes of a curve.

    ``lowest``: in the place of the callback's ``min_lr``.
    """
    lowest = callback.min_rate if lowest is None else lowest
    sign = -1.0 if callback.direction == "max" else 1.0
    y = sign * np.asarray(values, dtype=np.float64)
    reported = np.isfinite(y) | (np.arange(len(y)) > np.flatnonzero(np.isfinite(y)).max(initial=-1))
    best, waited, resting, rates = math.inf, 0, 0, []
    for value, told in zip(y, reported, strict=True):
        rates.append(rate)
        if not told:  # a gap: validation in each fifth epoch
            continue
        if resting:
            resting, waited = resting - 1, 0
        if value < best - callback.min_delta:
            best, waited = value, 0
        elif not resting:
            waited += 1
            if waited >= (callback.patience or 0) and rate > lowest:
                rate, waited = max(rate * (callback.factor or 0.1), lowest), 0
                resting = callback.cooldown
    return rates


def still_improving(values: Sequence[float], rates: Sequence[float], direction: str) -> bool:
    """Whether a curve still got better before its learning rate was cut for the first time.

    It did where the trend before the cut, had it gone on to the end, promised more than the noise
    and more than half of what had been gained by then.
    """
    y = np.asarray(values, dtype=np.float64)
    whole = next((i for i, rate in enumerate(rates) if rate < rates[0]), len(rates))
    before = y[max(whole // 2, 0) : max(whole, 4)]
    before = before[np.isfinite(before)]
    shape = shape_of(values)
    if shape is None or len(before) < 2:
        return True
    promised = slope_of(before) * (len(y) - whole) * (1.0 if direction == "max" else -1.0)
    gained = abs(float(np.median(before)) - float(y[0]))
    return bool(promised > max(shape.noise, 0.5 * gained))
