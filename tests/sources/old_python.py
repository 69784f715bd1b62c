"""Functions marshalled as Pythons write them that are not the one at hand, put together by hand."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

# The instructions that the known Lambdas need, by their number in each Python.
_COMMON = {
    "SUBTRACT": 24, "DIVIDE": 27, "ITEM": 25, "RETURN": 83, "CONST": 100, "ATTR": 106,
    "GLOBAL": 116, "FAST": 124, "CALL": 131, "SLICE": 133, "DEREF": 136, "EXPONENT": 19,
}  # fmt: skip
_NUMBERS = {
    "2.7": {**_COMMON, "DIVIDE": 21, "CUT": 33},
    "3.5": _COMMON,
    "3.7": {**_COMMON, "CALL_KW": 141, "METHOD": 160, "CALL_METHOD": 161},
    "3.9": {**_COMMON, "CALL_KW": 141, "METHOD": 160, "CALL_METHOD": 161},
    "3.12": {
        "CACHE": 0, "CUT": 26, "RETURN": 83, "CONST": 100, "ATTR": 106, "GLOBAL": 116,
        "OPERATOR": 122, "FAST": 124, "DEREF": 137, "COPY_FREE": 149, "RESUME": 151, "CALL": 171,
        "NAMES": 172,
    },
    "3.13": {
        "CACHE": 0, "CUT": 4, "RETURN": 36, "OPERATOR": 45, "CALL": 53, "CALL_KW": 57,
        "COPY_FREE": 62, "ATTR": 82, "CONST": 83, "DEREF": 84, "FAST": 85, "GLOBAL": 91,
        "RESUME": 149,
    },
}  # fmt: skip
VERSIONS = tuple(_NUMBERS)
Program = Sequence[tuple[str, int]]


def marshalled(
    version: str,
    program: Program,
    constants: Sequence[Any],
    names: Sequence[str],
    free: Sequence[str] = (),
) -> str:
    """A function of one argument ``x`` as base64, as Keras stores it."""
    old = version == "2.7"
    code = _code(version, program)
    numbers = {"2.7": 4, "3.5": 5, "3.7": 5}.get(version, 6 if version == "3.9" else 5)
    places = [1, *[0] * (numbers - 4), 1, 8, 0x13] if numbers > 4 else [1, 1, 8, 0x13]
    if version in ("3.12", "3.13"):
        places = [1, 0, 0, 8, 0x13]
    parts = [b"c", *(struct.pack("<i", number) for number in places)]
    parts += [_value(code, old), _value(tuple(constants), old), _value(tuple(names), old)]
    if version in ("3.12", "3.13"):
        kinds = bytes([0x20, *[0x80] * len(free)])
        parts += [_value(("x", *free), old), _value(kinds, old)]
        parts += [_value(text, old) for text in ("model.py", "<lambda>", "<lambda>")]
        parts += [struct.pack("<i", 7), _value(b"", old), _value(b"", old)]
    else:
        parts += [_value(("x",), old), _value(tuple(free), old), _value((), old)]
        parts += [_value(text, old) for text in ("model.py", "<lambda>")]
        parts += [struct.pack("<i", 7), _value(b"", old)]
    return base64.b64encode(b"".join(parts)).decode()


def resize(version: str) -> dict[str, Any]:
    """``lambda x: tf.compat.v1.image.resize(x, before[1:3], method="bilinear",
    align_corners=True)`` with ``before = (None, 33, 33, 8)`` in the closure."""
    names = ["tf", "compat", "v1", "image", "resize"]
    keywords = ("method", "align_corners")
    head: list[tuple[str, int]] = [("GLOBAL", 0), *(("ATTR", i) for i in range(1, 5))]
    given: list[tuple[str, int]] = [("FAST", 0), ("DEREF", 0), ("CONST", 1), ("CONST", 2)]
    if version == "2.7":
        constants: list[Any] = [None, 1, 3, "method", "bilinear", "align_corners"]
        rest = [("CONST", i) for i in (3, 4, 5)] + [("GLOBAL", 5), ("CALL", 2 << 8 | 2)]
        program = [*head, *given, ("CUT", 0), *rest]
        names.append("True")
    elif version == "3.5":
        constants = [None, 1, 3, "method", "bilinear", "align_corners", True]
        rest = [("CONST", i) for i in (3, 4, 5, 6)] + [("CALL", 2 << 8 | 2)]
        program = [*head, *given, ("SLICE", 2), ("ITEM", 0), *rest]
    elif version in ("3.7", "3.9"):
        constants = [None, 1, 3, "bilinear", True, keywords]
        rest = [("CONST", 3), ("CONST", 4), ("CONST", 5), ("CALL_KW", 4)]
        program = [*head, *given, ("SLICE", 2), ("ITEM", 0), *rest]
    else:
        constants = [None, 1, 3, "bilinear", True, keywords]
        given[1] = ("DEREF", 1)
        start = [("COPY_FREE", 1), ("RESUME", 0), ("GLOBAL", 1), *[("CACHE", 0)] * 4]
        path = [part for i in range(1, 5) for part in [("ATTR", i << 1), *[("CACHE", 0)] * 9]]
        call = [("NAMES", 5), ("CALL", 4)] if version == "3.12" else [("CONST", 5), ("CALL_KW", 4)]
        rest = [("CUT", 0), ("CONST", 3), ("CONST", 4), *call, *[("CACHE", 0)] * 3]
        program = [*start, *path, *given, *rest]
    code = marshalled(version, [*program, ("RETURN", 0)], constants, names, ["before"])
    return {"function": [code, None, [[None, 33, 33, 8]]], "function_type": "lambda"}


def scale(version: str) -> dict[str, Any]:
    """``lambda x: x / 127.5 - 1``."""
    new = version in ("3.12", "3.13")
    divide = [("OPERATOR", 11), ("CACHE", 0)] if new else [("DIVIDE", 0)]
    minus = [("OPERATOR", 10), ("CACHE", 0)] if new else [("SUBTRACT", 0)]
    start = [("RESUME", 0)] if new else []
    program = [*start, ("FAST", 0), ("CONST", 1), *divide, ("CONST", 2), *minus, ("RETURN", 0)]
    code = marshalled(version, program, [None, 127.5, 1], [])
    return {"function": [code, None, None], "function_type": "lambda"}


def expand(version: str) -> dict[str, Any]:
    """``lambda x: K.expand_dims(x, 1)``."""
    call = {"3.7": "CALL_METHOD", "3.9": "CALL_METHOD"}.get(version, "CALL")
    path = [("GLOBAL", 0), ("METHOD" if call == "CALL_METHOD" else "ATTR", 1)]
    if version in ("3.12", "3.13"):
        path = [("RESUME", 0), ("GLOBAL", 0), ("ATTR", 1 << 1 | 1)]
    program = [*path, ("FAST", 0), ("CONST", 1), (call, 2), ("RETURN", 0)]
    code = marshalled(version, program, [None, 1], ["K", "expand_dims"])
    return {"function": [code, None, None], "function_type": "lambda"}


def _code(version: str, program: Program) -> bytes:
    numbers = _NUMBERS[version]
    found = b""
    for name, argument in program:
        number = numbers[name]
        if version not in ("2.7", "3.5"):
            found += bytes([number, argument])
        else:
            found += bytes([number]) + (struct.pack("<H", argument) if number >= 90 else b"")
    return found


def _value(value: Any, old: bool) -> bytes:
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
        kind = b"t" if old else b"u"
        return kind + struct.pack("<i", len(data)) + data
    items = b"".join(_value(item, old) for item in value)
    return b"(" + struct.pack("<i", len(value)) + items
