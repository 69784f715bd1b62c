"""Sizes a trial for its budget: one step is measured, then batch, crop and graph or eager follow.

A trial of a few steps tells nothing. Where the budget does not hold enough of them, a smaller batch
is better than fewer steps: fewer examples first, then a crop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.snapshot import preserved
from segdoctor.trial.clinic import Clinic

_PASSES = 3  # forward passes that a step takes: going back takes two
ENOUGH = 15  # steps: fewer tell a run that learns from one that does not too rarely
FEWEST = 2  # examples: batch statistics of a single one are no statistics
SMALLEST = 96  # px


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a run takes. ``compute``: of a step, in a graph; ``overhead``: what a step
    without a graph takes beside it; ``trace``: before the first step in a graph."""

    compute: float
    overhead: float
    trace: float
    eager: bool = False

    @property
    def later(self) -> float:
        """Seconds of a step after the first."""
        return self.compute + (self.overhead if self.eager else 0.0)

    @property
    def scoring(self) -> float:
        """Seconds of the three passes, without a graph, that score a trained net."""
        return self.compute + self.overhead

    def seconds(self, steps: int) -> float:
        """Of a run of so many steps, with its scores."""
        return (0.0 if self.eager else self.trace) + steps * self.later + self.scoring


def planned(
    clinic: Clinic, *, budget: float, recorded: float, runs: int
) -> tuple[Pace | None, tuple[str, ...]]:
    """Make the clinic's batch small enough for ``runs`` runs in ``budget`` seconds.

    Parameters
    ----------
    recorded : seconds that one recording of the run took, which is two steps or more; what of it
        the steps do not explain was tracing.

    Returns
    -------
    (Pace, notes) : of the batch as it is now, and what was done and why. None where there is room
        in any case, or nothing can be measured.
    """
    run, count = clinic.run, _examples(clinic.run)
    at_most = Pace(recorded / 2, 0.0, recorded)
    passes = None if runs * at_most.seconds(ENOUGH) <= budget else _passes(run)
    if passes is None:
        return None, ()
    one, whole = (_PASSES * seconds for seconds in passes)
    compute = max(whole - one, 0.0) * count / max(count - 1, 1) if count > 1 else whole
    step = max(compute, 0.1 * whole)
    first = Pace(step, whole - step, max(recorded - 4 * whole, 0.2 * recorded))
    pace, words = first, ""
    while runs * pace.seconds(ENOUGH) > budget:
        before = _pixels(clinic.run)
        try:
            words = clinic.halve(FEWEST, SMALLEST)
        except NotExaminedError:
            break
        pace = replace(pace, compute=pace.compute * _pixels(clinic.run) / before)
    eager = replace(pace, eager=True)
    if runs * pace.seconds(2) > budget and eager.seconds(ENOUGH) < pace.seconds(ENOUGH):
        pace = eager
    notes = []
    if words:
        notes.append(
            f"trial on {_examples(clinic.run)} examples of {_side(clinic.run)} px: a step of "
            f"{count} of {_side(run)} px takes about {first.compute:.1f} s, too long for "
            f"{runs} × {ENOUGH} steps in {budget:.0f} s"
        )
    if pace.eager:
        notes.append(f"trial without a graph, of which tracing takes about {pace.trace:.0f} s")
    return pace, tuple(notes)


def _passes(run: Run) -> tuple[float, float] | None:
    """Seconds of a forward pass without a graph, on one example and on the batch; None where the
    model raises. What runs for the first time takes longer, so one example goes ahead."""
    assert run.batch is not None
    x = np.asarray(run.batch.x)
    forward = TracedForward(run.model, training=True, eager=True, keeps=False)
    taken = []
    with preserved(run.model):
        for examples in (x[:1], x[:1], x):
            start = time.monotonic()
            try:
                forward(examples)
            except Exception:  # noqa: BLE001 - the user's own layers: the trial itself tells it
                return None
            taken.append(time.monotonic() - start)
    return taken[1], taken[2]


def _examples(run: Run) -> int:
    assert run.batch is not None
    return len(np.asarray(run.batch.x))


def _side(run: Run) -> int:
    assert run.batch is not None
    return int(max(np.asarray(run.batch.x).shape[1:3]))


def _pixels(run: Run) -> int:
    assert run.batch is not None
    shape: Any = np.asarray(run.batch.x).shape
    return int(np.prod(shape[:3]))
