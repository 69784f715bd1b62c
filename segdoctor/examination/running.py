"""From a training that was captured in a script to its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.errors import UntrainedError, UserError
from segdoctor.core.finding import Finding, Place
from segdoctor.examination.reporting import examined
from segdoctor.examination.request import Request, Script
from segdoctor.report.files import check_writable
from segdoctor.report.report import Report
from segdoctor.sources.batches import take_batches
from segdoctor.sources.script import Captured, launch, program_of
from segdoctor.sources.script.captured import loss_place
from segdoctor.sources.script.own_step import own_step, steps_itself

_AT = {
    "LOSS": ("loss", "compile"),
    "IGN": ("compile",),
    "OUT": ("compile",),
    "OPT": ("compile",),
    "MET": ("compile",),
}
_OF_FIT = ("OPT007", "OPT008", "OPT009")


def examine_script(
    script: Script, asked: Request, on_report: Callable[[Report], None] | None = None
) -> Report:
    """Run ``script`` up to the training that is asked for, and examine that.

    Raises
    ------
    UntrainedError
        If it ends before.
    """
    number, go_on = script.number, script.go_on
    if number < 1:
        raise UserError(f"fit: expected 1 for the first training, 2 for the second …: {number}")
    if asked.out is not None:
        check_writable(asked.out)
    program = program_of(script.name, module=script.module)
    made: list[Report] = []

    def caught(captured: Captured) -> None:
        request = request_of(captured, asked)
        defined = loss_place(request.loss) if request.said_by == "script" else None
        places = {**captured.places, "loss": defined} if defined else captured.places
        report = examined(request)
        report = replace(
            report,
            kind="run",
            subject=clean(script.name),
            findings=with_places(report.findings, places),
            run={**facts_of(captured, script.name), **report.run},
            notes=(*_notes(captured, program.left_out, go_on=go_on), *report.notes),
        )
        made.append(report)
        if on_report is not None:
            on_report(report)

    ended = launch(program, script.args, caught, number=number, go_on=go_on)
    if not made:
        told = "; ".join((ended.words, *_left_out(program.left_out)))
        raise UntrainedError(told, ended.status)
    if ended.status and not made[0].exit_code:
        return replace(made[0], exit_code=ended.status)
    return made[0]


def _notes(captured: Captured, left_out: tuple[str, ...], *, go_on: bool) -> tuple[str, ...]:
    at = captured.places.get("fit")
    where = f" at {clean(at.file)}:{at.line}" if at else ""
    then = "went on from there" if go_on else "was stopped there"
    caught = f"caught: {captured.how}{where}; the script {then}"
    return (caught, *captured.notes, *_left_out(left_out))


def _left_out(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The line about those of a notebook that were not run, if there are any."""
    told = ", ".join(clean(line, 60) for line in lines[:4])
    count = f"{len(lines)} line(s) that only IPython can run were left out"
    return (f"{count}: {told}",) if lines else ()


def request_of(captured: Captured, asked: Request) -> Request:
    """The request to examine ``captured``; what the user asked for by flag stands above it.

    Raises
    ------
    UserError
        If the model cannot be built from its data.
    """
    model = captured.model
    _build(captured)
    told = {
        "model": model,
        "data": captured.data,
        "validation_data": captured.validation,
        "callbacks": captured.callbacks,
        "class_weight": captured.class_weight,
        "epochs": captured.epochs,
        "steps_per_epoch": captured.steps_per_epoch,
        "batch_size": captured.batch_size,
        "said_by": "script",
    }
    if captured.how == "a GradientTape loop":
        told |= {"loss": captured.loss, "optimizer": captured.optimizer, "metrics": ()}
        if captured.loss is None:
            told["why_no_loss"] = (
                f"the loss of the loop could not be caught: {captured.why_no_loss}"
            )
    elif steps_itself(model) and getattr(model, "loss", None) is None:
        told |= _of_own_step(captured)
    for name in ("loss", "optimizer", "metrics", "class_weight", "epochs", "steps_per_epoch"):
        given = getattr(asked, name)
        if given is not None:
            told |= {name: given, "said_by": "user"}
    if asked.loss is not None:
        told["why_no_loss"] = ""
    script: dict[str, object] = {"own_loop": captured.how == "a GradientTape loop"}
    if captured.later is not None:
        script["later_fit"] = captured.later
    return replace(asked, **told, script=script)


def _build(captured: Captured) -> None:
    """Make the weights of a model that Keras would build in ``fit``, in the same way and order."""
    model = captured.model
    if getattr(model, "built", True) and getattr(model, "weights", True):
        return
    x = take_batches(captured.data, 1, batch_size=captured.batch_size).batches[0].x
    try:
        model(x[:1])
    except Exception as error:
        raise UserError(
            f"model {clean(getattr(model, 'name', '?'))!r}: it cannot be called on its own first "
            f"example: {clean(type(error).__name__)}: {clean(error, 200)}"
        ) from error


def _of_own_step(captured: Captured) -> dict[str, Any]:
    """Loss and batch of a model whose own ``train_step`` brings the loss along."""
    from segdoctor.recorder.snapshot import preserved

    batch = take_batches(captured.data, 1, batch_size=captured.batch_size).batches[0]
    with preserved(captured.model):
        step = own_step(captured.model, batch)
    if isinstance(step, str):
        return {"why_no_loss": f"the loss of the model's own train_step was not caught: {step}"}
    told: dict[str, Any] = {"loss": step.loss, "optimizer": captured.model.optimizer}
    if step.data is not None and not np.array_equal(np.asarray(step.data[1]), batch.y):
        told |= {"data": step.data, "batch_size": step.batch_size}
    return told


def with_places(findings: tuple[Finding, ...], places: Mapping[str, Place]) -> tuple[Finding, ...]:
    """Each finding with the line of the script that it speaks of, where it is known."""
    return tuple(
        finding if finding.place else replace(finding, place=_place(finding.code, places))
        for finding in findings
    )


def _place(code: str, places: Mapping[str, Place]) -> Place | None:
    family = code.rstrip("0123456789")
    order = ("fit",) if code in _OF_FIT else (*_AT.get(family, ()), "fit")
    return next((places[name] for name in order if name in places), None)


def facts_of(captured: Captured, name: str) -> dict[str, Any]:
    """What the report tells of the capture, in words."""
    facts: dict[str, Any] = {"script": clean(name), "caught_at": captured.how}
    for key, place in captured.places.items():
        facts[f"{key}_at"] = f"{clean(place.file)}:{place.line}"
    return facts
