"""How a curve would go on to the planned end, as far as its noise lets one tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.curves import Shape, finite_part, shape_of, slope_of

# Spread about a line, in spreads of the noise, of a curve that follows it.
_FOLLOWS = 1.5
# Epochs, as shares of those seen, in which a curve comes nearer to its end by e.
_TIMES = (0.07, 0.15, 0.3, 0.6, 1.2, 2.5)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Course:
    """One way in which a curve may go: to ``seen @ coefficients`` belongs noise of ``spread``.

    ``basis``: what the line is made of, a row for each planned epoch. ``doubt``: a square root of
    the covariance of the coefficients. ``weight``: how likely this way is beside the others.
    """

    basis: Array
    coefficients: Array
    doubt: Array
    noise: float
    relative: bool
    weight: float

    @property
    def line(self) -> Array:
        return np.asarray(self.basis @ self.coefficients, np.float64)

    def drawn(self, random: np.random.Generator) -> tuple[Array, Array]:
        """A line that the curve may follow, and values about it."""
        moved = self.doubt @ random.normal(size=len(self.coefficients))
        line = np.asarray(self.basis @ (self.coefficients + moved), np.float64)
        scale = self.noise * np.abs(line) if self.relative else self.noise
        return line, line + scale * random.normal(size=len(line))


def courses_of(values: Sequence[float], epochs: int) -> tuple[Course, ...]:
    """The ways that a curve may go, the likeliest first; () for fewer than three finite values.

    Each is a line in the time, or one that comes nearer and nearer to its end, with a noise that
    is the same everywhere or a share of the value. A curve that follows none of them (the rate was
    cut, it got better and then worse) is smoothed, and goes on as its second half goes.
    """
    y, shape = finite_part(values), shape_of(values)
    if shape is None:
        return ()
    epochs = max(round(epochs * len(y) / len(values)), 2)  # as often as it is reported
    found = sorted(_fits(y, epochs), key=lambda each: -each.weight)
    if not found or _about(y, found[0].line) > _FOLLOWS * shape.noise:
        return (_smoothed(y, shape, epochs),)
    total = sum(each.weight for each in found)
    return tuple(each for each in found if each.weight > 0.01 * total)


def _about(y: Array, line: Array) -> float:
    seen = min(len(y), len(line))
    return float(np.std(y[:seen] - line[:seen]))


def _fits(y: Array, epochs: int) -> Iterator[Course]:
    time = np.arange(max(epochs, len(y)), dtype=np.float64)
    fits = []
    for share in (math.inf, *_TIMES):
        along = time / len(y) if math.isinf(share) else np.exp(-time / (share * len(y)))
        basis = np.column_stack([np.ones_like(time), along])
        for relative in (False, True):
            fit = _fit(y, basis, epochs, relative)
            if fit is not None:
                fits.append(fit)
    best = max((likely for likely, _ in fits), default=0.0)
    for likely, course in fits:
        yield Course(*course, weight=math.exp(likely - best))


def _fit(
    y: Array, basis: Array, epochs: int, relative: bool
) -> tuple[float, tuple[Array, Array, Array, float, bool]] | None:
    """Logarithm of the likelihood, and the fields of the course."""
    seen, count = basis[: len(y)], len(y)
    scale = np.ones_like(y)
    coefficients = np.asarray(np.linalg.lstsq(seen, y, rcond=None)[0], np.float64)
    if relative:
        scale = np.asarray(seen @ coefficients, np.float64)
        if scale.min() <= 0.05 * scale.max():
            return None
        weighed = np.linalg.lstsq(seen / scale[:, None], y / scale, rcond=None)[0]
        coefficients = np.asarray(weighed, np.float64)
    rest = (y - seen @ coefficients) / scale
    noise = float(np.sqrt(rest @ rest / max(count - 2, 1)))
    if noise <= 0.0:
        noise = 1e-12 * max(float(np.abs(y).max()), 1e-12)
    likely = -count * math.log(noise) - float(np.log(scale).sum())
    weighed = seen / scale[:, None]
    variances, axes = np.linalg.eigh(np.linalg.pinv(weighed.T @ weighed))
    doubt = np.asarray(noise * axes * np.sqrt(np.maximum(variances, 0.0)), np.float64)
    return likely, (basis[:epochs], coefficients, doubt, noise, relative)


def _smoothed(y: Array, shape: Shape, epochs: int) -> Course:
    line = np.empty(max(epochs, len(y)))
    line[: len(y)] = _smooth(y)
    line[len(y) :] = line[len(y) - 1] + _further(y, len(line) - len(y))
    error = shape.noise * math.sqrt(12.0 / len(y) ** 3)
    tilt = np.arange(epochs) - 0.5 * len(y)  # the trend is known no better than a slope is
    return Course(
        np.column_stack([line[:epochs], tilt]),
        np.array([1.0, 0.0]),
        np.array([[0.0, 0.0], [0.0, error]]),
        shape.noise,
        False,
        1.0,
    )


def _further(y: Array, epochs: int) -> Array:
    """What a curve gains in each epoch after its last."""
    half = len(y) // 2
    before, now = slope_of(y[:half]), slope_of(y[half:])
    kept = min(abs(now / before), 1.0) if before else 1.0
    return np.cumsum(now * kept ** (np.arange(1, epochs + 1) / max(half, 1)))


def _smooth(y: Array) -> Array:
    """At each place the straight line through the values around it."""
    reach = max(2, len(y) // 8)
    smooth = np.empty_like(y)
    for place in range(len(y)):
        first = max(place - reach, 0)
        near = y[first : place + reach + 1]
        slope, start = np.polyfit(np.arange(len(near)), near, 1)
        smooth[place] = start + slope * (place - first)
    return smooth
