"""Functions marshalled as Python 3.0 to 3.5 write them, put together by hand: there are three
bytes to an instruction with an argument, and no such Python is at hand any more. Those of other
Pythons are in ``lambdas.jsonl``, as they themselves wrote them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

_NUMBERS = {
    "SUBTRACT": 24, "ITEM": 25, "DIVIDE": 27, "RETURN": 83, "CONST": 100, "ATTR": 106,
    "GLOBAL": 116, "FAST": 124, "CALL": 131, "SLICE": 133, "DEREF": 136,
}  # fmt: skip


def resize() -> dict[str, Any]:
    """``lambda x: tf.compat.v1.image.resize(x, before[1:3], method="bilinear",
    align_corners=True)`` with ``before = (None, 33, 33, 8)`` in the closure."""
    names = ["tf", "compat", "v1", "image", "resize"]
    constants = [None, 1, 3, "method", "bilinear", "align_corners", True]
    program = [
        ("GLOBAL", 0), *(("ATTR", i) for i in range(1, 5)),
        ("FAST", 0), ("DEREF", 0), ("CONST", 1), ("CONST", 2), ("SLICE", 2), ("ITEM", 0),
        *(("CONST", i) for i in (3, 4, 5, 6)), ("CALL", 2 << 8 | 2), ("RETURN", 0),
    ]  # fmt: skip
    code = _marshalled(program, constants, names, ["before"])
    return {"function": [code, None, [[None, 33, 33, 8]]], "function_type": "lambda"}


def scale() -> dict[str, Any]:
    """``lambda x: x / 127.5 - 1``."""
    program = [("FAST", 0), ("CONST", 1), ("DIVIDE", 0), ("CONST", 2), ("SUBTRACT", 0)]
    code = _marshalled([*program, ("RETURN", 0)], [None, 127.5, 1], [])
    return {"function": [code, None, None], "function_type": "lambda"}


def expand() -> dict[str, Any]:
    """``lambda x: K.expand_dims(x, 1)``."""
    program = [("GLOBAL", 0), ("ATTR", 1), ("FAST", 0), ("CONST", 1), ("CALL", 2), ("RETURN", 0)]
    code = _marshalled(program, [None, 1], ["K", "expand_dims"])
    return {"function": [code, None, None], "function_type": "lambda"}


def _marshalled(
    program: Sequence[tuple[str, int]],
    constants: Sequence[Any],
    names: Sequence[str],
    free: Sequence[str] = (),
) -> str:
    """A function of one argument ``x`` as base64, as Keras stores it."""
    code = b""
    for name, argument in program:
        number = _NUMBERS[name]
        code += bytes([number]) + (struct.pack("<H", argument) if number >= 90 else b"")
    parts = [b"c", *(struct.pack("<i", number) for number in (1, 0, 1, 8, 0x13))]
    parts += [_value(item) for item in (code, tuple(constants), tuple(names), ("x",), tuple(free))]
    parts += [_value(item) for item in ((), "model.py", "<lambda>")]
    parts += [struct.pack("<i", 7), _value(b"")]
    return base64.b64encode(b"".join(parts)).decode()


def _value(value: Any) -> bytes:
    if value is None:
        return b"N"
    if value is True:
        return b"T"
    if isinstance(value, int):
        return b"i" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"g" + struct.pack("<d", value)
    if isinstance(value, bytes):
        return b"s" + struct.pack("<i", len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return b"u" + struct.pack("<i", len(data)) + data
    items = b"".join(_value(item) for item in value)
    return b"(" + struct.pack("<i", len(value)) + items
