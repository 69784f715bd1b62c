"""Hands the run and its findings to the trial, and the verdicts back to the findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.engine import examine_all
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.measured import HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination import recording, verdict
from segdoctor.examination.request import Request
from segdoctor.measures.labels import label_facts
from segdoctor.probes import PROBES
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.grid import logits_grid
from segdoctor.recorder.head import measure_head
from segdoctor.recorder.live_graph import live_graph
from segdoctor.recorder.stand_in import right_loss
from segdoctor.trial.overfit import Exam
from segdoctor.trial.prove import Proof, prove
from segdoctor.trial.treatments import Tools, treated


def try_run(
    request: Request,
    run: Run,
    known: recording.Knowledge,
    trace: Trace,
    findings: Sequence[Finding],
    selected: Callable[[str], bool],
) -> tuple[Proof, Exam, tuple[Finding, ...]]:
    """The trials, how they were scored, and the findings with their verdicts, in order."""
    assert run.batch is not None
    assert request.trial is not None
    head, labels = trace.get("head"), trace.get("labels")
    assert isinstance(head, HeadFacts)
    assert isinstance(labels, LabelFacts)
    ids = recording.true_ids(run.batch, head, labels, known.declared.ignore_label)
    exam = Exam(
        ids=ids,
        void=_void(ids, known),
        kind=head.kind,
        class_axis=head.class_axis,
        grid=logits_grid(run.model, run.batch.x) or ids.shape[1:3],
    )
    tools = Tools(
        ids=ids,
        void=exam.void,
        classes=known.declared.num_classes or max(head.channels, 2),
        right_loss=lambda treated_run: _right_loss(treated_run, known),
        redraw=known.redraw,
        decode=_undo_palette,
    )

    def remeasure(treated_run: Run) -> frozenset[str]:
        return _errors(recording.record(treated_run, _as_treated(treated_run, known)), selected)

    findings = _independent(findings, run, tools, remeasure)
    if isinstance(trace.get("gradients"), Missing):
        findings = _uncovered(findings, run, known, tools, selected)
    proof = prove(
        run,
        findings,
        exam=exam,
        tools=tools,
        trial=request.trial,
        remeasure=remeasure,
        say=request.say,
    )
    told = [
        f.with_verdict(proof.verdicts[f.code]) if f.code in proof.verdicts else f for f in findings
    ]
    return proof, exam, tuple(told)


def _void(ids: Any, known: recording.Knowledge) -> int | None:
    """The void id of the true ids; None where the labels have none."""
    mark = recording.void_value(known.declared.ignore_label)
    return mark if mark != -1 or bool((np.asarray(ids) == -1).any()) else None


def _as_treated(treated_run: Run, known: recording.Knowledge) -> recording.Knowledge:
    """A treated run's batch is judged like one that a user feeds, the optimizer included; where
    its labels were changed, the masks on disk no longer say what is fed."""
    fields = dict(known.fields)
    declared = known.declared
    if any(name.startswith("labels.") for name in treated_run.patches):
        fields["scan"] = Missing("the treated labels are not those on disk")
        declared = replace(declared, encoding_declared=True)
    if any(name.startswith("loss.") for name in treated_run.patches):
        fields["compiled"] = Missing("the treated loss is not the one compiled")
    return replace(known, fields=fields, declared=declared, optimizer_known=True)


def _errors(trace: Trace, selected: Callable[[str], bool]) -> frozenset[str]:
    outcomes = examine_all(PROBES, trace, selected)
    return frozenset(f.code for o in outcomes for f in o.findings if f.severity == "error")


def _independent(
    findings: Sequence[Finding],
    run: Run,
    tools: Tools,
    remeasure: Callable[[Run], frozenset[str]],
) -> tuple[Finding, ...]:
    """Findings whose explanation was tested: each leader's patch is applied alone, and a symptom
    that is still measured then is a fault of its own."""
    originals = {f.code: f for f in findings}
    leaders = {f.because_of for f in findings if f.because_of}
    remain: dict[str, frozenset[str]] = {}
    for code in leaders:
        leader = originals.get(code or "")
        if leader is None or leader.fix is None or not leader.fix.patch:
            continue
        try:
            remain[leader.code] = remeasure(treated(run, leader.fix.patch, tools))
        except NotExaminedError:
            continue
    if not remain:
        return tuple(findings)
    plain = [_unexplained(f) for f in findings]
    return explained(
        plain,
        lambda leader, follower: follower in remain[leader] if leader in remain else None,
    )


def _uncovered(
    findings: Sequence[Finding],
    run: Run,
    known: recording.Knowledge,
    tools: Tools,
    selected: Callable[[str], bool],
) -> tuple[Finding, ...]:
    """Findings and those that show only when the run can take a step: a loss that raises hides
    what the gradients and the optimizer would have said."""
    patch: dict[str, Any] = {}
    for finding in verdict.leading_errors(findings):
        if finding.fix is not None:
            patch = {**finding.fix.patch, **patch}
    try:
        trace = recording.record(
            treated(run, patch, tools),
            replace(known, fields={**known.fields, "scan": Missing("already examined")}),
        )
    except NotExaminedError:
        return tuple(findings)
    known_codes = {finding.code for finding in findings}
    behind = [
        replace(f, message=f"Once the run can take a step: {f.message}")
        for outcome in examine_all(PROBES, trace, selected)
        for f in outcome.findings
        if f.severity == "error" and f.code not in known_codes
    ]
    return explained([*findings, *behind]) if behind else tuple(findings)


def _unexplained(finding: Finding) -> Finding:
    if finding.because_of is None:
        return finding
    return replace(finding, severity=finding.measured_severity, because_of=None)


def _right_loss(run: Run, known: recording.Knowledge) -> Any:
    assert run.batch is not None
    output = np.asarray(TracedForward(run.model, False, eager=True)(run.batch.x[:1]).y_pred)
    # With the graph: the output of an untrained net may lie within [0, 1] by chance.
    head = measure_head(run.model, output, live_graph(run.model, run.flavour))
    labels = label_facts(run.batch.y, known.declared.num_classes, known.declared.ignore_label)
    loss, _ = right_loss(head, labels, known.declared.ignore_label, run.flavour)
    return loss


def _undo_palette(y: Any) -> Any:
    from segdoctor.measures.palettes import undo_palette

    return undo_palette(np.asarray(y))
