"""Prints a report on the terminal, with the table of what was read where there is one."""

from __future__ import annotations

import sys

from segdoctor.report.report import Report


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
