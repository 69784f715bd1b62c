"""The learning-rate range test: one step at each rate, from far too small to far too large."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.training_facts import SweepFacts
from segdoctor.recorder.forward import TracedForward, quick_tracing
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.optimizer_step import OptimizerStep
from segdoctor.recorder.snapshot import preserved
from segdoctor.recorder.updates import peak_rate, twin_of

_STEPS = 36
_BLOWN_UP = 4.0
_FALLS = 0.02


def sweep(
    model: Any,
    loss: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    optimizer: Any,
    planned_steps: int | None = None,
    steps: int = _STEPS,
) -> SweepFacts:
    """Losses over rates from 1e-6 to 10 (Adadelta: to 100), on the same batch.

    The model's weights, its statistics and the optimizer are as before afterwards. The sweep ends
    where the loss has grown to four times its least value.

    Raises
    ------
    NotExaminedError
        If the optimizer cannot be made anew.
    """
    start = time.perf_counter()
    name = type(getattr(optimizer, "inner_optimizer", optimizer)).__name__
    rates = np.geomspace(1e-6, 100.0 if "delta" in name.lower() else 10.0, steps)
    losses: list[float] = []
    with preserved(model, optimizer), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = twin_of(optimizer)
        twin = getattr(twin, "inner_optimizer", twin)
        walk = _Steps(model, loss, x, y, sample_weight, twin)
        for rate in rates:
            losses.append(walk.step(float(rate)))
            if not np.isfinite(losses[-1]) or losses[-1] > _BLOWN_UP * abs(min(losses)) + 1e-6:
                break
    low, high = useful_range(rates[: len(losses)].tolist(), losses)
    return SweepFacts(
        rates=tuple(float(rate) for rate in rates[: len(losses)]),
        losses=tuple(losses),
        low=low,
        high=high,
        run=peak_rate(optimizer, planned_steps),
        optimizer=name,
        seconds=time.perf_counter() - start,
    )


class _Steps:
    """Steps on one batch at a rate that is given each time."""

    def __init__(self, model: Any, loss: Any, x: Any, y: Any, weight: Any, twin: Any) -> None:
        self.forward = TracedForward(model, training=True)
        self.model, self.x, self.y, self.weight = model, x, y, weight
        self.loss, self.twin = LossAsInFit(loss, model), twin
        if not model.trainable_variables:
            raise NotExaminedError("no variable is trainable")
        self.update = OptimizerStep(twin, model)

    def step(self, rate: float) -> float:
        """The loss before a step at ``rate``."""
        import tensorflow as tf

        raw = self.forward.trainable_variables()
        with quick_tracing(), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(raw)
            outputs = self.forward(self.x)
            total = self.loss.total(self.y, outputs, self.weight, self.forward.reach)
        with quick_tracing():
            gradients = tape.gradient(total, raw)
        self.twin.learning_rate = rate
        if any(gradient is not None for gradient in gradients):
            with quick_tracing():
                self.update(gradients)
        return float(total)


def useful_range(
    rates: Sequence[float], losses: Sequence[float]
) -> tuple[float | None, float | None]:
    """From where the loss has begun to fall to a third of where it is least.

    The curve is smoothed over three points; None, None where it falls by less than two hundredths
    of its first value.
    """
    y = np.asarray(losses, dtype=np.float64)
    good = np.isfinite(y)
    y, x = y[good], np.asarray(rates)[good]
    if len(y) < 5:
        return None, None
    smooth = np.convolve(np.pad(y, 1, mode="edge"), np.ones(3) / 3.0, mode="valid")
    least = int(np.argmin(smooth))
    fall = smooth[0] - smooth[least]
    if fall < _FALLS * abs(smooth[0]):
        return None, None
    begins = int(np.argmax(smooth[: least + 1] < smooth[0] - 0.1 * fall))
    low, high = float(x[begins]), float(x[least]) / 3.0
    return min(low, high), max(low, high)
