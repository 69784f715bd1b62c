"""Marshalled Python code parsed as data, in pure Python: nothing is loaded, nothing can run.

``marshal.loads`` gives a code object that the interpreter would trust, and only of its own
version. Here the bytes become plain values, whichever Python wrote them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 64 << 10
_MAX_VALUES = 20_000
_MAX_DEPTH = 40
_HAS_ARGUMENT_NUMBERS = {  # 32-bit numbers before the bytecode, by layout
    "2.7": ("arguments", "locals", "stack", "flags"),
    "3.0": ("arguments", "keyword_only", "locals", "stack", "flags"),
    "3.8": ("arguments", "positional_only", "keyword_only", "locals", "stack", "flags"),
    "3.11": ("arguments", "positional_only", "keyword_only", "stack", "flags"),
}
LAYOUTS = tuple(_HAS_ARGUMENT_NUMBERS)
_FREE, _LOCAL = 0x80, 0x20


class NotMarshalError(ValueError):
    """The bytes are no marshalled code of this layout."""


@dataclass(frozen=True, slots=True)
class Code:
    """A function's code. ``variables`` are the names of its arguments and locals, ``free`` those
    of its closure; ``slots`` all of them, as Python 3.11 and later number them."""

    layout: str
    arguments: int
    flags: int
    code: bytes
    constants: tuple[Any, ...]
    names: tuple[str, ...]
    variables: tuple[str, ...]
    free: tuple[str, ...]
    cells: tuple[str, ...]
    slots: tuple[str, ...]


class Unknown:
    """Stands for a value that is of no use here: a set, a dict, a complex number."""


def codes_in(data: bytes) -> Iterator[Code]:
    """The function's code, once for each layout that the bytes fit."""
    if len(data) > MAX_BYTES:
        return
    for layout in LAYOUTS:
        try:
            value = _Reader(data, layout).value(0)
        except (NotMarshalError, struct.error, ValueError, IndexError):
            continue
        if isinstance(value, Code):
            yield value


