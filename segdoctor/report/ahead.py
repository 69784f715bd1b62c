"""Loads what drawing a report needs while the examination is at work, so that Ctrl-C soon has its
report."""

from __future__ import annotations

import io
import sys


def load_ahead() -> None:
    """Import the libraries of the report and have them do once what they only do the first time.

    Nothing is drawn: the settings that drawing changes belong to whoever draws. Under pytest
    nothing is done: it parses what is imported, of a plugin's package all of it, and CPython 3.11
    raises "AST constructor recursion depth mismatch" where two threads parse at once.
    """
    if "_pytest.assertion.rewrite" in sys.modules:
        return
    from segdoctor.report import document, html, one_page, screen, text  # noqa: F401
    from segdoctor.report.own_cache import load_matplotlib

    load_matplotlib()
    from matplotlib import figure, font_manager
    from matplotlib.backends import backend_agg, backend_svg  # noqa: F401
    from rich.console import Console
    from rich.table import Table

    font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    figure.Figure().add_subplot()
    html.environment()
    warm = Table("")
    warm.add_row("", "")
    Console(file=io.StringIO()).print(warm)  # rich fills its tables of styles on its first one
