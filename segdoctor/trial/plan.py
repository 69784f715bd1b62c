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
GRAPH_SAVES = 0.4  # of an eager step, on a CPU, for nets of many layers
SCORING = 1.5  # eager steps: the three passes that score a trained net
FEWEST = 2  # examples: batch statistics of a single one are no statistics
SMALLEST = 96  # px


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a run takes: ``step``, eager; ``trace``, before the first step of a graph."""

    step: float
    trace: float
    eager: bool = False

    @property
    def later(self) -> float:
        """Seconds of a step after the first."""
        return self.step if self.eager else (1 - GRAPH_SAVES) * self.step

    @property
    def scoring(self) -> float:
        return SCORING * self.step

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
    at_most = Pace(recorded / 2, recorded)
    forward = None if runs * at_most.seconds(ENOUGH) <= budget else _forward(run)
    if forward is None:
        return None, ()
    step = min(_PASSES * forward, recorded / 2)
    first = Pace(step, max(recorded - 4 * step, 0.2 * recorded))
    pace, words = first, ""
    while runs * pace.seconds(ENOUGH) > budget:
        before = _pixels(clinic.run)
        try:
            words = clinic.halve(FEWEST, SMALLEST)
        except NotExaminedError:
            break
        pace = replace(pace, step=pace.step * _pixels(clinic.run) / before)
    if runs * pace.seconds(ENOUGH) > budget:
        eager = replace(pace, eager=True)
        pace = min(pace, eager, key=lambda kind: kind.seconds(ENOUGH))
    notes = []
    if words:
        notes.append(
            f"trial on {_examples(clinic.run)} examples of {_side(clinic.run)} px: a step of "
            f"{count} of {_side(run)} px takes about {first.step:.1f} s, too long for "
            f"{runs} × {ENOUGH} steps in {budget:.0f} s"
        )
    if pace.eager:
        notes.append(f"trial without a graph, of which tracing takes about {pace.trace:.0f} s")
    return pace, tuple(notes)


def _forward(run: Run) -> float | None:
    """Seconds of an eager forward pass on the batch; None where the model raises. What runs for
    the first time takes longer, so one example goes ahead."""
    assert run.batch is not None
    x = np.asarray(run.batch.x)
    forward = TracedForward(run.model, training=True, eager=True, keeps=False)
    with preserved(run.model):
        try:
            forward(x[:1])
            start = time.monotonic()
            forward(x)
        except Exception:  # noqa: BLE001 - the user's own layers: then nothing is planned
            return None
        return time.monotonic() - start


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
