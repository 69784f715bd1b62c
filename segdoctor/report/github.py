"""Workflow commands of GitHub Actions: a finding is shown at its line of the change."""

from __future__ import annotations

from segdoctor.core.clean import clean
from segdoctor.report.report import Report
from segdoctor.report.sarif import message, where

_KINDS = {"error": "error", "warning": "warning", "info": "notice"}


def to_github(report: Report) -> str:
    """One command a finding that stands by itself; those of the baseline are notices. The last
    line is the headline."""
    lines = []
    for finding in report.findings:
        if finding.because_of:
            continue
        file, line = where(report, finding)
        place = {"file": file, **({"line": str(line)} if line else {})}
        place["title"] = f"{finding.code} {finding.slug}"
        told = ",".join(f"{key}={_property(value)}" for key, value in place.items())
        kind = "notice" if finding.known else _KINDS[finding.severity]
        lines.append(f"::{kind} {told}::{_data(message(finding))}")
    return "\n".join([*lines, f"::notice title=segdoctor::{_data(clean(report.headline, 1200))}"])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
