"""A Keras callback that watches a real training, at a cost that it keeps within bounds itself."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from segdoctor.core.engine import Outcome
from segdoctor.core.errors import UserError
from segdoctor.examination import watching
from segdoctor.report.report import Report

_GUESS = 4  # steps
_LOOK_EVERY = 10  # steps between two looks at the loss: each waits for the device


class Monitor:
    """``model.fit(…, callbacks=[segdoctor.Monitor(batch=(x, y))])``; Keras 3 and tf_keras.

    Measured while it trains: the real update ``|step| / |weights|`` of each kernel, how far the
    statistics of batch norm move in an epoch; on ``batch`` the gap between training and inference
    mode, dead channels, the classes predicted, accuracy and mean IoU beside what the class
    frequencies alone give; and the step at which the loss is no number, with the variables that
    are none. ``report`` is made at the end, or at Ctrl-C, after which the training ends as it would
    have.

    Parameters
    ----------
    batch : (x, y) or (x, y, sample_weight), optional
        One batch as the training is fed. Without it what needs one is *not examined*.
    share : float
        Share of the training's time that the looks at weights and at the batch may take. The time
        is measured, and a look that would pass it is left out. The first step, and the batch at
        the end of the training, are always looked at.
    stop_on : "error", "warning" or None
        End the training when a finding of this severity is there.
    out : folder, optional
        Where the report is written.
    log_dir : folder, optional
        TensorBoard summaries, beside those of Keras' own callback (in ``log_dir/segdoctor``).
    options : further arguments of :func:`segdoctor.check` for the report at the end
    """

    def __init__(
        self,
        batch: Any = None,
        *,
        share: float = 0.01,
        stop_on: str | None = None,
        out: str | None = None,
        log_dir: str | None = None,
        **options: Any,
    ) -> None:
        if stop_on not in (None, "error", "warning"):
            raise UserError(f"stop_on: expected 'error', 'warning' or None, received {stop_on!r}")
        self.report: Report | None = None
        self.stopped_by = ""
        self.spent = 0.0
        self.model: Any = None
        self.params: Mapping[str, Any] = {}
        self._batch, self._share, self._stop_on = batch, share, stop_on
        self._out, self._log_dir, self._options = out, log_dir, options
        self._eyes: Any = None
        self._history: dict[str, list[float]] = {}
        self._start = 0.0
        self._step = 0
        self._usual: dict[str, float] = {}  # seconds that a look takes, by its kind
        self._notes: list[str] = []
        self._old_handler: Any = None
        self._interrupted = False

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Any = None) -> None:
        self.report, self.stopped_by, self.spent, self._step = None, "", 0.0, 0
        self._history, self._notes, self._interrupted = {}, [], False
        self._usual = {}
        self._start = time.perf_counter()
        self._eyes = watching.Eyes(self.model, self._batch, self._log_dir)
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._step == 0 or self._may_look(self._usual.get("step", 0.0)):
            with self._timed("step"):
                self._eyes.before_step()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        if self._eyes.between:
            with self._timed("step"):
                self._eyes.after_step()
        if self._step % _LOOK_EVERY == 1 and logs:
            self._finite(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(float(value))
        self._finite(logs or {})
        if self._may_look(self._usual.get("batch", self._guess())):
            with self._timed("batch"):
                self._eyes.after_epoch(epoch)
        if self._stop_on and not self.stopped_by:
            levels = ("error",) if self._stop_on == "error" else ("error", "warning")
            found = [f for o in self._outcomes() for f in o.findings if f.severity in levels]
            if found:
                self._stop(f"{found[0].code} {found[0].slug}")

    def on_train_end(self, logs: Any = None) -> None:
        if self._old_handler is not None:
            signal.signal(signal.SIGINT, self._old_handler)
            self._old_handler = None
        self._eyes.after_epoch(len(self._history.get("loss", ())))
        self._eyes.close()
        self.report = self._reported()
        if self._out is not None:
            self.report.save(self._out)
        if self._interrupted:
            raise KeyboardInterrupt

    def _finite(self, logs: Mapping[str, Any]) -> None:
        if self.stopped_by or "loss" not in logs or math.isfinite(float(logs["loss"])):
            return
        if not any("no number" in note for note in self._notes):
            names = self._eyes.not_finite()
            told = f", and so are {', '.join(names[:3])}" if names else "; all weights still are"
            self._notes.append(f"the loss is no number at step {self._step}{told}")
        if self._stop_on:
            self._stop("HIST004 not-finite-at-epoch")

    def _stop(self, why: str) -> None:
        self.stopped_by = why
        self._notes.append(f"the training was stopped at step {self._step}: {why}")
        self.model.stop_training = True

    def _may_look(self, seconds: float) -> bool:
        """Whether one more look, which takes so long as a rule, keeps within the share."""
        elapsed = time.perf_counter() - self._start
        return bool(self.spent + seconds <= self._share * elapsed)

    def _guess(self) -> float:
        """What the first look at the batch may take: two passes, and not in a graph."""
        return _GUESS * (time.perf_counter() - self._start) / max(self._step, 1)

    @contextmanager
    def _timed(self, kind: str) -> Any:
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self.spent += taken
            self._usual[kind] = max(self._usual.get(kind, 0.0) * 0.9, taken)

    def _outcomes(self) -> tuple[Outcome, ...]:
        return watching.outcomes_of(self._eyes, self._history)

    def _reported(self) -> Report:
        from segdoctor import api

        told = {
            "trial": False,
            "history": self._history or None,
            "epochs": self.params.get("epochs"),
            "steps_per_epoch": self.params.get("steps"),
            **self._options,
        }
        report = api.check(self.model, self._batch, **told)
        report = watching.with_outcomes(report, self._outcomes(), told.get("fail_on", "error"))
        share = self.spent / max(time.perf_counter() - self._start, 1e-9)
        looks = f"{self._eyes.looks} steps were looked at; the looks took {share:.1%} of the time"
        code = 130 if self._interrupted else report.exit_code
        tables = [self._eyes.table(), *report.measured.get("tables", ())]
        measured = {**report.measured, "monitor": self._eyes.series(), "tables": tables}
        notes = (*report.notes, *self._notes, *self._eyes.told(), looks)
        return replace(report, exit_code=code, measured=measured, notes=notes)

    def _interrupt(self, number: int, frame: Any) -> None:
        """The first Ctrl-C ends the training at the next step; the second one at once."""
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        self._stop("Ctrl-C")

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        """A hook of Keras that is not used."""

    # Keras asks whether a hook is its own default one, and then need not wait for the device.
    _nothing._is_default = True  # type: ignore[attr-defined]
    on_epoch_begin = on_batch_begin = on_batch_end = _nothing
    on_test_begin = on_test_end = on_test_batch_begin = on_test_batch_end = _nothing
    on_predict_begin = on_predict_end = on_predict_batch_begin = on_predict_batch_end = _nothing

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    _implements_predict_batch_hooks = _implements_test_batch_hooks