class _Reader:
    """One pass over the bytes; every length is compared with what is left of them."""

    def __init__(self, data: bytes, layout: str) -> None:
        self._data = data
        self._at = 0
        self._layout = layout
        self._seen: list[Any] = []  # what later bytes may refer back to
        self._interned: list[Any] = []  # as Python 2 counts them
        self._values = 0
        self._kinds: dict[bytes, Callable[[], Any]] = {
            b"N": lambda: None,
            b"T": lambda: True,
            b"F": lambda: False,
            b".": lambda: ...,
            b"S": Unknown,
            b"i": self._int32,
            b"I": lambda: self._unpacked("<q", 8),
            b"g": lambda: self._unpacked("<d", 8),
            b"f": lambda: float(self._bytes(self._byte())),
            b"l": self._long,
            b"x": lambda: self._complex(text=True),
            b"y": lambda: self._complex(text=False),
            b"s": lambda: self._bytes(self._size()),
            b"u": lambda: self._text(self._size(), "utf-8"),
            b"a": lambda: self._text(self._size(), "latin-1"),
            b"A": lambda: self._text(self._size(), "latin-1"),
            b"z": lambda: self._text(self._byte(), "latin-1"),
            b"Z": lambda: self._text(self._byte(), "latin-1"),
            b"R": lambda: self._back(self._interned),
        }

    def value(self, depth: int) -> Any:
        """The value at the place that is reached."""
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise NotMarshalError("too deep or too many values")
        byte = self._bytes(1)[0]
        kind, marked = bytes([byte & 0x7F]), bool(byte & 0x80)
        if kind == b"r":
            return self._back(self._seen)
        if kind == b"t":
            return self._interned_text(marked)
        if kind in self._kinds:
            found = self._kinds[kind]()
            if marked:
                self._seen.append(found)
            return found
        place = len(self._seen)
        if marked:  # numbered before its contents are
            self._seen.append(Unknown())
        found = self._container(kind, depth + 1)
        if marked:
            self._seen[place] = found
        return found

    def _container(self, kind: bytes, depth: int) -> Any:
        if kind == b"(" or kind == b")":
            return self._items(self._size() if kind == b"(" else self._byte(), depth)
        if kind == b"[":
            return list(self._items(self._size(), depth))
        if kind in (b"<", b">"):
            self._items(self._size(), depth)
            return Unknown()
        if kind == b":":
            return slice(*(self.value(depth) for _ in range(3)))
        if kind == b"{":
            while self._data[self._at : self._at + 1] != b"0":
                self.value(depth)
                self.value(depth)
            self._at += 1
            return Unknown()
        if kind == b"c":
            return self._code(depth)
        raise NotMarshalError(f"a value of the kind {kind!r}")

    def _code(self, depth: int) -> Code:
        numbers = {name: self._int32() for name in _HAS_ARGUMENT_NUMBERS[self._layout]}
        if numbers.get("keyword_only"):
            raise NotMarshalError("keyword-only arguments")
        code, constants, names = _raw(self.value(depth)), self.value(depth), self.value(depth)
        if not isinstance(constants, tuple):
            raise NotMarshalError("no constants where they should be")
        if self._layout == "3.11":
            slots, kinds = _words(self.value(depth)), self.value(depth)
            if not isinstance(kinds, bytes) or len(kinds) != len(slots):
                raise NotMarshalError("names without kinds")
            marked = list(zip(slots, kinds, strict=True))
            variables = tuple(name for name, kind in marked if kind & _LOCAL)
            free = tuple(name for name, kind in marked if kind & _FREE)
            cells = tuple(name for name, kind in marked if not kind & (_LOCAL | _FREE))
            tail = 3
        else:
            variables, free, cells = (_words(self.value(depth)) for _ in range(3))
            slots = (*cells, *free)
            tail = 2
        for _ in range(tail):  # file, name
            _word(self.value(depth))
        self._int32()
        for _ in range(2 if self._layout == "3.11" else 1):  # line and exception tables
            _raw(self.value(depth))
        return Code(
            self._layout,
            numbers["arguments"],
            numbers["flags"],
            code,
            constants,
            _words(names),
            variables,
            free,
            cells,
            slots,
        )

    def _items(self, count: int, depth: int) -> tuple[Any, ...]:
        return tuple(self.value(depth) for _ in range(count))

    def _interned_text(self, marked: bool) -> Any:
        data = self._bytes(self._size())
        text = data.decode("latin-1" if self._layout == "2.7" else "utf-8", "replace")
        self._interned.append(text)
        if marked:
            self._seen.append(text)
        return text

    def _back(self, seen: list[Any]) -> Any:
        number = self._int32()
        if not 0 <= number < len(seen):
            raise NotMarshalError("a reference to nothing")
        return seen[number]

    def _long(self) -> int:
        count = self._int32()
        total = 0
        for index in range(abs(count)):
            if index > 8:
                raise NotMarshalError("a number too long to matter")
            total |= self._unpacked("<H", 2) << (15 * index)
        return -total if count < 0 else total

    def _complex(self, *, text: bool) -> Unknown:
        for _ in range(2):
            self._bytes(self._byte() if text else 8)
        return Unknown()

    def _text(self, size: int, encoding: str) -> str:
        return self._bytes(size).decode(encoding, "replace")

    def _bytes(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise NotMarshalError("the bytes end too early")
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _size(self) -> int:
        size = self._int32()
        if not 0 <= size <= len(self._data):
            raise NotMarshalError("a length beyond the bytes")
        return size

    def _int32(self) -> int:
        return int(self._unpacked("<i", 4))

    def _unpacked(self, form: str, size: int) -> Any:
        return struct.unpack(form, self._bytes(size))[0]


def _raw(value: Any) -> bytes:
    if isinstance(value, str):  # Python 2 interns short ones, as the line table of one line is
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        raise NotMarshalError("no bytecode or line table where it should be")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise NotMarshalError("no tuple of names where it should be")
    return tuple(_word(item) for item in value)


def _word(value: Any) -> str:
    if isinstance(value, bytes):  # Python 2
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise NotMarshalError("no name where it should be")
    return value
