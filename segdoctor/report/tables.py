"""Plain tables that a report carries, such as the layers of a model file, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.report.report import Report
from segdoctor.report.wording import number


@dataclass(frozen=True, slots=True)
class Table:
    """A plain table: its columns, which of them hold numbers, and its rows as text."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def tables(report: Report) -> tuple[Table, ...]:
    """The tables of ``measured["tables"]``, such as the layers of a model file."""
    return tuple(_table(given) for given in report.measured.get("tables") or ())


def _table(given: Mapping[str, Any]) -> Table:
    columns = tuple(clean(column, 40) for column in given.get("columns", ()))
    # A row that is too short is filled up, one that is too long is cut.
    rows = [(*tuple(row)[: len(columns)],) for row in given.get("rows", ())]
    rows = [row + (None,) * (len(columns) - len(row)) for row in rows]
    numeric = tuple(
        bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(columns))
    )
    texts = tuple(tuple("" if cell is None else number(cell) for cell in row) for row in rows)
    return Table(
        clean(given.get("title", ""), 80), columns, numeric, texts, clean(given.get("note", ""))
    )


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, (int, float)) and not isinstance(cell, bool))
