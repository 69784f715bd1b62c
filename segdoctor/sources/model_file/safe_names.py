"""Settings of the layers of ours that stand in for code (:mod:`.safe_layers`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SAFE_PREFIX = "segdoctor>"


def operation_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": settings["name"], "function": str(settings.get("function"))}


def operation_call(items: list[Any], tensor: Callable[[Any], Any]) -> dict[str, Any]:
    """A call of a tf.keras operation: the first argument by position, the others by name."""
    first = items[0] if len(items) == 1 else items
    if len(items) == 1:
        kwargs = items[0][3] if len(items[0]) > 3 and isinstance(items[0][3], Mapping) else {}
        first = tensor(items[0])
    else:
        kwargs = next((i[3] for i in items if len(i) > 3 and isinstance(i[3], Mapping)), {})
        first = [tensor(item) for item in items]
    plain = {key: tensor(value) for key, value in kwargs.items() if key != "name"}
    return {"args": [first], "kwargs": {k: v for k, v in plain.items() if v is not None}}
