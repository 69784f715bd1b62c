"""Trains a run on one batch, literally the same at every step, and scores it in both modes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.run import Run
from segdoctor.core.trial_facts import TrialRun
from segdoctor.measures.decoding import predicted_ids
from segdoctor.measures.iou import class_iou, constant_miou, grid_ceiling, mean_iou
from segdoctor.recorder.forward import TracedForward, quick_tracing
from segdoctor.recorder.legacy_batch_norm import legacy_batch_norm
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.modes import first_output, without_noise
from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.recorder.snapshot import preserved
from segdoctor.recorder.updates import twin_of
from segdoctor.trial.judge import learnt, verdict_of

Say = Callable[[str, int | None, int | None], None]


@dataclass(frozen=True, slots=True)
class Exam:
    """How a trained run is scored: the true ids (B, H, W), void, the head's kind and class axis,
    and the grid (h, w) of the logits."""

    ids: Any
    void: int | None
    kind: str
    class_axis: int
    grid: tuple[int, int]

    def predict(self, output: Any) -> Any:
        return predicted_ids(
            np.asarray(output, np.float32),
            self.ids.shape,
            kind=self.kind,
            class_axis=self.class_axis,
        )


def overfit(
    run: Run,
    exam: Exam,
    *,
    name: str,
    steps: int,
    seconds: float,
    patch: Mapping[str, object] | None = None,
    say: Say = lambda stage, done, total: None,
) -> tuple[TrialRun, Any]:
    """Train ``run`` on its batch; everything of the user's is as before afterwards.

    Dropout and the like are on while it trains and off when it is scored; BN statistics are
    recalibrated on the batch before inference mode is judged.

    Returns
    -------
    (TrialRun, prediction) : the prediction is ids (B, H, W) in training mode, or None if the run
        could not take a step.
    """
    start = time.monotonic()
    with preserved(run.model), legacy_batch_norm(run.model, run.flavour):
        try:
            return _overfit(run, exam, name, steps, start, seconds, patch or {}, say)
        except KeyboardInterrupt:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to a stranger's model, loss and optimizer
            return _failed(run, exam, name, patch or {}, time.monotonic() - start, error), None


def _overfit(
    run: Run,
    exam: Exam,
    name: str,
    steps: int,
    start: float,
    seconds: float,
    patch: Mapping[str, object],
    say: Say,
) -> tuple[TrialRun, Any]:
    import tensorflow as tf

    tf.random.set_seed(run.seed)
    batch = run.batch
    assert batch is not None
    x = tf.nest.map_structure(tf.convert_to_tensor, batch.x)
    forward = TracedForward(run.model, training=True)
    loss = LossAsInFit(run.loss, run.model)
    variables = forward.trainable_variables()
    update = _Update(twin_of(run.optimizer), run.model.trainable_variables)
    ceiling = grid_ceiling(exam.ids, exam.grid, exam.void)
    scoring = 0.0
    losses: list[float] = []
    scores: list[float] = []
    for step in range(steps):
        say(name, step, steps)
        with quick_tracing(), tf.GradientTape() as tape:
            outputs = forward(x)
            value = loss.total(batch.y, outputs, batch.sample_weight, forward.reach)
        losses.append(float(value))
        scores.append(mean_iou(exam.predict(first_output(outputs.y_pred)), exam.ids, exam.void))
        if not np.isfinite(losses[-1]) or _settled(scores, ceiling):
            break
        if not step:
            # Scoring afterwards takes three eager passes, about half of what tracing took.
            scoring = 0.5 * (time.monotonic() - start)
        if step + 1 == steps or _time_is_up(start, seconds - scoring, step):
            break
        with quick_tracing():
            update(tape.gradient(value, variables))
    with without_noise(run.model):
        trained = _eager(run.model, x, training=True)
        recalibrate(run.model, [batch.x])
        inferred = exam.predict(_eager(run.model, x, training=False))
    prediction = exam.predict(trained)
    miou = mean_iou(prediction, exam.ids, exam.void)
    miou_inference = mean_iou(inferred, exam.ids, exam.void)
    constant = constant_miou(exam.ids, exam.void)
    asked = (
        "" if len(losses) in (steps, 0) or _settled(scores, ceiling) else "stopped by the budget"
    )
    return TrialRun(
        name=name,
        patch=dict(patch),
        steps=len(losses),
        seconds=time.monotonic() - start,
        loss_first=losses[0],
        loss_last=losses[-1],
        miou_training=miou,
        miou_inference=miou_inference,
        ceiling=ceiling,
        constant=constant,
        verdict=verdict_of(losses, miou, miou_inference, ceiling, constant),
        per_class=class_iou(prediction, exam.ids, exam.void),
        curve=tuple((i, losses[i], scores[i]) for i in range(len(losses))),
        note=asked,
        predicted=int(np.unique(prediction).size),
    ), prediction


def _settled(scores: list[float], ceiling: float) -> bool:
    """Clearly learnt, three times in a row: more steps would tell nothing new."""
    return len(scores) >= 3 and all(learnt(score, 1.05 * ceiling) for score in scores[-3:])


def _time_is_up(start: float, seconds: float, steps: int) -> bool:
    """Whether the next step would break the budget; the first one, traced, tells nothing."""
    used = time.monotonic() - start
    return used + used / (steps + 1) > seconds


def _eager(model: Any, x: Any, *, training: bool) -> Any:
    return first_output(TracedForward(model, training, eager=True)(x).y_pred)


class _Update:
    """The optimizer's step, traced once: outside the trace of the network, so that each of the
    two traces stays small."""

    def __init__(self, optimizer: Any, variables: Any) -> None:
        self._optimizer = optimizer
        self._variables = list(variables)
        self._held: list[Any] = []
        self._traced: Any = None
        if hasattr(optimizer, "build"):
            optimizer.build(self._variables)

    def __call__(self, gradients: list[Any]) -> None:
        import tensorflow as tf

        if self._traced is None:
            pairs = zip(gradients, self._variables, strict=True)
            self._held = [variable for gradient, variable in pairs if gradient is not None]
            if not self._held:
                raise ValueError("no trainable variable has a gradient: there is nothing to train")
            self._traced = tf.function(self._apply, autograph=False)
        self._traced([gradient for gradient in gradients if gradient is not None])

    def _apply(self, gradients: list[Any]) -> None:
        # Through `apply_gradients`, which Keras 3 and tf_keras both have. Variables without a
        # gradient are left out, as `fit` leaves them out.
        self._optimizer.apply_gradients(zip(gradients, self._held, strict=True))


def _failed(
    run: Run, exam: Exam, name: str, patch: Mapping[str, object], seconds: float, error: Exception
) -> TrialRun:
    nan = float("nan")
    return TrialRun(
        name=name,
        patch=dict(patch),
        steps=0,
        seconds=seconds,
        loss_first=nan,
        loss_last=nan,
        miou_training=nan,
        miou_inference=nan,
        ceiling=grid_ceiling(exam.ids, exam.grid, exam.void),
        constant=constant_miou(exam.ids, exam.void),
        verdict="cannot run",
        note=error_line(error),
    )
