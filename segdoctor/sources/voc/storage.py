"""Files and folders on the disk, and through fsspec where a path is a URL (``s3://…``, ``gs://…``,
``memory://…``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO, TypeVar

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

_Value = TypeVar("_Value")


def is_url(path: str) -> bool:
    """Whether the path is one for fsspec."""
    return "://" in path


def entries(folder: str) -> list[tuple[str, bool]]:
    """``(name, whether it is a folder)`` of all that is in a folder, in order of name.

    Raises
    ------
    OSError
        It is absent, no folder, or cannot be read.
    """
    if not is_url(folder):
        with os.scandir(folder) as found:
            return sorted((entry.name, _leads_to_folder(entry)) for entry in found)
    system, inside = _system(folder)

    def listed() -> list[tuple[str, bool]]:
        if not system.isdir(inside):
            raise FileNotFoundError(2, "No such folder", folder)
        found = system.ls(inside, detail=True)
        pairs = ((item["name"].rstrip("/"), item["type"] == "directory") for item in found)
        return sorted((name.rsplit("/", 1)[-1], is_folder) for name, is_folder in pairs)

    return _asked(folder, listed)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def exists(path: str) -> bool:
    """Whether there is a file, a folder or a link of that name."""
    if not is_url(path):
        return os.path.lexists(path)
    system, inside = _system(path)
    return bool(_asked(path, lambda: system.exists(inside)))


def is_file(path: str) -> bool:
    if not is_url(path):
        return os.path.isfile(path)
    system, inside = _system(path)
    return bool(_asked(path, lambda: system.isfile(inside)))


def is_folder(path: str) -> bool:
    if not is_url(path):
        return os.path.isdir(path)
    system, inside = _system(path)
    return bool(_asked(path, lambda: system.isdir(inside)))


def open_url(path: str) -> tuple[BinaryIO, int]:
    """``(file, its length)`` of a URL.

    Raises
    ------
    OSError
    """
    system, inside = _system(path)

    def opened() -> tuple[BinaryIO, int]:
        information = system.info(inside)
        if information["type"] == "directory":
            raise IsADirectoryError(21, "Is a directory", path)
        return system.open(inside, "rb"), int(information["size"] or 0)

    return _asked(path, opened)


_CHANGES = (
    *("mtime", "last_modified", "LastModified", "updated", "created"),
    *("ETag", "etag", "md5Hash", "generation", "checksum"),
)


def version_of(path: str) -> tuple[object, ...] | None:
    """What changes whenever a file does: its size, and when it was changed or the digest that its
    store keeps. None where it is absent, or nothing says whether it changed."""
    if not is_url(path):
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns
    system, inside = _system(path)
    try:
        information = _asked(path, lambda: system.info(inside))
    except OSError:
        return None
    told = [(name, str(information[name])) for name in _CHANGES if information.get(name)]
    return (information.get("size"), *told) if told else None


def above(path: str) -> str:
    """The folder that a folder is in. On the disk it stays relative, so that a report does not
    name the machine's folders."""
    return path.rstrip("/").rsplit("/", 1)[0] if is_url(path) else os.path.join(path, "..")


def tidy(path: str) -> str:
    """Without ``..`` and doubled separators."""
    return path.rstrip("/") if is_url(path) else os.path.normpath(path)


@cache
def _of_protocol(protocol: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise UserError(
            f"Paths such as {protocol}://… need fsspec, which is an extra: "
            "pip install 'segdoctor[remote]'."
        ) from error
    try:
        return fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        raise UserError(f"{protocol}:// cannot be read: {clean(error, 160)}.") from error


def _system(path: str) -> tuple[Any, str]:
    """``(file system, path in it)``."""
    system = _of_protocol(path.split("://", 1)[0])
    return system, str(system._strip_protocol(path))


def _asked(path: str, ask: Callable[[], _Value]) -> _Value:
    """The answer; whatever a file system raises comes out as an OSError."""
    try:
        return ask()
    except OSError:
        raise
    except Exception as error:  # the boundary: every file system has errors of its own
        raise OSError(5, clean(error, 120), path) from error
