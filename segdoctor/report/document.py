"""The report as plain values: the JSON document, its published schema, and a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.core.engine import Outcome
from segdoctor.core.finding import Finding
from segdoctor.core.model_facts import ModelFacts
from segdoctor.core.trial_facts import TrialRun
from segdoctor.report.inspect_plain import facts_to_plain
from segdoctor.report.report import SCHEMA_VERSION, Report

if TYPE_CHECKING:
    import pandas

_DEEPEST = 16
_LONGEST = 4000
_COLUMNS = (
    "code",
    "slug",
    "severity",
    "message",
    "evidence",
    "value",
    "limit",
    "unit",
    "where",
    "fix",
    "fix_code",
    "verdict",
    "effect",
    "verdict_reason",
    "because_of",
)


def plain(value: object, depth: int = 0) -> Any:
    """``value`` made of JSON's types alone.

    NumPy scalars and arrays become numbers and lists, NaN and infinities None, mappings get
    string keys, dataclasses become mappings, and every string passes
    :func:`~segdoctor.core.clean.clean`.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return clean(value, _LONGEST)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean(key, 200): plain(item, depth + 1) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name), depth + 1) for item in fields(value)}
    if isinstance(value, (set, frozenset)):
        return [plain(item, depth + 1) for item in sorted(value, key=str)]
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, depth + 1) for item in value]
    return clean(value, _LONGEST)


def to_document(report: Report) -> dict[str, Any]:
    """The document of ``--format json``, as :func:`schema` describes it.

    Returns
    -------
    dict
        Plain values only. ``measured`` is without the catalogue's prose (``segdoctor explain``
        has it); ``pictures`` are in the HTML and PNG alone.
    """
    measured = {key: value for key, value in report.measured.items() if key != "pages"}
    if isinstance(report.raw, ModelFacts):
        measured["model"] = facts_to_plain(report.raw)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": report.kind,
        "subject": plain(report.subject),
        "exit_code": int(report.exit_code),
        "headline": plain(report.headline),
        "diagnosis": None if report.diagnosis is None else [plain(c) for c in report.diagnosis],
        "findings": [_finding(finding) for finding in report.findings],
        "outcomes": [_outcome(outcome) for outcome in report.outcomes],
        "trials": [_trial(trial) for trial in report.trials],
        "run": plain(report.run),
        "versions": {clean(key, 60): clean(value, 120) for key, value in report.versions.items()},
        "seed": plain(report.seed),
        "timings": plain(report.timings),
        "notes": [plain(note) for note in report.notes],
    }
    if measured:
        document["measured"] = plain(measured)
    return document


def _finding(finding: Finding) -> dict[str, Any]:
    fix = finding.fix
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity,
        "message": plain(finding.message),
        "evidence": [plain(item) for item in finding.evidence],
        "fix": None
        if fix is None
        else {"words": plain(fix.words), "code": _code(fix.code), "patch": plain(fix.patch)},
        "verdict": plain(finding.verdict),
        "because_of": plain(finding.because_of),
        "place": plain(finding.place),
        "known": finding.known,
    }


def _code(text: str) -> str:
    """Code keeps its lines; each line is cleaned."""
    return "\n".join(clean(line.rstrip(), 400) for line in text.expandtabs(4).split("\n")).strip(
        "\n"
    )


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "code": clean(outcome.code, 16),
        "status": outcome.status,
        "reason": plain(outcome.reason),
        "findings": len(outcome.findings),
        "seconds": plain(float(outcome.seconds)),
    }


def _trial(trial: TrialRun) -> dict[str, Any]:
    document: dict[str, Any] = plain(trial)
    return document


def to_json(report: Report) -> str:
    """The document as text: ASCII only, so that any terminal and any pipe can take it."""
    return json.dumps(to_document(report), indent=2, allow_nan=False)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    source = resources.files("segdoctor").joinpath("report", "schema.json")
    loaded: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return loaded


def to_frame(report: Report) -> pandas.DataFrame:
    """One row a finding, with its first number; the most important first.

    A string that a spreadsheet would take for a formula (it begins with ``= + - @``) gets a
    leading apostrophe, so that ``frame.to_csv`` is safe to open.
    """
    import pandas

    rows = []
    for finding in _plain_findings(report):
        first = finding["evidence"][0] if finding["evidence"] else {}
        fix, verdict = finding["fix"] or {}, finding["verdict"] or {}
        row = {
            **{key: finding[key] for key in ("code", "slug", "severity", "message", "because_of")},
            "evidence": first.get("name", ""),
            **{key: first.get(key) for key in ("value", "limit", "unit", "where")},
            "fix": fix.get("words", ""),
            "fix_code": fix.get("code", ""),
            "verdict": verdict.get("status", ""),
            "effect": verdict.get("effect", ""),
            "verdict_reason": verdict.get("reason", ""),
        }
        rows.append({key: _no_formula(value) for key, value in row.items()})
    return pandas.DataFrame(rows, columns=list(_COLUMNS))


def _plain_findings(report: Report) -> list[dict[str, Any]]:
    return [_finding(finding) for finding in report.findings]


def _no_formula(value: object) -> object:
    formula = isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@")
    return f"'{value}" if formula else value
