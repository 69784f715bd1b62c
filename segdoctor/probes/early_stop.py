"""HIST003: early stopping, or a learning rate that is cut, by chance or by a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.history_facts import CallbackFacts, HistoryFacts, Training
from segdoctor.core.measured import Declared
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.callbacks import callbacks_of

if TYPE_CHECKING:
    from segdoctor.measures.course import Course


@dataclass(frozen=True)
class EarlyStopTooEarly(Probe):
    code = "HIST003"
    how = (
        "The monitored curve gives a course (as far as the run was planned) and a noise. The "
        "callback is played on 400 curves of this course with noise of their own, with all that it "
        "was given (patience, min_delta, baseline, start_from_epoch; factor, cooldown, min_lr): "
        "how many are stopped, or have their learning rate cut to a tenth, though much of the gain "
        "is still to come."
    )
    why = "A patience shorter than the noise ends the run by chance: at epoch 7 of 20, and again."
    fix = "A patience of several times the noise's length, or a fixed schedule."
    fine = "A curve that has stopped getting better: there early stopping does its work."
    sources = "Keras' on_epoch_end; FAULTS CB-02; the question's own run (stops at epoch 7 or 8)"

    stopped: float = field(
        default=0.5, metadata={"doc": "share of the drawn curves that are stopped too early"}
    )
    doubtful: float = field(
        default=0.05, metadata={"doc": "share above which the epochs seen are too few to tell"}
    )
    left: float = field(
        default=0.2, metadata={"doc": "share of the whole gain that is still to come"}
    )
    planned: int = field(
        default=50, metadata={"doc": "epochs that are taken as planned where it is not known"}
    )
    fewest: int = field(default=5, metadata={"doc": "epochs of the curve needed to judge"})

    def examine(
        self,
        training: Training,
        history: HistoryFacts,
        declared: Declared,
        compiled: CompileFacts | None = None,
    ) -> Iterator[Finding]:
        rate = _first_rate(history, compiled)
        watching = [
            callback
            for callback in callbacks_of(training)
            if callback.kind in ("EarlyStopping", "ReduceLROnPlateau")
            and callback.patience is not None
        ]
        judged = 0
        for callback in watching:
            values = history.series.get(callback.monitor)
            if values is None or callback.direction not in ("min", "max"):
                continue
            if len(values) >= self.fewest:
                judged += 1
                epochs = declared.epochs or max(self.planned, len(values))
                yield from self._one(callback, values, epochs, rate)
        if watching and not judged:
            raise NotExaminedError("the history has too little of the key that is watched")

    def _one(
        self, callback: CallbackFacts, values: Sequence[float], epochs: int, rate: float | None
    ) -> Iterator[Finding]:
        from segdoctor.measures.course import courses_of
        from segdoctor.measures.curves import better
        from segdoctor.measures.played import acts_early

        courses = courses_of(values, epochs)
        wanted = better(callback.monitor)
        if not courses or (wanted and wanted != callback.direction):
            return  # watched with the wrong sign: that is HIST005
        share, median = acts_early(callback, courses, rate, self.left)
        if share <= self.stopped:
            if share > self.doubtful:
                raise NotExaminedError(
                    f"{len(values)} epochs of {callback.monitor} do not show whether it still "
                    "gets better"
                )
            return
        likely = courses[0]
        gain = abs(float(likely.line[0] - likely.line[-1]))
        evidence = (
            Evidence("drawn curves that are stopped too early", _round(share), self.stopped),
            Evidence("gain that the course promises in all", _round(gain)),
            Evidence("noise between epochs", _round(likely.noise)),
        )
        acts = (
            f"in {share:.0%} of the cases before the planned {epochs} epochs, as a rule at epoch "
            f"{median:.0f}, while {callback.monitor} still gets better"
        )
        free = replace(callback, baseline=None)
        if (
            callback.baseline is not None
            and acts_early(free, courses, rate, self.left)[0] <= self.stopped
        ):
            yield self._baseline(callback, values, acts, evidence)
        else:
            yield self._patience(callback, courses, rate, acts, evidence)

    def _patience(
        self,
        callback: CallbackFacts,
        courses: Sequence[Course],
        rate: float | None,
        acts: str,
        evidence: tuple[Evidence, ...],
    ) -> Finding:
        from segdoctor.measures.played import acts_early

        epochs = len(courses[0].line)
        patience = enough = callback.patience or 0
        while enough < epochs:  # the shortest with which no more than a tenth are stopped early
            enough = min(int(max(enough, 1) * 1.5) + 1, epochs)
            longer = replace(callback, patience=enough, baseline=None)
            if acts_early(longer, courses, rate, self.left, 100)[0] <= 0.1:
                break
        slows = callback.kind == "ReduceLROnPlateau"
        does = "cuts the learning rate to a tenth" if slows else "stops"
        return self.finding(
            f"{callback.kind}(patience={patience}) on {callback.monitor} {does} by chance: with "
            f"this curve's noise {acts}.",
            (Evidence("patience", patience, enough, "epochs", callback.monitor), *evidence),
            Fix(
                f"Give it a patience of {enough} epochs or more, keep the best weights, and plan "
                "the end with a learning-rate schedule.",
                f'keras.callbacks.{callback.kind}("{callback.monitor}", patience={enough}'
                + (")" if slows else ", restore_best_weights=True)"),
            ),
        )

    def _baseline(
        self,
        callback: CallbackFacts,
        values: Sequence[float],
        acts: str,
        evidence: tuple[Evidence, ...],
    ) -> Finding:
        from segdoctor.measures.curves import finite_part

        good = finite_part(values)
        best = float(good.min() if callback.direction == "min" else good.max())
        return self.finding(
            f"{callback.kind}(baseline={callback.baseline:g}, patience={callback.patience}) stops "
            f"{acts}: the baseline, which it has to beat within its patience, is not reached.",
            (
                Evidence("best value", _round(best), callback.baseline, "", callback.monitor),
                *evidence,
            ),
            Fix(
                "Leave the baseline out, or let the patience last until it can be beaten.",
                f'keras.callbacks.EarlyStopping("{callback.monitor}", '
                f"patience={callback.patience}, restore_best_weights=True)",
            ),
        )


def _first_rate(history: HistoryFacts, compiled: CompileFacts | None) -> float | None:
    """The learning rate at the start, as the history has it or as it is compiled."""
    for key in ("learning_rate", "lr"):
        for value in history.series.get(key, ())[:1]:
            if value > 0.0:
                return value
    return compiled.learning_rate if compiled is not None else None


def _round(value: float) -> float:
    return float(f"{value:.3g}")
