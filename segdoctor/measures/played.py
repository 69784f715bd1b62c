"""EarlyStopping and ReduceLROnPlateau, played epoch by epoch on curves, given and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segdoctor.core.history_facts import CallbackFacts
from segdoctor.measures.course import Course
from segdoctor.measures.curves import shape_of, slope_of

# Rounding aside, a tenth: what a cut by Keras' default factor leaves.
_MUCH = 0.1 * (1.0 + 1e-6)


def acts_early(
    callback: CallbackFacts,
    courses: Sequence[Course],
    rate: float | None,
    left: float,
    draws: int = 400,
) -> tuple[float, float]:
    """How a callback fares on curves of these courses, each with noise of its own.

    Parameters
    ----------
    rate : the learning rate at the start; None where it is not known, then ``min_lr`` is nothing.
    left : share of the whole gain that is still to come where it acts too early.

    Returns
    -------
    share : of the curves on which training is stopped, or the rate is cut to a tenth, too early.
    median : epoch in which it is, over these; the last one where there is none.
    """
    random = np.random.default_rng(0)
    sign = -1.0 if callback.direction == "max" else 1.0
    weights = np.array([course.weight for course in courses])
    chosen = random.choice(len(courses), draws, p=weights / weights.sum())
    early = []
    for course in (courses[place] for place in chosen):
        line, curve = course.drawn(random)
        epoch = _acts(callback, curve.tolist(), rate)
        gains = sign * (line - line[-1])
        noise = course.noise * (abs(float(line[-1])) if course.relative else 1.0)
        if epoch < len(line) and gains[epoch - 1] > max(left * gains[0], noise):
            early.append(epoch)
    epochs = float(len(courses[0].line))
    return len(early) / draws, float(np.median(early)) if early else epochs


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
