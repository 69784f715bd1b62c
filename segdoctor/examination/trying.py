"""Hands the run and its findings to the trial, and the verdicts back to the findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.finding import Finding
from segdoctor.core.measured import HeadFacts, LabelFacts, LossContract
from segdoctor.core.run import Batch, Draws, Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination import recording
from segdoctor.examination.again import Again
from segdoctor.examination.request import Request
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.grid import logits_grid
from segdoctor.recorder.head import measure_head
from segdoctor.recorder.layers import package_flavour
from segdoctor.recorder.live_graph import live_graph
from segdoctor.recorder.stand_in import right_loss
from segdoctor.trial.bench import Bench
from segdoctor.trial.clinic import Clinic
from segdoctor.trial.clock import Clock
from segdoctor.trial.overfit import Exam
from segdoctor.trial.parts import Interface
from segdoctor.trial.prove import Proof, prove
from segdoctor.trial.treatments import Tools


def try_run(
    request: Request,
    run: Run,
    known: recording.Knowledge,
    trace: Trace,
    findings: Sequence[Finding],
    selected: Callable[[str], bool],
    seconds: float,
    spent: float = 0.0,
) -> tuple[Proof, Exam, tuple[Finding, ...]]:
    """The trials, how they were scored, and the findings with their verdicts, in order.

    ``seconds`` is what one recording of the run took: measuring it again costs as much, and comes
    out of the same budget, of which ``spent`` seconds are gone.
    """
    assert run.batch is not None
    assert request.trial is not None
    clock = Clock(request.trial.budget_s, spent)
    head, labels = trace.get("head"), trace.get("labels")
    assert isinstance(head, HeadFacts)
    assert isinstance(labels, LabelFacts)
    ids = recording.true_ids(run.batch, head, labels, known.declared.ignore_label)
    void = _void(ids, known)
    exam = Exam(
        ids=ids,
        void=_mark(ids, head.channels) if void is None else void,
        kind=head.kind,
        class_axis=head.class_axis,
        grid=logits_grid(run.model, run.batch.x) or ids.shape[1:3],
    )
    tools = Tools(
        ids=ids,
        void=void,
        classes=known.declared.num_classes or max(head.channels, 2),
        right_loss=lambda treated_run: _right_loss(treated_run, known),
        redraw=known.redraw,
        restore=known.restore,
        draws=_draws(known, head, labels),
        decode=_undo_palette,
        interface=Interface(head, labels, ids, _taken_by(trace)),
    )
    again = Again(Clinic(run, tools), known, selected, clock, seconds)
    findings = again.independent(findings)
    if isinstance(trace.get("gradients"), Missing):
        findings = again.uncovered(findings)
    bench = Bench(
        *(again.clinic, exam, clock, request.trial.steps, request.say),
        sized=request.trial.batch is not None or request.trial.crop is not None,
    )
    proof = prove(bench, findings, again.errors, seconds)
    told = [
        f.with_verdict(proof.verdicts[f.code]) if f.code in proof.verdicts else f for f in findings
    ]
    return proof, bench.exam, tuple(told)


def _draws(known: recording.Knowledge, head: HeadFacts, labels: LabelFacts) -> Draws | None:
    """The user's own batches drawn anew, with their true ids."""
    draws = known.draws
    if draws is None:
        return None

    def draw() -> Batch:
        batch = draws.draw()
        ids = recording.true_ids(batch, head, labels, known.declared.ignore_label)
        return replace(batch, ids=ids)

    return replace(draws, draw=draw)


def _taken_by(trace: Trace) -> str:
    contract = trace.get("loss_contract")
    return contract.prediction if isinstance(contract, LossContract) else "unknown"


def _void(ids: Any, known: recording.Knowledge) -> int | None:
    """The void id of the true ids; None where the labels have none."""
    mark = recording.void_value(known.declared.ignore_label)
    return mark if mark != -1 or bool((np.asarray(ids) == -1).any()) else None


def _mark(ids: Any, channels: int) -> int | None:
    """The one id beyond the channels, beside two classes or more: no net can ever say it, so it
    is left out of the score, whatever it is meant for."""
    values = np.unique(np.asarray(ids))
    beyond = values[(values < 0) | (values >= channels)]
    return int(beyond[0]) if len(beyond) == 1 and channels > 1 and len(values) > 2 else None


def _right_loss(run: Run, known: recording.Knowledge) -> Any:
    assert run.batch is not None
    output = np.asarray(TracedForward(run.model, False, eager=True)(run.batch.x[:1]).y_pred)
    # With the graph: the output of an untrained net may lie within [0, 1] by chance.
    head = measure_head(run.model, output, live_graph(run.model, run.flavour), run.batch.x)
    labels = recording.labels_as_fed(run.batch.y, known.declared, output)
    loss, _ = right_loss(head, labels, known.declared.ignore_label, package_flavour(run.model))
    return loss


def _undo_palette(y: Any) -> Any:
    from segdoctor.measures.palettes import undo_palette

    return undo_palette(np.asarray(y))
