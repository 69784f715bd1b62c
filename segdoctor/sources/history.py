"""A training's history, from whatever it was kept in, as :class:`HistoryFacts`.

A CSVLogger file, a JSON file, a dict, a pandas frame, a Keras ``History`` or a TensorBoard folder.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.given_file import given_text
from segdoctor.core.history_facts import HistoryFacts

_EXPECTED = (
    "expected a CSVLogger file, a JSON file, a TensorBoard folder, a dict of lists, a pandas "
    "frame or a Keras History"
)
_MOST_BYTES = 64_000_000
_NOT_REPORTED = "NA"


def read_history(given: Any) -> HistoryFacts:
    """The curves, each key one value an epoch.

    Raises
    ------
    UserError
        If it is none of these, or holds no numbers; one line says what was found.
    """
    if isinstance(given, str | os.PathLike):
        return _from_path(os.fspath(given))
    if hasattr(given, "history") and isinstance(given.history, Mapping):  # keras.callbacks.History
        epochs = getattr(given, "epoch", None)
        return _checked("History", given.history, epochs)
    if isinstance(given, Mapping):
        return _checked("dict", given)
    if hasattr(given, "columns") and hasattr(given, "to_dict"):
        return _checked("pandas frame", given.to_dict("list"))
    raise UserError(f"history: {_EXPECTED}, received {clean(type(given).__name__)}")


def _from_path(path: str) -> HistoryFacts:
    name = clean(path)
    if os.path.isdir(path):
        from segdoctor.sources.event_file import read_event_folder

        series = read_event_folder(path)
        if not series:
            raise UserError(f"history {name!r}: expected TensorBoard event files with scalars")
        return _from_points(f"TensorBoard folder {name}", series)
    if not os.path.isfile(path):
        raise UserError(f"history {name!r}: expected a file or a folder, and there is none")
    if os.path.getsize(path) > _MOST_BYTES:
        raise UserError(f"history {name!r}: larger than {_MOST_BYTES // 1_000_000} MB")
    try:
        text = given_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "no text" if isinstance(error, UnicodeDecodeError) else type(error).__name__
        raise UserError(f"history {name!r}: cannot be read ({why}); {_EXPECTED}") from error
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(name, text)
    return _from_csv(name, text)


def _from_json(name: str, text: str) -> HistoryFacts:
    try:
        held = _json_lines(text) or json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"history {name!r}: no JSON ({clean(error)})") from error
    if isinstance(held, Mapping) and isinstance(held.get("history"), Mapping):
        held = held["history"]
    if isinstance(held, list) and all(isinstance(row, Mapping) for row in held):
        held = _columns(held)
    if not isinstance(held, Mapping):
        raise UserError(f"history {name!r}: expected an object of lists, one for each key")
    # Keras' History.history written by pandas: {"loss": {"0": 1.2, "1": 1.1}}
    held = {k: list(v.values()) if isinstance(v, Mapping) else v for k, v in held.items()}
    return _checked(f"JSON file {name}", held)


def _json_lines(text: str) -> list[Any]:
    """The rows of a log with one object a line; [] where it is another JSON."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.strip().endswith("}") for line in lines):
        return []
    return [json.loads(line) for line in lines]


def _from_csv(name: str, text: str) -> HistoryFacts:
    head = text.splitlines()[:1]
    separator = max(",;\t", key=lambda mark: head[0].count(mark)) if head else ","
    try:
        rows = [row for row in csv.DictReader(text.splitlines(), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise UserError(f"history {name!r}: no CSV ({clean(error)})") from error
    return _checked(f"CSVLogger file {name}", _columns(rows))


def _columns(rows: Sequence[Mapping[Any, Any]]) -> dict[str, list[Any]]:
    keys = dict.fromkeys(str(key) for row in rows for key in row if key is not None)
    return {key: [row.get(key) for row in rows] for key in keys}


def _checked(
    source: str, held: Mapping[Any, Any], epochs: Iterable[Any] | None = None
) -> HistoryFacts:
    """Numbers only, equally long; several runs appended to one CSV keep their order."""
    series: dict[str, tuple[float, ...]] = {}
    unwritten: dict[str, int] = {}
    numbers: list[float] | None = None
    left_out = []
    for key, values in held.items():
        name = clean(str(key).strip(), 80)
        if not isinstance(values, Sequence) or isinstance(values, str):
            values = (
                list(values) if hasattr(values, "__iter__") and values is not None else [values]
            )
        column = [_number(value) for value in values]
        if name.lower() in ("epoch", "epochs"):
            numbers = column
        elif name and not name.lower().startswith("unnamed") and _any_number(values):
            series[name] = tuple(column)
            unwritten[name] = _left_empty(values)
        else:
            left_out.append(name)
    length = max((len(values) for values in series.values()), default=0)
    if not length:
        raise UserError(f"history ({source}): no key holds numbers; {_EXPECTED}")
    for name, given_values in series.items():
        every = length // len(given_values) if name.startswith("val_") else 1
        series[name], left = _spread(given_values, length, every)
        unwritten[name] += left
    given = list(epochs) if epochs is not None else numbers
    counted = [int(n) for n in given] if given and not any(map(_odd, given)) else []
    if len(counted) != length:
        counted = list(range(length))
    notes = (f"history: no numbers in {', '.join(left_out)}",) if any(left_out) else ()
    left_open = {name: epochs for name, epochs in unwritten.items() if epochs}
    return HistoryFacts(source, tuple(counted), series, notes, left_open)


def _left_empty(values: Sequence[Any]) -> int:
    """The cells at the end in which CSVLogger says that the key was not reported."""
    count = 0
    while count < len(values) and values[-1 - count] == _NOT_REPORTED:
        count += 1
    return count


def _spread(values: Sequence[float], length: int, every: int) -> tuple[tuple[float, ...], int]:
    """A column as long as the training, and how many epochs at its end were not written.

    Keras' ``History`` keeps a key of each k-th epoch (``validation_freq=k``) as a shorter list.
    """
    placed = [math.nan] * length
    for place, value in enumerate(values):
        placed[(place + 1) * every - 1] = value
    return tuple(placed), length - len(values) * every


def _any_number(values: Iterable[Any]) -> bool:
    """Whether a column holds numbers (NaN written out counts; text and empty cells do not)."""
    return any(_spelled_nan(value) or not math.isnan(_number(value)) for value in values)


def _spelled_nan(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
    return isinstance(value, float) and math.isnan(value)


def _odd(number: Any) -> bool:
    return not math.isfinite(_number(number))


def _number(value: Any) -> float:
    """A cell as a number: NumPy scalars, text, empty cells and Keras' ``"NA"`` (NaN)."""
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _from_points(source: str, series: Mapping[str, Sequence[tuple[int, float]]]) -> HistoryFacts:
    steps = sorted({step for points in series.values() for step, _ in points})
    place = {step: index for index, step in enumerate(steps)}
    columns = {}
    for name, points in series.items():
        column = [math.nan] * len(steps)
        for step, value in points:
            column[place[step]] = value
        columns[name] = tuple(column)
    return HistoryFacts(source, tuple(steps), columns)
