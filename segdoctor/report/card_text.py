"""A finding in the terminal: what, number beside limit, why, fix, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segdoctor.report.arrangement import Card, cards
from segdoctor.report.report import Report
from segdoctor.report.wording import counted, first_sentence

TONES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green", "": "dim"}
STATUS = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow", "": "dim"}

# What a person reads at one go; the JSON and the HTML have the rest.
_CARDS = 20
_SAME_CODE = 3
_MEASURES = 4
_CODE = 16
_EXPLAINED = 8


def line(*parts: str | tuple[str, str]) -> Any:
    """Text of plain and ``(text, style)`` parts. It is never read as markup."""
    from rich.text import Text

    text = Text(overflow="fold")
    for part in parts:
        text.append(part) if isinstance(part, str) else text.append(part[0], style=part[1])
    return text


def print_cards(report: Report, show: Any) -> None:
    """Print a card for each finding; ``show(*parts, indent=0)`` prints."""
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
        show("", line((f"and {counted(sum(left.values()), 'more finding')}: {more}", "dim")))


def _card(card: Card, place: int, show: Any) -> None:
    mark = "  in the diagnosis" if card.in_diagnosis else ""
    mark += "  in the baseline" if card.known else ""
    show(
        line(
            (f"{place}. {card.code} {card.slug}", "bold"),
            "  ",
            (card.severity.upper(), TONES[card.severity]),
            (mark, "dim"),
        )
    )
    show(line(card.message), indent=3)
    if card.place:
        show(line(("at ", "dim"), card.place), indent=3)
    _measures(card, 3, show)
    rows: list[tuple[str, Any]] = []
    if card.why:
        rows.append(("why", line(first_sentence(card.why))))
    if card.fix:
        rows.append(("fix", line(card.fix)))
    _labelled(rows, 3, show)
    for code in card.fix_code[:_CODE]:
        show(line((code, "cyan")), indent=12)
    if len(card.fix_code) > _CODE:
        show(line((f"and {len(card.fix_code) - _CODE} more lines", "dim")), indent=12)
    if card.is_judged:
        verdict = line((card.verdict, STATUS[card.verdict_status]))
        if card.verdict_reason:
            verdict.append(f": {card.verdict_reason}")
        _labelled([("verdict", verdict)], 3, show)
    for below in card.explained[:_EXPLAINED]:
        indent = min(3 * below.depth, 9)
        show(
            line(
                (f"because of {below.because_of}: ", "dim"),
                (f"{below.code} {below.slug}", "bold dim"),
            ),
            indent=indent,
        )
        show(line((below.message, "dim")), indent=indent + 3)
        _measures(below, indent + 3, show, most=1)
    if len(card.explained) > _EXPLAINED:
        more = ", ".join(below.code for below in card.explained[_EXPLAINED:])
        show(line((f"because of {card.code} also: {more}", "dim")), indent=3)


def _measures(card: Card, indent: int, show: Any, most: int = _MEASURES) -> None:
    from rich.table import Table

    if not card.measures:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=44, overflow="fold")
    grid.add_column(justify="right", overflow="fold", max_width=24)
    grid.add_column(overflow="fold", max_width=24, style="dim")
    grid.add_column(overflow="fold", style="dim")
    numbers = [measure for measure in card.measures[:most] if not measure.is_said]
    for measure in numbers:
        grid.add_row(
            line(measure.name),
            line((measure.value, "bold")),
            line(f"limit {measure.limit}" if measure.limit else ""),
            line(measure.where),
        )
    if numbers:
        show(grid, indent=indent)
    for measure in card.measures[:most]:
        if measure.is_said:
            where = f"  {measure.where}" if measure.where else ""
            limit = f"  limit {measure.limit}" if measure.limit else ""
            name = (f"{measure.name}: ", "")
            show(line(name, (measure.value, "bold"), (limit + where, "dim")), indent=indent)
    if len(card.measures) > most > 1:
        more = counted(len(card.measures) - most, "more number")
        show(line((f"and {more}", "dim")), indent=indent)


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
