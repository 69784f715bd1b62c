"""Prints a report on the terminal, with the table of what was read where there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from segdoctor.report.report import Report


def written_as(report: Report, form: str) -> str:
    """The report as a document: ``"json"``, ``"junit"``, ``"sarif"`` or ``"github"``."""
    if form == "junit":
        from segdoctor.report.junit import to_junit

        return to_junit(report)
    if form == "sarif":
        from segdoctor.report.sarif import to_sarif

        return to_sarif(report)
    if form == "github":
        from segdoctor.report.github import to_github

        return to_github(report)
    from segdoctor.report.document import to_json

    return to_json(report)


@contextmanager
def document_alone(wanted: bool) -> Iterator[TextIO]:
    """Where a document is written while a script runs: with ``wanted``, all that the script and its
    children print goes to stderr within the block, so that stdout is the document alone."""
    if not wanted:
        yield sys.stdout
        return
    document = sys.stdout
    document.flush()
    try:
        held = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # no such descriptors: a notebook, a test
        held = -1
    try:
        if held >= 0 and document is sys.__stdout__:
            document = os.fdopen(os.dup(held), "w", encoding="utf-8")
        with redirect_stdout(sys.stderr):
            yield document
        document.flush()
    finally:
        if held >= 0:
            os.dup2(held, 1)
            os.close(held)


def show(report: Report, *, verbose: bool = False) -> None:
    """Print ``report`` on stdout, in the terminal's width and colours."""
    from rich.console import Console

    from segdoctor.report.text import print_report

    console = Console(file=sys.stdout, highlight=False)
    if report.kind == "inspect" and report.raw is not None:
        from segdoctor.report.inspect_text import inspect_text

        console.print(inspect_text(report.raw, verbose=verbose))
    elif report.kind == "scan" and report.raw is not None:
        from segdoctor.report.scan_text import scan_text

        console.print(scan_text(report.raw))
    print_report(report, console)
