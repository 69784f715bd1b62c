"""What a child process and its parent say to each other: frames of a kind and its bytes.

The parent takes nothing but reports made of this package's own records, arrays and plain values:
the child may have run a stranger's code.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import struct
from typing import Any, BinaryIO

PROGRESS, STAGE, REPORT, DONE, USER_ERROR, FAILED, NOTE = b"p", b"s", b"r", b"d", b"u", b"e", b"n"
ENDED, UNTRAINED, INTERRUPTED = b"x", b"t", b"i"  # of a script

_HEAD = struct.Struct("<cI")
_LARGEST = 1 << 30
_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
}
_PLAIN = {("builtins", name) for name in ("set", "frozenset", "slice", "complex", "bytearray")}
_RECORDS = ("segdoctor.core.", "segdoctor.report.report")


def write_frame(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    stream.write(_HEAD.pack(kind, len(content)) + content)
    stream.flush()


def write_packet(descriptor: int, content: bytes) -> None:
    """One packet for :func:`read_packet`; the pipe stays open."""
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        write_frame(stream, NOTE, content)


def read_packet(descriptor: int) -> bytes:
    """The packet that was written; nothing behind it is read."""
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as stream:
        _, size = _HEAD.unpack(_exactly(stream, _HEAD.size))
        return _exactly(stream, size)


def _exactly(stream: io.RawIOBase, size: int) -> bytes:
    held = b""
    while len(held) < size:
        part = stream.read(size - len(held))
        if not part:
            raise EOFError("the packet ends before its end")
        held += part
    return held


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that are whole with ``data``.

        Raises
        ------
        ValueError
            If a frame claims more than any report takes.
        """
        self._held += data
        found = []
        while len(self._held) >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._held)
            if size > _LARGEST:
                raise ValueError("a frame beyond any report")
            end = _HEAD.size + size
            if len(self._held) < end:
                break
            found.append((kind, bytes(self._held[_HEAD.size : end])))
            del self._held[:end]
        return found


class _Records(pickle.Unpickler):
    """An unpickler that knows this package's records, arrays and plain values."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ARRAYS or (module, name) in _PLAIN:
            return getattr(importlib.import_module(module), name)
        if module.startswith(_RECORDS) and "." not in name:
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a report")


def report_from(content: bytes) -> Any:
    """A report as the child sent it.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    from segdoctor.report.report import Report

    try:
        found = _Records(io.BytesIO(content)).load()
    except Exception as error:
        raise ValueError(f"no report ({type(error).__name__}: {error})") from error
    if not isinstance(found, Report):
        raise ValueError("no report")
    return found
