"""The report in the terminal: the diagnosis first, then compact cards, in 80 columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.arrangement import (
    Reason,
    class_name,
    coverage,
    crashed,
    flat,
    headline,
    state,
    summary,
    unexamined,
)
from segdoctor.report.card_text import TONES, line, print_cards
from segdoctor.report.report import EXAMINED, Report
from segdoctor.report.tables import tables
from segdoctor.report.wording import counted, number, score

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# What a person reads at one go; the JSON and the HTML have the rest.
_REASONS = 12
_ROWS = 24
_INSPECTED = 1000  # the table is what was asked for
_FACTS = 14
_WIDEST = 100
_LONGEST = 160  # an error text in a list; the JSON has the whole

# Said by the first line, or of no use at midnight.
_SAID = ("model", "data", "source", "bytes", "kind", "layout")


def as_text(
    report: Report, width: int | None = None, colour: bool = False, written: str = ""
) -> str:
    """The report as text of ``width`` columns (80), without colour unless asked for.

    ``written`` is the path of the written report; it becomes the last line.
    """
    from rich.console import Console

    sink = io.StringIO()
    console = Console(
        file=sink,
        width=width or 80,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        legacy_windows=False,
    )
    print_report(report, console, written)
    lines = [line.rstrip() for line in sink.getvalue().splitlines()]
    return "\n".join(lines) + "\n"


def print_report(report: Report, console: Console, written: str = "") -> None:
    """Print the report; ``written`` is the path of the written report, the last line."""
    from rich.padding import Padding
    from rich.table import Table

    def show(*parts: RenderableType, indent: int = 0) -> None:
        for part in parts:
            # No markup, emoji or highlighting: what a stranger wrote is shown as it is.
            console.print(
                Padding(part, (0, 0, 0, indent), expand=isinstance(part, Table)) if part else "",
                markup=False,
                emoji=False,
                highlight=False,
                width=min(console.width, _WIDEST),
            )

    tone, words = state(report)
    show(
        line((f"segdoctor {clean(report.kind)}", "bold"), f"  {clean(report.subject, 300)}"),
        "",
        line((words.upper(), TONES[tone])),
        line((headline(report), "bold")),
        line((" · ".join(summary(report)), "dim")),
    )
    print_cards(report, show)
    _tables(report, show)
    _trials(report, show)
    _rest(report, show)
    if written:
        # A path is not wrapped by hand: it must stay whole to be copied.
        show("")
        console.print(
            f"Report written: {clean(written, 4000)}",
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )


def _trials(report: Report, show: Any) -> None:
    from rich import box
    from rich.table import Table

    if not report.trials:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("trial", overflow="fold", ratio=3, min_width=12)
    table.add_column("steps", justify="right")
    table.add_column("loss", justify="right")
    table.add_column("mIoU train / infer.\nof ceiling", justify="right")
    table.add_column("verdict", overflow="fold", ratio=2, min_width=10)
    for trial in report.trials:
        table.add_row(
            line(clean(trial.name, 80)),
            number(trial.steps),
            f"{number(trial.loss_first)} → {number(trial.loss_last)}" if trial.steps else "–",
            f"{score(trial.miou_training)} / {score(trial.miou_inference)} of "
            f"{score(trial.ceiling)}",
            line(clean(trial.verdict, 80)),
        )
    show("", table)
    for trial in report.trials:
        if trial.note:
            show(line((f"{clean(trial.name, 80)}: {clean(trial.note, _LONGEST)}", "dim")))
    last = report.trials[-1]
    if last.per_class:
        present = list(last.per_class.items())
        ious = " · ".join(f"{class_name(report, c)} {score(iou)}" for c, iou in present[:12])
        more = f" · {len(present) - 12} more" if len(present) > 12 else ""
        show(line(("IoU per class, ", "dim"), (clean(last.name, 80), "dim"), f": {ious}{more}"))


def _tables(report: Report, show: Any) -> None:
    from rich import box
    from rich.table import Table

    most = _ROWS if report.kind in EXAMINED else _INSPECTED
    for given in tables(report):
        table = Table(
            title=line((given.title, "bold")),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            show_edge=False,
            pad_edge=False,
        )
        for column, numeric in zip(given.columns, given.numeric, strict=True):
            table.add_column(line(column), overflow="fold", justify="right" if numeric else "left")
        for row in given.rows[:most]:
            table.add_row(*(line(cell) for cell in row))
        show("", table)
        if len(given.rows) > most:
            show(line((f"and {counted(len(given.rows) - most, 'more row')}", "dim")))
        if given.note:
            show(line((given.note, "dim")))


def _rest(report: Report, show: Any) -> None:
    broken = crashed(report)
    if broken:
        show("", line(("Crashed (a defect of segdoctor, the rest went on)", "bold")))
        _reasons(broken, show)
    missing = unexamined(report)
    if missing:
        show("", line(("Not examined", "bold")))
        _reasons(missing, show)
    if report.outcomes:
        show("", line(" · ".join(coverage(report))))
    for note in report.notes:
        show(line(("note: ", "dim"), clean(note, 600)))
    _examined(report, show)
    show("", line((_footer(report), "dim")))


def _examined(report: Report, show: Any) -> None:
    """What was examined: the loss, the optimizer, the batch; the files are in the first line."""
    from rich.table import Table

    facts = [(name, text) for name, text in flat(report.run) if name not in _SAID]
    if not facts:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", max_width=24, overflow="fold")
    grid.add_column(overflow="fold")
    for name, text in facts[:_FACTS]:
        grid.add_row(line((name, "dim")), line((text, "dim")))
    show("", line(("Examined", "bold")))
    show(grid, indent=2)


def _reasons(groups: Sequence[Reason], show: Any) -> None:
    for group in groups[:_REASONS]:
        codes = " ".join(group.codes) if len(group.codes) <= 8 else f"{len(group.codes)} codes"
        show(line(f"{codes}: ", (clean(group.reason, _LONGEST), "dim")), indent=2)
    if len(groups) > _REASONS:
        rest = sum(len(group.codes) for group in groups[_REASONS:])
        show(line((f"{counted(rest, 'code')} for other reasons", "dim")), indent=2)


def _footer(report: Report) -> str:
    versions = " · ".join(f"{clean(n, 40)} {clean(v, 40)}" for n, v in report.versions.items())
    timings = " · ".join(f"{clean(n, 40)} {number(s)} s" for n, s in report.timings.items())
    parts = [versions, f"seed {report.seed}", timings, f"exit {report.exit_code}"]
    return " · ".join(part for part in parts if part)
