"""Trains treated runs within one budget, and keeps what they gave and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.core.trial_facts import TrialRun
from segdoctor.measures.decoding import label_ids
from segdoctor.recorder.grid import logits_grid
from segdoctor.trial.clinic import Clinic
from segdoctor.trial.clock import Clock
from segdoctor.trial.judge import BAR
from segdoctor.trial.overfit import Exam, Length, Say, TooLargeError, not_run, overfit
from segdoctor.trial.parts import scores_of
from segdoctor.trial.plan import Pace, planned
from segdoctor.trial.traced import TracedNet

STEPS = 60
LONGEST = 4  # times the planned steps, for a run that is slow
CERTAIN = 0.7  # of an expected time: so much it will take at least
OVER = 0.1  # of the budget: so far beyond it a run may end

_MOVES_LABELS = ("labels.decode", "labels.scale", "labels.shift", "labels.restore")


@dataclass
class Bench:
    """Runs trials within one budget; ``trials`` and ``predictions`` are what they gave.

    A net is traced once for all runs that share it. ``steps`` given by the user are kept; else a
    slow run may take up to :data:`LONGEST` times as many.
    """

    clinic: Clinic
    exam: Exam
    clock: Clock
    steps: int | None
    say: Say
    sized: bool = False
    pace: Pace | None = None
    trials: list[TrialRun] = field(default_factory=list)
    predictions: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _nets: dict[tuple[int, str], tuple[Run, TracedNet]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.clock.left

    @property
    def planned(self) -> int:
        return self.steps or STEPS

    def plan(self, recorded: float, runs: int) -> None:
        """Size the batch for ``runs`` runs within the budget; ``recorded`` is what one recording
        of the run took. What the user sized is left as it is."""
        if self.steps is None and not self.sized:
            self.pace, notes = planned(self.clinic, budget=self.left, recorded=recorded, runs=runs)
            if notes:
                self.notes += notes
                self.cut()

    def treat(self, patch: Mapping[str, Any]) -> Run:
        return self.clinic.treat(patch)

    def named(self, name: str) -> TrialRun | None:
        return next((run for run in self.trials if run.name == name), None)

    def train(
        self,
        name: str,
        patch: Mapping[str, Any],
        *,
        seconds: float | None = None,
        patient: float = 0.0,
        steps: int | None = None,
        most: int | None = None,
        exchanged: tuple[str, ...] = (),
        draw: Callable[[], Batch] | None = None,
        seed: int = 0,
    ) -> TrialRun:
        """Train once; where the memory does not hold a step, with half of the examples.
        ``seed`` is added to the run's own."""
        run = self.treat(patch)
        if why := self._no_room(run):
            self.trials.append(replace(not_run(self.exam, "cannot tell", why), name=name))
            return self.trials[-1]
        steps = steps or self.planned
        if most is None:
            most = steps if self.steps else LONGEST * steps
        length = Length(
            steps,
            self.left if seconds is None else seconds,
            most,
            later=self.pace.later if self.pace else None,
            scoring=self.pace.scoring if self.pace else None,
            patient=patient,
        )
        while True:
            try:
                result, prediction = overfit(
                    replace(run, seed=run.seed + seed),
                    self._exam_of(run, patch),
                    name=name,
                    length=length,
                    patch=patch,
                    net=self._net(run),
                    draw=draw,
                    reseed=bool(seed),
                    say=self.say,
                )
                break
            except TooLargeError as why:
                try:
                    self._halve(name)
                except NotExaminedError as end:
                    note = f"out of memory ({why}), and {end}"
                    result, prediction = not_run(self.exam, "cannot tell", note), None
                    break
                run = self.treat(patch)
        result = replace(result, exchanged=exchanged)
        self.trials.append(result)
        if prediction is not None:
            self.predictions[name] = prediction
        return result

    def _no_room(self, run: Run) -> str:
        """Why a run is not begun: its first steps and scores would go far beyond the budget."""
        if self.pace is None:
            return ""
        traced = (id(run.model), run.flavour) in self._nets
        steps = (
            BAR.fewest if self.trials else 2
        )  # the first run may show at once that it cannot run
        need = steps * self.pace.later + self.pace.scoring if traced else self.pace.seconds(steps)
        if CERTAIN * need <= self.left + OVER * self.clock.budget:
            return ""
        return (
            f"not begun: {steps} steps and their scores take about {need:.0f} s, and "
            f"{self.left:.0f} s of the budget of {self.clock.budget:.0f} s are left"
        )

    def _net(self, run: Run) -> TracedNet:
        # The run is kept beside its net: an id is good only while the model lives.
        key = (id(run.model), run.flavour)
        if key not in self._nets:
            self._nets[key] = (run, TracedNet(run, eager=bool(self.pace and self.pace.eager)))
        return self._nets[key][1]

    def _halve(self, name: str) -> None:
        self._nets.clear()
        words = self.clinic.halve()
        self.notes.append(f"trial {name!r}: out of memory; from here on with {words}")
        self.cut()

    def cut(self) -> None:
        """Score what the clinic treats now, after its batch was made smaller."""
        run = self.clinic.run
        assert run.batch is not None
        grid = logits_grid(run.model, np.asarray(run.batch.x)) or self.clinic.ids.shape[1:3]
        self.exam = replace(self.exam, ids=self.clinic.ids, grid=grid)

    def _exam_of(self, run: Run, patch: Mapping[str, Any]) -> Exam:
        """The exam of a treated run: its labels, its head and its grid may have changed."""
        exam = self.exam
        assert run.batch is not None
        activation = patch.get("head.activation")
        if activation is not None:
            exam = replace(exam, kind="logits" if activation == "remove" else str(activation))
        if any(name in patch for name in _MOVES_LABELS):
            ids = label_ids(run.batch.y, exam.ids.shape[1:], onehot=False, void=exam.void)
            exam = replace(exam, ids=ids)
        if "data.stand_in" in patch:
            exam = replace(exam, ids=run.batch.ids)
        interface = self.clinic.interface
        if "model.stand_in" in patch and interface is not None:
            grid = logits_grid(run.model, np.asarray(run.batch.x)) or exam.grid
            exam = replace(exam, kind=scores_of(interface), grid=grid)
        return exam
