"""JSON of a stranger: bounded in size, number of values and depth, and without double keys."""

from __future__ import annotations

import json
from typing import Any

MAX_BYTES = 64 << 20
MAX_CONTAINERS = 150_000  # a net of 1,500 layers has a third of them
MAX_VALUES = 1_000_000
MAX_DEPTH = 100


class JsonRefusedError(ValueError):
    """The text is no JSON, or beyond the bounds. The message completes *received …*."""


def parse_json(text: str | bytes) -> Any:
    """The value of ``text``.

    Two equal keys in one object are refused: readers disagree about which of them counts, and
    what was vetted would not be what is built.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise JsonRefusedError(f"{len(data) >> 20} MB of JSON (at most {MAX_BYTES >> 20})")
    if (containers := data.count(b"{") + data.count(b"[")) > MAX_CONTAINERS:
        raise JsonRefusedError(f"JSON of {containers} objects and lists (at most {MAX_CONTAINERS})")
    if (values := data.count(b",")) > MAX_VALUES:
        raise JsonRefusedError(f"JSON of {values} values (at most {MAX_VALUES})")
    try:
        value = json.loads(data, object_pairs_hook=_without_double_keys)
    except RecursionError:
        raise JsonRefusedError(f"JSON nested deeper than {MAX_DEPTH} levels") from None
    except JsonRefusedError:
        raise
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, an integer of 5000 digits
        raise JsonRefusedError(f"broken JSON ({str(error)[:120]})") from None
    _refuse_deep(value)
    return value


def _without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise JsonRefusedError(f"JSON with the key {double[:60]!r} twice in one object")
    return found


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise JsonRefusedError(f"JSON nested deeper than {MAX_DEPTH} levels")
