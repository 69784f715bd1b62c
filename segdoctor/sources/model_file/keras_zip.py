"""The zip that a ``.keras`` file is: bounded, and its weights seen in place."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from segdoctor.sources.model_file.bounded_json import MAX_BYTES
from segdoctor.sources.model_file.errors import ModelFileError

_MAX_MEMBERS = 2000
_MAX_DIRECTORY = 1 << 20
_MAX_RATIO = 200
WEIGHTS = "model.weights.h5"


def open_keras_zip(path: Path) -> zipfile.ZipFile:
    """The archive, if its directory is small and whole and it holds ``config.json``."""
    _refuse_large_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelFileError(
            path, f"a truncated or damaged zip ({error})", "download or save it again"
        ) from None
    names = archive.namelist()
    problem = ""
    if len(names) > _MAX_MEMBERS:
        problem = f"a zip of {len(names)} members (at most {_MAX_MEMBERS})"
    elif len(set(names)) != len(names):
        problem = "a zip with two members of one name"
    elif "config.json" not in names:
        kind = "a PyTorch file" if any(name.endswith("data.pkl") for name in names) else "a zip"
        problem = f"{kind} without config.json"
    if problem:
        archive.close()
        raise ModelFileError(path, problem, "save it from Keras with model.save('model.keras')")
    return archive


def read_member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    """A small member (the JSON texts), never more than ``MAX_BYTES`` of it."""
    info = archive.getinfo(name)
    _refuse_bomb(info, path, MAX_BYTES)
    try:
        with archive.open(info) as stream:
            data = stream.read(MAX_BYTES + 1)
    except _BROKEN as error:
        raise ModelFileError(path, f"a damaged member {name} ({error})", "save it again") from None
    if len(data) > MAX_BYTES:
        raise ModelFileError(path, f"a member {name} of more than {MAX_BYTES >> 20} MB")
    return data


@contextmanager
def weights_stream(path: Path) -> Iterator[tuple[Any, int] | None]:
    """``(stream, size)`` of the weights; None if there are none.

    Keras stores this member as it is, so it is read in place (1 s against 16 s for reading
    through :mod:`zipfile`); a deflated one is unpacked into a temporary file first.
    """
    with open_keras_zip(path) as archive:
        if WEIGHTS not in archive.namelist():
            yield None
            return
        info = archive.getinfo(WEIGHTS)
        _refuse_bomb(info, path, 1 << 40)
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            with open(path, "rb") as raw:
                yield _View(raw, _data_offset(raw, info, path), info.file_size), info.file_size
            return
        import tempfile

        with tempfile.TemporaryFile(prefix="segdoctor-") as unpacked:
            try:
                with archive.open(info) as stream:
                    while block := stream.read(1 << 20):
                        unpacked.write(block)
                        if unpacked.tell() > info.file_size:
                            raise zipfile.BadZipFile("longer than it says")
            except _BROKEN as error:
                raise ModelFileError(path, f"damaged weights ({error})", "save it again") from None
            yield unpacked, info.file_size


_BROKEN = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError)


def _refuse_bomb(info: zipfile.ZipInfo, path: Path, limit: int) -> None:
    if info.flag_bits & 1:
        raise ModelFileError(path, f"an encrypted member {info.filename}", "decrypt it first")
    if info.file_size > limit or info.file_size > max(info.compress_size, 1 << 12) * _MAX_RATIO:
        raise ModelFileError(
            path,
            f"a member {info.filename} of {info.file_size} bytes packed into {info.compress_size}",
            "it was not unpacked",
        )


def _refuse_large_directory(path: Path) -> None:
    """The directory is read whole by :mod:`zipfile`: look at its size before."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(size - 66_000, 0))
        tail = stream.read(66_000)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise ModelFileError(
            path, "a truncated zip (its directory is missing)", "download or save it again"
        )
    members, directory = struct.unpack_from("<HI", tail, at + 10)
    if members > _MAX_MEMBERS or directory > _MAX_DIRECTORY:
        raise ModelFileError(path, f"a zip of {members} members (at most {_MAX_MEMBERS})")


def _data_offset(raw: BinaryIO, info: zipfile.ZipInfo, path: Path) -> int:
    raw.seek(info.header_offset)
    header = raw.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ModelFileError(path, f"a damaged member {info.filename}", "save it again")
    name, extra = struct.unpack_from("<HH", header, 26)
    start = int(info.header_offset) + 30 + int(name) + int(extra)
    if start + info.file_size > os.fstat(raw.fileno()).st_size:
        raise ModelFileError(path, f"a truncated member {info.filename}", "save it again")
    return start


class _View(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, raw: BinaryIO, start: int, size: int) -> None:
        self._raw = raw
        self._start, self._size, self._at = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(self._size - self._at, 0))
        self._raw.seek(self._start + self._at)
        read: int = self._raw.readinto(memoryview(buffer)[:wanted])  # type: ignore[attr-defined]
        self._at += read
        return read
