"""OPT005, OPT007: the learning rate over the plan, and whether the plan is long enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.history_facts import HistoryFacts, Training
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.core.training_facts import ScheduleFacts
from segdoctor.probes.history import learned


@dataclass(frozen=True)
class ScheduleEndsTooEarly(Probe):
    code = "OPT005"
    how = (
        "The schedule of the optimizer, or of a LearningRateScheduler, is asked for its rate at a "
        "hundred points of the planned steps; ReduceLROnPlateau is played again on the history."
    )
    why = (
        "decay_steps are steps, not epochs: CosineDecay(.007, 145) is at 0 after the first epoch "
        "of 145 steps, and every further epoch is wasted. PolynomialDecay's end is 1e-4 unless "
        "given, so from 1e-5 it rises."
    )
    fix = "decay_steps = epochs × steps_per_epoch; give end_learning_rate."
    fine = (
        "A warm-up that begins at 0, a schedule that comes to 0 at the end of the plan, and "
        "ReduceLROnPlateau on a curve that had stopped getting better before."
    )
    sources = "FAULTS OPT-15; measured: CosineDecay(.007, 145)(145) = 0"

    asleep: float = field(
        default=1e-3, metadata={"doc": "rate, as a share of its peak, that counts as none"}
    )
    lost: float = field(default=0.2, metadata={"doc": "share of the planned steps at such a rate"})

    def examine(self, schedule: ScheduleFacts | None) -> Iterator[Finding]:
        if schedule is None or len(schedule.rates) < 2 or schedule.peak <= 0.0:
            return
        start = schedule.asleep_from(self.asleep)
        if not schedule.improving:
            return  # the plateau is one: there the callback does its work
        if start is not None and 1.0 - start / schedule.planned > self.lost:
            yield self._asleep(schedule, start)
        elif schedule.name == "PolynomialDecay" and schedule.rates[-1] > schedule.rates[0]:
            yield self._rises(schedule)

    def _asleep(self, schedule: ScheduleFacts, start: int) -> Finding:
        lost = 1.0 - start / schedule.planned
        by_plateau = schedule.by == "ReduceLROnPlateau"
        return self.finding(
            f"{schedule.name} is at {schedule.rates[-1]:.1e} from step {start} on: "
            f"{lost:.0%} of the {schedule.planned} planned steps change nothing.",
            (
                Evidence("share of the plan without a rate", _round(lost), self.lost, "share"),
                Evidence("step from which on it is so", start, schedule.planned, "steps"),
                Evidence("peak of the rate", _round(schedule.peak)),
                Evidence("rate at the end", _round(schedule.rates[-1])),
            ),
            Fix(
                "Give ReduceLROnPlateau more patience and a min_lr."
                if by_plateau
                else "Let the schedule last as long as the training: steps, not epochs, and all "
                "epochs of them.",
                'keras.callbacks.ReduceLROnPlateau("val_loss", patience=10, min_lr=1e-5)'
                if by_plateau
                else f"decay_steps = epochs * steps_per_epoch      # {schedule.planned}",
            ),
        )

    def _rises(self, schedule: ScheduleFacts) -> Finding:
        first, last = schedule.rates[0], schedule.rates[-1]
        return self.finding(
            f"{schedule.name} rises from {first:.1e} to {last:.1e}: its end is above its start "
            "(Keras' end_learning_rate is 1e-4 unless given).",
            (
                Evidence("rate at the start", _round(first)),
                Evidence("rate at the end", _round(last), _round(first)),
            ),
            Fix(
                "Give the end of the decay.",
                "PolynomialDecay(rate, decay_steps, end_learning_rate=0.0, power=0.9)",
            ),
        )


@dataclass(frozen=True)
class TooFewSteps(Probe):
    code = "OPT007"
    how = (
        "Planned epochs × batches of an epoch; where a history is given that ended earlier, the "
        "epochs it has."
    )
    why = (
        "A few hundred steps do not fine-tune a segmentation net of twenty classes: DeepLab's "
        "own recipe is 30,000 steps of 16 images; a run that stops at epoch 8 of 145 batches has "
        "had 1,160 of 10, two hundredths of it."
    )
    fix = "More epochs, or more batches in an epoch; then judge the loss."
    fine = "A history that shows that the run has learnt, however short; one or two classes."
    sources = "eveningdong/DeepLabV3-Tensorflow#11; FAULTS OPT-20"

    fewest: int = field(default=2000, metadata={"doc": "steps of a run of more than two classes"})
    fewest_binary: int = field(default=300, metadata={"doc": "steps of a run of two classes"})
    quality: float = field(
        default=0.5, metadata={"doc": "mean IoU or Dice from which on the run has learnt"}
    )

    def examine(
        self,
        declared: Declared,
        history: HistoryFacts | None = None,
        training: Training | None = None,
    ) -> Iterator[Finding]:
        epochs, size = declared.epochs, declared.steps_per_epoch
        ran = len(history) if history is not None else None
        if epochs is None and ran is None:
            raise NotExaminedError("the planned epochs are not known (--epochs would tell)")
        if size is None:
            raise NotExaminedError("the steps of an epoch are not known (--steps-per-epoch)")
        stopped = ran is not None and epochs is not None and ran < epochs
        done = ran if ran is not None and (stopped or epochs is None) else epochs
        assert done is not None
        steps = done * size
        need = self.fewest_binary if (declared.num_classes or 3) <= 2 else self.fewest
        if steps >= need or (history is not None and learned(history, quality=self.quality)):
            return
        early = training is not None and any(
            callback.kind == "EarlyStopping" for callback in training.callbacks or ()
        )
        by = (
            " (early stopping ended it)"
            if stopped and early
            else " (it ended there)"
            if stopped
            else ""
        )
        yield self.finding(
            f"{done} epochs of {size} batches{by} are {steps:,} steps; a fine-tuning of this kind "
            f"needs {need:,} and more.",
            (
                Evidence("steps", steps, need, "steps"),
                Evidence("epochs", done, epochs, "epochs"),
                Evidence("batches of an epoch", size, None, "batches"),
            ),
            Fix(
                "Train longer before you judge; let early stopping start late.",
                f"model.fit(…, epochs={-(-need // max(size, 1))})",
            ),
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
