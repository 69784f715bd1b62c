"""TRIAL001–TRIAL003: what the overfit trial itself shows.

They run in a second pass, over the trace and the trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from segdoctor.core.finding import Evidence, Finding
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.core.trial_facts import AS_IT_IS, TrialRun

LEARNS = ("learns", "learns in training mode only")
_CONTROL = ("loss", "optimizer")


def named(trials: tuple[TrialRun, ...], name: str) -> TrialRun:
    for run in trials:
        if run.name == name:
            return run
    raise NotExaminedError("no trial was made (--trial auto)")


def borne(findings: Iterable[Finding], trials: Sequence[TrialRun]) -> tuple[Finding, ...]:
    """The findings with what the trial says of a step that is as large as the weights: where the
    run learns all the same, it is a warning."""
    as_it_is = next((run for run in trials if run.name == AS_IT_IS), None)
    if as_it_is is None or as_it_is.verdict != "learns":
        return tuple(findings)
    return tuple(
        replace(
            found,
            severity="warning",
            message=f"{found.message} In the trial the run learns one batch all the same.",
        )
        if (found.code, found.severity) == ("OPT002", "error")
        else found
        for found in findings
    )


def could_train(run: TrialRun) -> TrialRun:
    if run.verdict == "cannot tell":
        raise NotExaminedError("the budget ended before the run could be judged (--budget)")
    return run


@dataclass(frozen=True)
class CannotOverfit(Probe):
    code = "TRIAL001"
    how = (
        "The run as it is trains on one batch, the same at every step. It is at fault if its loss "
        "no longer falls and its mIoU is no better than the best constant predictor's, while a "
        "control (the same net with a right loss and Adam) learns in the same steps."
    )
    why = "A run that cannot memorise a handful of examples will not learn a data set."
    fix = "The exchanged part that makes it learn names the part to look at."
    fine = "A slow run whose loss still falls; a frozen backbone or strong dropout needs longer."
    sources = "CONTRACT: verdicts and diagnosis"

    margin: float = field(
        default=0.05, metadata={"doc": "mIoU above the constant predictor that counts as learning"}
    )

    def examine(self, trials: tuple[TrialRun, ...]) -> Iterator[Finding]:
        run = could_train(named(trials, AS_IT_IS))
        stuck = run.verdict in ("does not learn", "learns the prior only", "diverges", "cannot run")
        if not stuck or (run.steps and run.miou_training > run.constant + self.margin):
            return
        controls = [other for other in trials if other.exchanged == _CONTROL]
        if not controls:
            raise NotExaminedError(
                "there was no control: the findings settle it, or the budget was spent"
            )
        control = max(controls, key=lambda other: other.verdict in LEARNS)
        if control.verdict not in LEARNS:
            raise NotExaminedError(
                "the control (the same net, a right loss, Adam) does not learn this batch either"
            )
        yield self.finding(
            f"The run as it is cannot memorise one batch ({run.verdict}); with a right loss and "
            "Adam the same net can.",
            (
                Evidence(
                    "mIoU in training mode",
                    round(run.miou_training, 3) if run.steps else "could not run",
                    round(run.constant + self.margin, 3),
                    where=f"{run.steps} steps; control {control.miou_training:.2f}",
                ),
            ),
        )


@dataclass(frozen=True)
class TrainingModeOnly(Probe):
    code = "TRIAL002"
    how = (
        "The trained batch is judged in training mode and in inference mode, after the moving "
        "statistics were recalibrated on it, so that mere lag does not count."
    )
    why = "What is learnt is lost as soon as the model is saved, evaluated or used."
    fix = "Find the layer whose training and inference behaviour differ: BN003 names it."
    fine = "Moving averages that lag behind: recalibration removes that before it is judged."
    sources = "FAULTS BN-01, BN-05, BN-07"

    def examine(self, trials: tuple[TrialRun, ...]) -> Iterator[Finding]:
        run = could_train(named(trials, AS_IT_IS))
        if run.verdict == "learns in training mode only":
            yield self.finding(
                "The batch is memorised in training mode and lost in inference mode, although the "
                "moving statistics were recalibrated.",
                (
                    Evidence(
                        "mIoU in inference mode",
                        round(run.miou_inference, 3),
                        round(run.miou_training, 3),
                        where="the limit is training mode",
                    ),
                ),
            )


@dataclass(frozen=True)
class CollapsesToOneClass(Probe):
    code = "TRIAL003"
    how = "The classes that the trained run names on its own batch are counted."
    why = "One class everywhere scores the background's share and shows nothing."
    fix = "Usually a symptom: look at the finding that explains it."
    fine = "A batch that holds one class only."
    sources = "FAULTS OPT-05"

    def examine(self, trials: tuple[TrialRun, ...]) -> Iterator[Finding]:
        run = could_train(named(trials, AS_IT_IS))
        if run.steps == 0:
            raise NotExaminedError(f"the run could not take a step: {run.note}")
        if run.predicted == 1 and len(run.per_class) > 1 and run.verdict not in LEARNS:
            yield self.finding(
                f"After {run.steps} steps on one batch every pixel is the same class.",
                (
                    Evidence("classes predicted", 1, len(run.per_class), "classes"),
                    Evidence(
                        "mIoU in training mode",
                        round(run.miou_training, 3),
                        round(run.constant, 3),
                        where="the limit is the best constant predictor",
                    ),
                ),
            )
