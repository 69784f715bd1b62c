"""Writing the report: each file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.report.report import Report

NAMES = ("report.json", "report.html", "report.png")


class OutputError(UserError):
    """The report cannot be written; the text is one line that says where and why."""


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Try ``folder`` before any work begins, and leave it as it was.

    A folder that does not exist yet is made and removed again.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to, or something else is in the way.
    """
    target = Path(folder)
    made: list[Path] = []
    try:
        _make(target, made)
        for name in NAMES:
            if (target / name).is_dir():
                raise IsADirectoryError(0, f"{name} is a folder there")
        trial = _beside(target / "report")
        try:
            os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(_line(target, error)) from error
    except ValueError as error:  # a null character in the path
        raise OutputError(f"cannot write the report to {clean(folder)}: {clean(error)}") from error
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()


def save(report: Report, folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write ``report.html``, ``report.json`` and ``report.png`` into ``folder``.

    Each is written to a temporary file beside its place, flushed to the disk and renamed, so an
    interruption, a full disk or a kill leaves the old file or the new one, never a torn one.

    Returns
    -------
    tuple of str
        The three paths, the HTML first.

    Raises
    ------
    OutputError
        If something cannot be written; what stood there before is untouched.
    """
    from segdoctor.report.document import to_json
    from segdoctor.report.html import to_html
    from segdoctor.report.one_page import one_page_png

    target = Path(folder)
    try:
        _make(target, [])
        # What needs no drawing goes first: it is there even if a drawing fails.
        write_whole(target / "report.json", f"{to_json(report)}\n".encode())
        write_whole(target / "report.html", to_html(report).encode())
        write_whole(target / "report.png", one_page_png(report))
    except OSError as error:
        raise OutputError(_line(target, error)) from error
    return tuple(str(target / name) for name in ("report.html", "report.json", "report.png"))


def write_whole(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step; on any failure the old file stays."""
    temporary = _beside(path)
    try:
        # os.open and not tempfile: the file gets the permissions that the user's umask gives.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _make(folder: Path, made: list[Path]) -> None:
    """Make ``folder`` and its parents; those that were not there are appended to ``made``."""
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    for path in reversed(missing):
        path.mkdir()
        made.append(path)
    if not folder.is_dir():
        raise NotADirectoryError(0, "a file is in the way")


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _line(folder: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        reason = "a file is in the way"
    return f"cannot write the report to {clean(folder)}: {clean(reason, 160)}"
