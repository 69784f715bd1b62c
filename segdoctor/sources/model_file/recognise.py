"""What kind of file it is, told from its first bytes and never from its name."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal

from segdoctor.sources.model_file.errors import ModelFileError

FileKind = Literal["h5", "keras"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MANGLED_HDF5 = (b"\xef\xbf\xbdHDF", b"\xc2\x89HDF", b"?HDF", b"HDF\r\n", b"\x89HDF\n")
_DOWNLOAD_AGAIN = "download the file itself again"
_EXPORT = "save it from Keras with model.save('model.keras')"


def recognise(path: Path) -> FileKind:
    """``"h5"`` or ``"keras"``.

    Raises
    ------
    ModelFileError
        The path is absent, a folder, not a file, not readable, empty, or something else.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ModelFileError(path, "no such file", "check the path") from None
    except PermissionError:
        raise ModelFileError(path, "no permission to read it", "change its permissions") from None
    except OSError as error:
        raise ModelFileError(path, f"a path that cannot be opened ({error.strerror})") from None
    if stat.S_ISDIR(status.st_mode):
        saved = os.path.exists(path / "saved_model.pb")  # False also where the folder is closed
        what = "a SavedModel folder" if saved else "a folder"
        raise ModelFileError(path, what, _EXPORT if saved else "name the file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(path, "a device, pipe or socket", "name a file")
    if not status.st_size:
        raise ModelFileError(path, "an empty file (0 bytes)", _DOWNLOAD_AGAIN)
    try:
        with open(path, "rb") as stream:
            head = stream.read(512)
            return _kind(path, head, stream, status.st_size)
    except PermissionError:
        raise ModelFileError(path, "no permission to read it", "change its permissions") from None


def _kind(path: Path, head: bytes, stream: BinaryIO, size: int) -> FileKind:
    offset = 0
    while offset < min(size, 1 << 20):  # HDF5 allows a user block of 512, 1024, 2048 … bytes
        stream.seek(offset)
        if stream.read(len(_HDF5)) == _HDF5:
            return "h5"
        offset = offset * 2 or 512
    if head.startswith(b"PK\x03\x04"):
        return "keras"
    received, advice = _something_else(head)
    raise ModelFileError(path, received, advice)


def _something_else(head: bytes) -> tuple[str, str]:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file that it stands for", "run git lfs pull"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page, not the file", _DOWNLOAD_AGAIN
    if head.startswith(_MANGLED_HDF5):
        return (
            "an HDF5 file whose bytes were altered by a text conversion (its 8-byte signature is"
            " damaged)",
            "download it again in binary mode; it cannot be repaired",
        )
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or head.startswith(
        (b"(d", b"cposix")
    ):
        return "a Python pickle, which runs code when it is opened; it was not opened", _EXPORT
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _EXPORT
    if head.startswith(b"\x93NUMPY"):
        return "a NumPy array", _EXPORT
    if head.startswith((b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ")):
        return "a compressed archive", "unpack it first"
    if not any(head):
        return "a file of zero bytes (an unfinished download)", _DOWNLOAD_AGAIN
    if text.startswith((b"{", b"[")):
        return "a JSON text (an architecture without weights)", _EXPORT
    return f"a file that begins with {head[:8].hex(' ')}", _EXPORT
