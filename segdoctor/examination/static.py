"""``inspect`` and ``scan``: what files say without running anything. TensorFlow stays out."""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.declared import Declared
from segdoctor.core.engine import examine_all
from segdoctor.core.explain import explained
from segdoctor.core.held_back import held_back
from segdoctor.core.model_facts import ModelFacts
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination import verdict
from segdoctor.examination.request import Say
from segdoctor.examination.versions import own_versions, versions
from segdoctor.report.report import Report

_READING = "reading the data set"
_NOT_RUN = Missing("nothing is run here", "segdoctor check MODEL --data DIR")


def inspected(path: str, chosen: Callable[[str], bool], *, fail_on: str, seed: int) -> Report:
    """The report on a model file."""
    from segdoctor.sources.model_file import read_model_file

    start = time.perf_counter()
    facts = read_model_file(path, meanwhile=_slow_imports)
    from segdoctor.probes.of_a_file import OF_A_FILE

    trace = _unmeasured(OF_A_FILE).having(
        code=facts.code,
        not_loadable=facts.not_loadable,
        graph=facts.graph,
        weights=facts.weights,
        batch_norms=facts.batch_norms,
        compiled=facts.compiled or Missing("the file has no compile settings", "--loss"),
        declared=Declared(flavour=facts.graph.flavour, range_declared=False),
    )
    trace = trace.having(**without_architecture(facts))
    return _report(
        "inspect",
        clean(path),
        OF_A_FILE,
        trace,
        chosen,
        fail_on=fail_on,
        seed=seed,
        run={"model": clean(path)},
        measured={},
        raw=facts,
        seconds=time.perf_counter() - start,
        notes=facts.notes,
        found_with={**own_versions(), **facts.read_with},
    )


def _slow_imports() -> None:
    """What is needed once the file has been read, loaded while a child process reads it."""
    for name in (
        "probes.of_a_file",
        "report.inspect_text",
        "report.text",
        "report.screen",
    ):
        importlib.import_module(f"segdoctor.{name}")
    from rich.console import Console
    from rich.table import Table

    warm = Table("")
    warm.add_row("", "")
    Console(file=io.StringIO()).print(warm)  # rich fills its tables of styles on its first one


def without_architecture(facts: ModelFacts) -> dict[str, object]:
    """What a weights-only file cannot tell: calls, flags, and which layers there should be."""
    if facts.graph.kind != "weights only":
        return {}
    missing = Missing("the file holds weights and no architecture", "--arch")
    return {"graph": missing, "not_loadable": missing, "batch_norms": missing}


def scanned(
    folder: str,
    chosen: Callable[[str], bool],
    *,
    fail_on: str,
    seed: int,
    num_classes: int | None,
    ignore_label: int | bool | None,
    progress: Say,
    options: Mapping[str, Any],
) -> Report:
    """The report on a data set folder."""
    from segdoctor.probes.registry import PROBES
    from segdoctor.report.scan_text import scan_to_plain
    from segdoctor.sources.voc import scan_folder

    start = time.perf_counter()
    progress(_READING, None, None)
    facts = scan_folder(
        folder,
        ignore_label=ignore_label,
        seed=seed,
        progress=lambda done, total, what: progress(_READING, done, total),
        **options,
    )
    with held_back() as pressed:  # all that is left takes a moment
        void, by = (ignore_label, "user") if ignore_label is not None else (facts.void, "layout")
        trace = _unmeasured(PROBES).having(
            scan=facts,
            declared=Declared(
                num_classes=num_classes,
                num_classes_declared=num_classes is not None,
                ignore_label=void,
                ignore_declared_by=by if void is not None else "",
                source="folder",
            ),
        )
        report = _report(
            "scan",
            clean(folder),
            PROBES,
            trace,
            chosen,
            fail_on=fail_on,
            seed=seed,
            run={"data": clean(folder), "layout": facts.layout, "pairs": len(facts.pairs)},
            measured={
                "data": scan_to_plain(facts),
                "histogram": {str(k): v for k, v in sorted(facts.histogram.items())},
                "void": None if facts.void in (None, False) else facts.void,
            },
            raw=facts,
            seconds=time.perf_counter() - start,
            notes=facts.notes,
            found_with=versions(),
        )
        return replace(report, exit_code=130) if pressed.count else report


def _unmeasured(probes: Iterable[Probe]) -> Trace:
    names = {name for probe in probes for name, _ in probe.needs()}
    return Trace(dict.fromkeys(names, _NOT_RUN))


def _report(
    kind: str,
    subject: str,
    probes: Sequence[Probe],
    trace: Trace,
    chosen: Callable[[str], bool],
    *,
    fail_on: str,
    seed: int,
    run: Mapping[str, Any],
    measured: Mapping[str, Any],
    raw: Any,
    seconds: float,
    notes: tuple[str, ...],
    found_with: Mapping[str, str],
) -> Report:
    outcomes = examine_all(probes, trace, chosen, otherwise=str(_NOT_RUN))
    findings = explained(f for outcome in outcomes for f in outcome.findings)
    diagnosis = verdict.diagnosis_of(findings, (), complete=False)
    interrupted = bool(getattr(raw, "interrupted", False))
    return Report(
        kind=kind,
        subject=subject,
        exit_code=verdict.exit_code_of(
            findings,
            outcomes,
            fail_on=fail_on,
            interrupted=interrupted,
            refused=False,
            incomplete=False,
        ),
        findings=findings,
        outcomes=outcomes,
        diagnosis=diagnosis,
        headline=verdict.headline_of(
            findings, diagnosis, (), "file" if kind == "inspect" else "data set"
        ),
        run=run,
        measured={
            **measured,
            "pages": verdict.pages([f.code for f in findings], probes),
        },
        pictures=tuple(getattr(raw, "sheet", ())),
        versions=found_with,
        timings={"total": seconds},
        notes=tuple(dict.fromkeys(notes)),
        seed=seed,
        raw=raw,
    )
