"""SARIF 2.1.0: the findings as code hosting sites and editors show them."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from segdoctor import __version__
from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.clean import clean
from segdoctor.core.finding import Finding
from segdoctor.report.report import Report
from segdoctor.report.wording import beside

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def to_sarif(report: Report) -> str:
    """One run; a rule for each code that was found, a result for each finding.

    A finding with a place has the script's line as its location, any other the file or folder that
    was examined. A finding of the baseline is ``unchanged``, and one that another finding explains
    is suppressed: it is kept, and does not count.
    """
    codes = sorted(report.codes)
    run = {
        "tool": {
            "driver": {
                "name": "segdoctor",
                "version": __version__,
                "rules": [_rule(report, code) for code in codes],
            }
        },
        "invocations": [
            {"executionSuccessful": report.exit_code in (0, 1), "exitCode": report.exit_code}
        ],
        "results": [_result(report, finding, codes) for finding in report.findings],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, allow_nan=False)


def _rule(report: Report, code: str) -> dict[str, Any]:
    entry = CATALOGUE[code]
    page = (report.measured.get("pages") or {}).get(code) or {}
    told = "\n\n".join(str(page[key]) for key in ("how", "why", "fine") if page.get(key))
    return {
        "id": code,
        "name": "".join(word.title() for word in entry.slug.split("-")),
        "shortDescription": {"text": entry.cause},
        "help": {"text": clean(told or entry.cause, 4000)},
        "defaultConfiguration": {"level": _LEVELS[entry.severity]},
    }


def _result(report: Report, finding: Finding, codes: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": message(finding)},
        "locations": [_location(report, finding)],
        "baselineState": "unchanged" if finding.known else "new",
    }
    if finding.because_of:
        why = f"explained by {clean(finding.because_of, 16)}"
        result["suppressions"] = [{"kind": "external", "justification": why}]
    return result


def message(finding: Finding) -> str:
    """The finding, its first numbers and its fix, as one text."""
    parts = [clean(finding.message, 1200)]
    for item in finding.evidence[:3]:
        value, limit = beside(item.value, item.limit, item.unit)
        parts.append(f"{clean(item.name, 120)}: {value}{f' (limit {limit})' if limit else ''}.")
    if finding.fix is not None:
        parts.append(f"Fix: {clean(finding.fix.words, 400)}")
    return " ".join(parts)


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    file, line = where(report, finding)
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(PurePath(file).as_posix())}}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}


def where(report: Report, finding: Finding) -> tuple[str, int]:
    """``(file, line)`` that a finding speaks of; line 0 where there is none."""
    if finding.place is not None:
        # "train.ipynb, cell 3": its line is the cell's, and no line of the file.
        file, cell, _ = clean(finding.place.file, 400).partition(", cell ")
        return file, 0 if cell else finding.place.line
    return clean(report.subject, 400) or ".", 0
