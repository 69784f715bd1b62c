"""Trains a run on one batch, literally the same at every step, and scores it in both modes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.run import Batch, Run
from segdoctor.core.trial_facts import TrialRun
from segdoctor.measures.decoding import predicted_ids
from segdoctor.measures.iou import class_iou, constant_miou, grid_ceiling, mean_iou
from segdoctor.recorder.forward import TracedForward, quick_tracing
from segdoctor.recorder.legacy_batch_norm import legacy_batch_norm
from segdoctor.recorder.modes import first_output, seed_noise, without_noise
from segdoctor.recorder.optimizer_step import OptimizerStep
from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.recorder.snapshot import preserved
from segdoctor.recorder.updates import twin_of
from segdoctor.trial.gradient_step import GradientStep
from segdoctor.trial.judge import BAR, CUT_SHORT, FAILS, SLOW, learnt, verdict_of
from segdoctor.trial.traced import TracedNet

_TRACED = 2  # steps: the first traces the network, the second the optimizer

Say = Callable[[str, int | None, int | None], None]


class TooLargeError(Exception):
    """The memory did not hold a step of the batch."""


@dataclass(frozen=True, slots=True)
class Exam:
    """How a trained run is scored: the true ids (B, H, W), void, the head's kind and class axis,
    and the grid (h, w) of the logits."""

    ids: Any
    void: int | None
    kind: str
    class_axis: int
    grid: tuple[int, int]

    @property
    def ceiling(self) -> float:
        return grid_ceiling(self.ids, self.grid, self.void)

    def predict(self, output: Any) -> Any:
        return predicted_ids(
            np.asarray(output, np.float32),
            self.ids.shape,
            kind=self.kind,
            class_axis=self.class_axis,
        )

    def miou(self, output: Any) -> float:
        return mean_iou(self.predict(output), self.ids, self.void)


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run trains: ``steps``, and up to ``most`` while it is slow, in ``seconds``; in
    ``patient`` seconds while it gets better and has not made as many steps as can be judged.
    ``later`` and ``scoring`` are the seconds that a step after the first and the scores at the end
    are expected to take, where that is known."""

    steps: int
    seconds: float
    most: int | None = None
    later: float | None = None
    scoring: float | None = None
    patient: float = 0.0


def overfit(
    run: Run,
    exam: Exam,
    *,
    name: str,
    length: Length,
    patch: Mapping[str, object] | None = None,
    net: TracedNet | None = None,
    draw: Callable[[], Batch] | None = None,
    reseed: bool = False,
    say: Say = lambda stage, done, total: None,
) -> tuple[TrialRun, Any]:
    """Train ``run`` on its batch; everything of the user's is as before afterwards.

    Dropout and the like are on while it trains and off when it is scored; BN statistics are
    recalibrated on the batch before inference mode is judged.

    Parameters
    ----------
    net : the run's net, where an earlier trial has traced it.
    draw : gives a batch of the run's own data for each step, with its ``ids``; the net is scored
        on the run's batch in the end.
    reseed : dropout and the like draw other numbers than the model's own state would, by the
        run's seed.

    Returns
    -------
    (TrialRun, prediction) : the prediction is ids (B, H, W) in training mode, or None if the run
        could not take a step.

    Raises
    ------
    TooLargeError
        If the memory does not hold a step.
    """
    start = time.monotonic()
    with preserved(run.model), legacy_batch_norm(run.model, run.flavour):
        try:
            if reseed:
                seed_noise(run.model, run.seed)
            course = _Course(run, exam, net or TracedNet(run), length, start)
            course.train(lambda step, most: say(name, step, most), draw)
            result, prediction = course.scored()
        except KeyboardInterrupt:
            raise
        except Exception as error:
            say(name, None, None)  # raises where it is what became of a Ctrl-C
            if type(error).__name__ in ("ResourceExhaustedError", "MemoryError"):
                raise TooLargeError(error_line(error)) from error
            result, prediction = not_run(exam, "cannot run", error_line(error)), None
    seconds = time.monotonic() - start
    return replace(result, name=name, patch=dict(patch or {}), seconds=seconds), prediction


