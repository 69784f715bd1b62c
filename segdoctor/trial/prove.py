"""Treats a fix as a hypothesis: the run as it is, the run with all fixes, the smallest set.

Every run shares seed, weights and batch; only the patch differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from segdoctor.core.finding import Finding, Verdict
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trial_facts import (
    AS_IT_IS,
    CONTROL,
    LOSS_EXCHANGED,
    OPTIMIZER_EXCHANGED,
    WITH_FIXES,
    TrialRun,
)
from segdoctor.measures.decoding import label_ids
from segdoctor.trial.clock import Clock
from segdoctor.trial.ddmin import ddmin
from segdoctor.trial.judge import BAR
from segdoctor.trial.overfit import Exam, Say, overfit
from segdoctor.trial.treatments import Clinic

STEPS = 60
STAND_IN_RATE = 1e-3

_LEARNS = ("learns", "learns in training mode only")
_FAILS = ("does not learn", "learns the prior only", "diverges", "cannot run")
_RIGHT_LOSS: dict[str, Any] = {"loss.stand_in": True}
_RIGHT_OPTIMIZER: dict[str, Any] = {
    "optimizer.name": "Adam",
    "optimizer.learning_rate": STAND_IN_RATE,
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What the trials say. ``decisive`` is the smallest set of codes whose fixes together make
    the run learn; ``settled`` is False where time ran out before it was known to be smallest."""

    trials: tuple[TrialRun, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    decisive: tuple[str, ...] = ()
    settled: bool = True
    predictions: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def named(self, name: str) -> TrialRun | None:
        return next((run for run in self.trials if run.name == name), None)


class Bench:
    """Runs trials within one budget and keeps what they gave."""

    def __init__(self, clinic: Clinic, exam: Exam, clock: Clock, steps: int, say: Say) -> None:
        self._clinic = clinic
        self._exam = exam
        self._clock = clock
        self._say = say
        self.steps = steps
        self.trials: list[TrialRun] = []
        self.predictions: dict[str, Any] = {}

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self._clock.left

    def treat(self, patch: Mapping[str, Any]) -> Run:
        return self._clinic.treat(patch)

    def train(
        self, name: str, patch: Mapping[str, Any], *, seconds: float, steps: int | None = None
    ) -> TrialRun:
        run = self.treat(patch)
        result, prediction = overfit(
            run,
            self._exam_of(run, patch),
            name=name,
            steps=steps or self.steps,
            seconds=seconds,
            patch=patch,
            say=self._say,
        )
        self.trials.append(result)
        if prediction is not None:
            self.predictions[name] = prediction
        return result

    def _exam_of(self, run: Run, patch: Mapping[str, Any]) -> Exam:
        """The exam of a treated run: its labels and its head may have changed."""
        exam = self._exam
        activation = patch.get("head.activation")
        if activation is not None:
            exam = replace(exam, kind="logits" if activation == "remove" else str(activation))
        if any(name in patch for name in ("labels.decode", "labels.scale", "labels.shift")):
            assert run.batch is not None
            ids = label_ids(run.batch.y, exam.ids.shape[1:], onehot=False, void=exam.void)
            exam = replace(exam, ids=ids)
        return exam


def prove(
    clinic: Clinic,
    findings: Sequence[Finding],
    *,
    exam: Exam,
    clock: Clock,
    steps: int | None,
    remeasure: Callable[[Mapping[str, Any]], frozenset[str] | None],
    say: Say,
) -> Proof:
    """Try the run as it is and the fixes of its error findings.

    Parameters
    ----------
    findings : in the order in which they are told; those that another one explains are left out.
    remeasure : the error codes that the probes still find under a patch; None without the time.
    """
    bench = Bench(clinic, exam, clock, steps or STEPS, say)
    candidates, verdicts = _candidates(findings, bench)
    share = 0.45 if candidates else 0.9
    as_is = bench.train(AS_IT_IS, {}, seconds=share * bench.left)
    decisive: tuple[str, ...] = ()
    settled = True
    notes: list[str] = []
    if candidates:
        share = 0.9 if len(candidates) == 1 else 0.6
        patch = _merged(candidates)
        together = bench.train(WITH_FIXES, patch, seconds=share * bench.left)
        if as_is.verdict not in _LEARNS and together.verdict in _LEARNS:
            decisive, settled = _smallest(candidates, bench, together)
        rest = any(finding.code not in decisive for finding in candidates)
        still = remeasure(patch) if rest else frozenset()
        for finding in candidates:
            verdicts[finding.code] = _verdict(finding, decisive, still, as_is, together)
    if as_is.verdict in _FAILS and not decisive:
        notes += _exchange(bench)
    return Proof(
        trials=tuple(bench.trials),
        verdicts=verdicts,
        decisive=decisive,
        settled=settled,
        predictions=bench.predictions,
        notes=tuple(notes),
    )


def _candidates(
    findings: Sequence[Finding], bench: Bench
) -> tuple[list[Finding], dict[str, Verdict]]:
    """Error findings whose patch can be applied, and verdicts on those whose patch cannot."""
    treatable = [
        finding
        for finding in findings
        if finding.severity == "error"
        and finding.because_of is None
        and finding.fix is not None
        and finding.fix.patch
    ]
    try:
        bench.treat(_merged(treatable))
    except NotExaminedError:
        return _one_by_one(treatable, bench)
    return treatable, {}


def _one_by_one(
    treatable: Sequence[Finding], bench: Bench
) -> tuple[list[Finding], dict[str, Verdict]]:
    """The findings whose patches go together, and what was said of the others."""
    chosen: list[Finding] = []
    verdicts: dict[str, Verdict] = {}
    for finding in treatable:
        try:
            bench.treat(_merged([*chosen, finding]))
        except NotExaminedError as why:
            verdicts[finding.code] = Verdict(
                "inconclusive", "none", f"the fix could not be tried: {why}"
            )
        else:
            chosen.append(finding)
    return chosen, verdicts


def _merged(findings: Sequence[Finding]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for finding in findings:
        if finding.fix is not None:
            for name, value in finding.fix.patch.items():
                patch.setdefault(name, value)
    return patch


def _smallest(
    candidates: Sequence[Finding], bench: Bench, together: TrialRun
) -> tuple[tuple[str, ...], bool]:
    """The smallest set of fixes with which the run learns, by delta debugging."""
    if len(candidates) == 1:
        return (candidates[0].code,), True
    # Twice the steps that all fixes together needed: a smaller set may be slower.
    steps = min(bench.steps, 2 * together.steps + 5)

    def passes(subset: tuple[Finding, ...]) -> bool | None:
        if bench.left < together.seconds:
            return None
        name = "with the fix of " + " + ".join(finding.code for finding in subset)
        result = bench.train(name, _merged(subset), seconds=bench.left, steps=steps)
        return result.verdict in _LEARNS

    subset, settled = ddmin(tuple(candidates), passes)
    return tuple(finding.code for finding in subset), settled


def _verdict(
    finding: Finding,
    decisive: Sequence[str],
    still: frozenset[str] | None,
    as_is: TrialRun,
    together: TrialRun,
) -> Verdict:
    goal = BAR.success * together.ceiling
    scores = (
        f"mIoU {_number(as_is.miou_training)} as it is, {_number(together.miou_training)} with the "
        f"fix, {goal:.2f} counts as learnt"
    )
    if finding.code in decisive:
        return Verdict("confirmed", "decisive", scores)
    if still is None:
        return Verdict("inconclusive", "none", "the budget was spent before it was measured again")
    if finding.code in still:
        return Verdict("refuted", "none", "with the fix applied, the fault is measured again")
    worse = _score(together) < _score(as_is) - BAR.margin
    if worse:
        return Verdict(
            "inconclusive",
            "none",
            f"the fault is gone with the fix, but training is worse: {scores}",
        )
    return Verdict(
        "confirmed",
        "removes the evidence",
        f"training is no worse: {scores}",
    )


def _score(run: TrialRun) -> float:
    return 0.0 if math.isnan(run.miou_training) else run.miou_training


def _number(value: float) -> str:
    return "none (it could not run)" if math.isnan(value) else f"{value:.2f}"


def _exchange(bench: Bench) -> list[str]:
    """Exchange loss and optimizer for known-good ones, both and one at a time."""
    first = bench.trials[0].seconds
    if bench.left < 0.5 * first:
        return ["the control (right loss, Adam) was not run: the budget was spent"]
    try:
        control = bench.train(CONTROL, {**_RIGHT_LOSS, **_RIGHT_OPTIMIZER}, seconds=bench.left)
        if control.verdict not in _LEARNS:
            return []
        for name, patch in ((LOSS_EXCHANGED, _RIGHT_LOSS), (OPTIMIZER_EXCHANGED, _RIGHT_OPTIMIZER)):
            if bench.left < control.seconds:
                return ["not every part was exchanged: the budget was spent"]
            bench.train(name, patch, seconds=bench.left)
    except NotExaminedError as why:
        return [f"the parts could not be exchanged: {why}"]
    return []
