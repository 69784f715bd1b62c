"""What an earlier report knew: its findings are kept, marked, and do not fail a pipeline again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.finding import Finding
from segdoctor.core.given_file import given_text
from segdoctor.examination.verdict import exit_code_of
from segdoctor.report.report import Report

Known = Mapping[str, frozenset[str]]
"""Code → the places (layers, files, classes) at which it was found."""


def read_baseline(path: str | os.PathLike[str]) -> Known:
    """The findings of an earlier ``report.json`` (``--out``, or ``--format json``).

    Raises
    ------
    UserError
        If it is not there, or no report of segdoctor.
    """
    shown = clean(os.fspath(path))
    try:
        document = json.loads(given_text(path))
        known: dict[str, set[str]] = {}
        for finding in document["findings"]:
            places = (str(item["where"]) for item in finding["evidence"])
            known.setdefault(str(finding["code"]), set()).update(places)
    except OSError as error:
        raise UserError(
            f"--baseline {shown}: expected an earlier report.json, {clean(error.strerror or error)}"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"--baseline {shown}: expected a report.json as segdoctor writes it, received "
            "something else"
        ) from error
    return {code: frozenset(places) for code, places in known.items()}


def with_baseline(report: Report, known: Known, *, fail_on: str) -> Report:
    """``report`` with the findings of the baseline marked, and the exit status of the others.

    A finding is known if its code was found before at all the places where it is found now: a
    second broken file is new.
    """
    findings = tuple(replace(f, known=_is_known(f, known)) for f in report.findings)
    count = sum(finding.known for finding in findings)
    code = report.exit_code
    if code in (0, 1):
        new = [finding for finding in findings if not finding.known]
        code = exit_code_of(
            new, (), fail_on=fail_on, interrupted=False, refused=False, incomplete=False
        )
    note = f"{count} of {len(findings)} findings are in the baseline and do not count"
    return replace(report, findings=findings, exit_code=code, notes=(*report.notes, note))


def _is_known(finding: Finding, known: Known) -> bool:
    places: Any = {clean(item.where, 4000) for item in finding.evidence}
    return finding.code in known and places <= known[finding.code]
