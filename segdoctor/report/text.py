"""The report in the terminal: the diagnosis first, then compact cards, in 80 columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.arrangement import (
    Card,
    Reason,
    cards,
    class_name,
    coverage,
    crashed,
    flat,
    headline,
    state,
    summary,
    unexamined,
)
from segdoctor.report.report import Report
from segdoctor.report.tables import tables
from segdoctor.report.wording import counted, first_sentence, number, score

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

TONES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green", "": "dim"}
STATUS = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow", "": "dim"}

# What a person reads at one go; the JSON and the HTML have the rest.
_CARDS = 20
_SAME_CODE = 3
_MEASURES = 4
_EXPLAINED = 8
_REASONS = 12
_ROWS = 24
_INSPECTED = 1000  # the table is what was asked for
_WIDEST = 100


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

    def show(*parts: RenderableType, indent: int = 0) -> None:
        for part in parts:
            # No markup, emoji or highlighting: what a stranger wrote is shown as it is.
            console.print(
                Padding(part, (0, 0, 0, indent)),
                markup=False,
                emoji=False,
                highlight=False,
                width=min(console.width, _WIDEST),
            )

    tone, words = state(report)
    show(
        _line((f"segdoctor {clean(report.kind)}", "bold"), f"  {clean(report.subject, 300)}"),
        "",
        _line((words.upper(), TONES[tone])),
        _line((headline(report), "bold")),
        _line((" · ".join(summary(report)), "dim")),
    )
    _findings(report, show)
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


def _line(*parts: str | tuple[str, str]) -> Any:
    from rich.text import Text

    text = Text(overflow="fold")
    for part in parts:
        text.append(part) if isinstance(part, str) else text.append(part[0], style=part[1])
    return text


def _findings(report: Report, show: Any) -> None:
    shown: dict[str, int] = {}
    left: dict[str, int] = {}
    for card in cards(report):
        if sum(shown.values()) >= _CARDS or shown.get(card.code, 0) >= _SAME_CODE:
            left[card.code] = left.get(card.code, 0) + 1
            continue
        shown[card.code] = shown.get(card.code, 0) + 1
        show("")
        _card(card, sum(shown.values()), show)
    if left:
        more = ", ".join(f"{code} × {count}" for code, count in left.items())
        show("", _line((f"and {counted(sum(left.values()), 'more finding')}: {more}", "dim")))


def _card(card: Card, place: int, show: Any) -> None:
    mark = "  in the diagnosis" if card.in_diagnosis else ""
    show(
        _line(
            (f"{place}. {card.code} {card.slug}", "bold"),
            "  ",
            (card.severity.upper(), TONES[card.severity]),
            (mark, "dim"),
        )
    )
    show(_line(card.message), indent=3)
    _measures(card, 3, show)
    rows: list[tuple[str, Any]] = []
    if card.why:
        rows.append(("why", _line(first_sentence(card.why))))
    if card.fix:
        rows.append(("fix", _line(card.fix)))
    _labelled(rows, 3, show)
    for line in card.fix_code:
        show(_line((line, "cyan")), indent=12)
    if card.fix or card.verdict_status:
        verdict = _line((card.verdict, STATUS[card.verdict_status]))
        if card.verdict_reason:
            verdict.append(f": {card.verdict_reason}")
        _labelled([("verdict", verdict)], 3, show)
    for below in card.explained[:_EXPLAINED]:
        indent = min(3 * below.depth, 9)
        show(
            _line(
                (f"because of {below.because_of}: ", "dim"),
                (f"{below.code} {below.slug}", "bold dim"),
            ),
            indent=indent,
        )
        show(_line((below.message, "dim")), indent=indent + 3)
        _measures(below, indent + 3, show, most=1)
    if len(card.explained) > _EXPLAINED:
        more = ", ".join(below.code for below in card.explained[_EXPLAINED:])
        show(_line((f"because of {card.code} also: {more}", "dim")), indent=3)


def _measures(card: Card, indent: int, show: Any, most: int = _MEASURES) -> None:
    from rich.table import Table

    if not card.measures:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=34, overflow="fold")
    grid.add_column(justify="right", overflow="fold", max_width=24)
    grid.add_column(overflow="fold", max_width=24, style="dim")
    grid.add_column(overflow="fold", style="dim")
    for measure in card.measures[:most]:
        grid.add_row(
            _line(measure.name),
            _line((measure.value, "bold")),
            _line(f"limit {measure.limit}" if measure.limit else ""),
            _line(measure.where),
        )
    show(grid, indent=indent)
    if len(card.measures) > most > 1:
        more = counted(len(card.measures) - most, "more number")
        show(_line((f"and {more}", "dim")), indent=indent)


def _labelled(rows: Sequence[tuple[str, Any]], indent: int, show: Any) -> None:
    from rich.table import Table

    if not rows:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=7, style="dim")
    grid.add_column(overflow="fold")
    for label, content in rows:
        grid.add_row(label, content)
    show(grid, indent=indent)


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
            _line(clean(trial.name, 80)),
            number(trial.steps),
            f"{number(trial.loss_first)} → {number(trial.loss_last)}",
            f"{score(trial.miou_training)} / {score(trial.miou_inference)} of "
            f"{score(trial.ceiling)}",
            _line(clean(trial.verdict, 80)),
        )
    show("", table)
    for trial in report.trials:
        if trial.note:
            show(_line((f"{clean(trial.name, 80)}: {clean(trial.note, 400)}", "dim")))
    last = report.trials[-1]
    if last.per_class:
        present = list(last.per_class.items())
        ious = " · ".join(f"{class_name(report, c)} {score(iou)}" for c, iou in present[:12])
        more = f" · {len(present) - 12} more" if len(present) > 12 else ""
        show(_line(("IoU per class, ", "dim"), (clean(last.name, 80), "dim"), f": {ious}{more}"))


def _tables(report: Report, show: Any) -> None:
    from rich import box
    from rich.table import Table

    most = _ROWS if report.kind == "check" else _INSPECTED
    for given in tables(report):
        table = Table(
            title=_line((given.title, "bold")),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            show_edge=False,
            pad_edge=False,
        )
        for column, numeric in zip(given.columns, given.numeric, strict=True):
            table.add_column(_line(column), overflow="fold", justify="right" if numeric else "left")
        for row in given.rows[:most]:
            table.add_row(*(_line(cell) for cell in row))
        show("", table)
        if len(given.rows) > most:
            show(_line((f"and {counted(len(given.rows) - most, 'more row')}", "dim")))
        if given.note:
            show(_line((given.note, "dim")))


def _rest(report: Report, show: Any) -> None:
    broken = crashed(report)
    if broken:
        show("", _line(("Crashed (a defect of segdoctor, the rest went on)", "bold")))
        _reasons(broken, show)
    missing = unexamined(report)
    if missing:
        show("", _line(("Not examined", "bold")))
        _reasons(missing, show)
    if report.outcomes:
        show("", _line(" · ".join(coverage(report))))
    for note in report.notes:
        show(_line(("note: ", "dim"), clean(note, 600)))
    facts = flat(report.run)
    if facts:
        show("", _line(("Examined: " + " · ".join(f"{n} {t}" for n, t in facts), "dim")))
    show(_line((_footer(report), "dim")))


def _reasons(groups: Sequence[Reason], show: Any) -> None:
    for group in groups[:_REASONS]:
        codes = " ".join(group.codes) if len(group.codes) <= 8 else f"{len(group.codes)} codes"
        show(_line(f"{codes}: ", (group.reason, "dim")), indent=2)
    if len(groups) > _REASONS:
        rest = sum(len(group.codes) for group in groups[_REASONS:])
        show(_line((f"{counted(rest, 'code')} for other reasons", "dim")), indent=2)


def _footer(report: Report) -> str:
    versions = " · ".join(f"{clean(n, 40)} {clean(v, 40)}" for n, v in report.versions.items())
    timings = " · ".join(f"{clean(n, 40)} {number(s)} s" for n, s in report.timings.items())
    parts = [versions, f"seed {report.seed}", timings, f"exit {report.exit_code}"]
    return " · ".join(part for part in parts if part)
