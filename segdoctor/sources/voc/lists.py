"""Split lists: text files with one example a line, as people really write them."""

from __future__ import annotations

import codecs
import os
import re
import stat
from dataclasses import dataclass

from segdoctor.sources.voc import storage

_LIMIT_BYTES = 64 << 20
_LONGEST = 8192  # the longest path of Linux is half of it


@dataclass(frozen=True, slots=True)
class SplitList:
    """The entries of one list, in order and each once. ``doubled`` counts the repeated ones."""

    name: str
    path: str
    entries: tuple[str, ...]
    doubled: int = 0


class ListUnreadableError(Exception):
    """A list that cannot be read; the text is the reason."""


def read_list(path: str) -> SplitList:
    """The entries of a list: CRLF, byte-order marks, blank lines and repeats are tolerated.

    Raises
    ------
    ListUnreadableError
    """
    text = read_text(path)
    entries = [line.strip().strip("\x00").strip() for line in text.splitlines()]
    filled = [entry for entry in entries if entry]
    longest = max(map(len, filled), default=0)
    if longest > _LONGEST:
        raise ListUnreadableError(f"a line of {longest:,} characters, which no name has")
    unique = tuple(dict.fromkeys(filled))
    name = os.path.splitext(os.path.basename(path))[0]
    return SplitList(name, path, unique, len(filled) - len(unique))


def read_text(path: str) -> str:
    """A list as text.

    Raises
    ------
    ListUnreadableError
        It is no regular file, cannot be read, or is larger than any list.
    """
    try:
        if not storage.is_url(path) and not stat.S_ISREG(os.stat(path).st_mode):
            raise ListUnreadableError("not a text file")
        with storage.open_url(path)[0] if storage.is_url(path) else open(path, "rb") as file:
            raw = file.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise ListUnreadableError(error.strerror or "cannot be read") from error
    if len(raw) > _LIMIT_BYTES:
        raise ListUnreadableError(f"larger than {_LIMIT_BYTES >> 20} MB, which no list of names is")
    return _text(raw)


def _text(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    # As the file system does it, so that a name that is not UTF-8 is still found.
    return raw.decode("utf-8-sig", errors="surrogateescape")


def is_list(name: str) -> bool:
    """Whether a text is called as a list of a split is (``train``, ``val``, ``train_aug``)."""
    return re.fullmatch(r"train(ing|val|_?aug)?|val(id|idation)?", name.lower()) is not None


def lists_in(folder: str) -> tuple[str, ...]:
    """Paths of the ``.txt`` files of a folder, in order of name."""
    try:
        names = [name for name, _ in storage.entries(folder) if name.lower().endswith(".txt")]
    except OSError:
        return ()
    return tuple(os.path.join(folder, name) for name in names if not name.startswith("."))
