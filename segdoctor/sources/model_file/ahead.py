"""Begins to read a model file before what needs its contents has been loaded."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from segdoctor.sources.model_file.in_child import Message, messages_from_child
from segdoctor.sources.model_file.recognise import FileKind, recognise

Reading = tuple[FileKind, Generator[Message, None, None]]

_AHEAD: dict[Path, Reading] = {}


def read_ahead(path: str | Path) -> None:
    """A child begins to read ``path`` now; :func:`begun` hands its messages over.

    Raises
    ------
    ModelFileError
        The path is no file that could be read.
    """
    _AHEAD[Path(path)] = _begin(Path(path))


def begun(path: Path) -> Reading:
    """What kind of file it is, and the messages of a child that is reading it."""
    return _AHEAD.pop(path, None) or _begin(path)


def _begin(path: Path) -> Reading:
    kind = recognise(path)

    def work() -> Any:
        from segdoctor.sources.model_file.contents import contents  # HDF5, in the child alone

        return contents(path, kind)

    messages = messages_from_child(work, path, path.stat().st_size)
    next(messages)
    return kind, messages