class _Course:
    """One training: its losses and scores, step by step."""

    def __init__(self, run: Run, exam: Exam, net: TracedNet, length: Length, start: float) -> None:
        import tensorflow as tf

        tf.random.set_seed(run.seed)
        assert run.batch is not None
        self._run, self._exam, self._length = run, exam, length
        self._batch: Batch = run.batch
        self._start, self._traced = start, 0.0
        self._step = GradientStep(net, run.loss, run.model)
        self._update = OptimizerStep(twin_of(run.optimizer), net.rest)
        self.ceiling = exam.ceiling
        self.constant = constant_miou(exam.ids, exam.void)
        self.losses: list[float] = []
        self.scores: list[float] = []
        self._last: Any = None  # output of the last step, where it was of the run's own batch

    def train(self, tell: Callable[[int, int], None], draw: Callable[[], Batch] | None) -> None:
        import tensorflow as tf

        x = tf.nest.map_structure(tf.convert_to_tensor, self._batch.x)
        y = tf.nest.map_structure(tf.convert_to_tensor, self._batch.y)
        weight, exam = self._batch.sample_weight, self._exam
        while True:
            tell(len(self.losses), self._most())
            if draw is not None:
                again = draw()
                x, y = tf.convert_to_tensor(again.x), tf.convert_to_tensor(again.y)
                weight, exam = again.sample_weight, replace(exam, ids=again.ids)
            with quick_tracing():
                output, value, gradients = self._step(x, y, weight)
            self._last = output if draw is None else None
            self.losses.append(float(value))
            self.scores.append(exam.miou(output))
            if self._over():
                return
            with quick_tracing():
                self._update(gradients())

    def _most(self) -> int:
        """Steps that this run may take: more than planned only while it is slow."""
        steps, most = self._length.steps, self._length.most or self._length.steps
        if len(self.losses) < steps or most <= steps or self._verdict(self.scores[-1]) != SLOW:
            return max(steps, len(self.losses))
        return most

    def _over(self) -> bool:
        if not np.isfinite(self.losses[-1]) or self._settled():
            return True
        done = len(self.losses)
        if done <= _TRACED:
            self._traced = time.monotonic() - self._start
        return done >= self._most() or self._time_is_up()

    def _settled(self) -> bool:
        """Clearly learnt, three times in a row: more steps would tell nothing new."""
        last = self.scores[-3:]
        return len(last) == 3 and all(learnt(score, 1.05 * self.ceiling) for score in last)

    def _time_is_up(self) -> bool:
        """Whether the next step, and the scores after it, would break the budget."""
        used, done = time.monotonic() - self._start, len(self.losses)
        later, scoring = self._length.later, self._length.scoring
        if done > _TRACED:
            later = (used - self._traced) / (done - _TRACED)
        elif later is None:
            later = used / done
        if scoring is None:  # up to three eager passes: about half of what tracing took
            scoring = 0.5 * self._traced / min(done, _TRACED)
        need = used + later + scoring
        if need > self._length.seconds and done < BAR.steps and self._gets_better():
            return need > self._length.patient
        return need > self._length.seconds

    def _gets_better(self) -> bool:
        return self._verdict(self.scores[-1]) not in FAILS

    def _verdict(self, miou: float, inferred: float | None = None) -> str:
        known = miou if inferred is None else inferred
        return verdict_of(self.losses, miou, known, self.ceiling, self.constant)

    def scored(self) -> tuple[TrialRun, Any]:
        exam, model, x = self._exam, self._run.model, self._batch.x
        with without_noise(model) as noisy:
            # Without noise, the last step's output is that of the weights as they are now.
            fresh = noisy or self._last is None
            trained = _eager(model, x, training=True) if fresh else self._last
            recalibrate(model, [x])
            inferred = exam.miou(_eager(model, x, training=False))
        prediction = exam.predict(trained)
        miou = mean_iou(prediction, exam.ids, exam.void)
        planned = len(self.losses) >= self._length.steps
        short = not planned and not self._settled() and np.isfinite(self.losses[-1])
        return TrialRun(
            name="",
            patch={},
            steps=len(self.losses),
            seconds=0.0,
            loss_first=self.losses[0],
            loss_last=self.losses[-1],
            miou_training=miou,
            miou_inference=inferred,
            ceiling=self.ceiling,
            constant=self.constant,
            verdict=self._verdict(miou, inferred),
            per_class=class_iou(prediction, exam.ids, exam.void),
            curve=tuple((i, self.losses[i], self.scores[i]) for i in range(len(self.losses))),
            note=CUT_SHORT if short else "",
            predicted=int(np.unique(prediction).size),
        ), prediction


def _eager(model: Any, x: Any, *, training: bool) -> Any:
    return first_output(TracedForward(model, training, eager=True)(x).y_pred)


def not_run(exam: Exam, verdict: str, why: str) -> TrialRun:
    """What is told of a run that could take no step."""
    nan = float("nan")
    return TrialRun(
        name="",
        patch={},
        steps=0,
        seconds=0.0,
        loss_first=nan,
        loss_last=nan,
        miou_training=nan,
        miou_inference=nan,
        ceiling=exam.ceiling,
        constant=constant_miou(exam.ids, exam.void),
        verdict=verdict,
        note=why,
    )
