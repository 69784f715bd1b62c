"""The fields of the optimisation: schedule, sweep, precision, freezing, class weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.history_facts import HistoryFacts, Training
from segdoctor.core.measured import Declared
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination.request import Request

NO_CLASS_WEIGHT = Missing("no class_weight was given", "class_weight=")
_BUDGET_SHARE = 0.15
"""Of the trial's budget, what a sweep that nobody asked for may take."""

_RECORDINGS = 4.0
"""A sweep takes about as long as so many recordings (benchmarks/recording.py: 3 to 4.2)."""


def asked_fields(request: Request) -> dict[str, object]:
    """What the user said and the recorder cannot see."""
    frozen = str(request.freeze or "")
    count = int(frozen) if frozen.lstrip("-").isdigit() and int(frozen) > 0 else None
    return {
        "class_weight": request.class_weight or NO_CLASS_WEIGHT,
        "freeze_asked": (f"--freeze {frozen}" if frozen else "", count),
        "sweep_asked": any(code.upper() in ("OPT003",) for code in request.select)
        or any("learning-rate-outside-range" in code for code in request.select),
        "callback_objects": request.callbacks,
    }


def compiled_field(request: Request, model: Any) -> object:
    """BN010's measurement; before anything of the model is changed."""
    own = request.said_by in ("train_step", "compute_loss")  # of the model, and no fresh compile
    given = (request.loss, request.optimizer, request.metrics)
    if any(one is not None for one in given) and not own:
        return Missing("loss, optimizer and metrics given here are a fresh compile")
    from segdoctor.recorder.compiled_before import compiled_before

    return compiled_before(model)


def optimisation_fields(
    run: Run, trace: Trace, known: Mapping[str, object], *, optimizer_known: bool
) -> dict[str, object]:
    """Schedule, precision and freezing of the run as it is now, treated or not."""
    from segdoctor.recorder.freeze import freeze_facts
    from segdoctor.recorder.precision import precision_facts

    found: dict[str, object] = {}
    graph = trace.get("graph")
    said = known.get("freeze_asked")
    asked, count = said if isinstance(said, tuple) else ("", None)
    if isinstance(graph, GraphFacts):
        found["freeze"] = freeze_facts(run.model, graph, asked, count)
    if not optimizer_known:
        why = Missing("no optimizer is known", "--optimizer … --learning-rate")
        return {**found, "schedule": why, "precision": why}
    found["schedule"] = _guarded(lambda: _schedule(run, trace, known))
    output = trace.get("y_train")
    if output is None or isinstance(output, Missing):
        found["precision"] = output
    else:
        # A loop of the user's own calls the optimizer as it is: no compile wraps it any more.
        own = bool(known.get("own_loop")) or run.optimizer is getattr(run.model, "optimizer", None)
        found["precision"] = _guarded(
            lambda: precision_facts(run.model, run.optimizer, output, own=own)
        )
    return found


def _schedule(run: Run, trace: Trace, known: Mapping[str, object]) -> object:
    from segdoctor.recorder.schedule import schedule_facts

    declared, history, training = (trace.get(n) for n in ("declared", "history", "training"))
    assert isinstance(declared, Declared)
    return schedule_facts(
        run.optimizer,
        declared.epochs,
        declared.steps_per_epoch,
        known.get("callback_objects"),
        (training.callbacks or ()) if isinstance(training, Training) else (),
        history if isinstance(history, HistoryFacts) else None,
    )


def sweep_field(
    run: Run,
    planned_steps: int | None,
    *,
    asked: bool,
    known: bool,
    recording_s: float,
    budget_s: float | None,
) -> object:
    """The range test, made apart from the recording: where it is asked for, or where the trial's
    budget has room for it.

    Parameters
    ----------
    asked : OPT003 was selected.
    known : the optimizer is the run's own and no stand-in.
    recording_s : seconds that the recording took, by which the sweep's are estimated.
    budget_s : of the trial; None: there is no trial, or one of a fixed number of steps, whose
        answer must not depend on the clock.
    """
    from segdoctor.recorder.sweep import sweep

    if run.batch is None:
        return Missing("no data was given", "--data")
    if not known:
        return Missing("no optimizer is known", "--optimizer … --learning-rate")
    need = _RECORDINGS * recording_s
    if not asked and budget_s is None:
        return Missing(
            "a learning-rate sweep is made within a trial's budget in seconds, and there is none",
            "--select OPT003",
        )
    if not asked and budget_s is not None and need > _BUDGET_SHARE * budget_s:
        return Missing(
            f"a learning-rate sweep would take about {need:.0f} s, more than {_BUDGET_SHARE:.0%} "
            f"of the trial's budget of {budget_s:g} s",
            f"--select OPT003, or --budget {need / _BUDGET_SHARE:.0f}s",
        )
    batch = run.batch
    return _guarded(
        lambda: sweep(
            run.model,
            run.loss,
            np.asarray(batch.x),
            batch.y,
            batch.sample_weight,
            optimizer=run.optimizer,
            planned_steps=planned_steps,
        )
    )


def _guarded(measure: Callable[[], object]) -> object:
    try:
        return measure()
    except NotExaminedError as why:
        return Missing(str(why))
    except Exception as error:  # noqa: BLE001 - the boundary: schedules and optimizers of the user's own
        return Missing(f"it cannot be asked: {error_line(error)}")
