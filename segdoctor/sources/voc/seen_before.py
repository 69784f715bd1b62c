"""What an earlier scan saw of files that have not changed since, in a file beside its report.

Data folders are never written to: the file lies in the folder of the report, and only where it is
asked for (``--resume``). It is data (SQLite and JSON): a strange one can be wrong and runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from segdoctor import __version__
from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, ImageFacts, MaskFacts, PixelFacts, ShapeFacts
from segdoctor.core.errors import UserError
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.look import Job
from segdoctor.sources.voc.summary import Summary

NAME = "scan-cache.sqlite"
_FORM = 2  # of what is kept; another one is another key
# SQLite words its errors with bytes of the file: they may be no text.
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError)
_EVERY = 2.0  # seconds between two commits
_KINDS: dict[str, type] = {
    "masks": MaskFacts,
    "images": ImageFacts,
    "problems": FileProblem,
    "pixels": PixelFacts,
    "shapes": ShapeFacts,
}


class SeenBefore:
    """Pairs that were seen before, by path, size, time of change and version.

    A scan that was interrupted goes on where it ended. A file that cannot be read as what it
    should be is begun anew; a note that is not as it was written is none. Where no note can be
    written any more (a full disk), the scan goes on without.

    Raises
    ------
    UserError
        If something else than a file stands in its place.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, NAME)
        self.hits = 0
        self._committed = time.monotonic()
        self._base: sqlite3.Connection | None = None
        if os.path.lexists(self.path) and not os.path.isfile(self.path):
            raise UserError(f"{clean(self.path)}: expected a file of an earlier scan, or none")
        try:
            self._base = self._opened()
        except _DAMAGED:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """An empty file in the place of one that is damaged; none if that cannot be."""
        try:
            if self._base is not None:
                self._base.close()
            os.unlink(self.path)
            self._base = self._opened()
        except (*_DAMAGED, OSError):
            self._base = None

    def _opened(self) -> sqlite3.Connection:
        base = sqlite3.connect(self.path)
        base.execute("PRAGMA synchronous=OFF")
        base.execute("CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, facts TEXT)")
        base.execute("SELECT key, facts FROM seen LIMIT 1").fetchall()
        return base

    def known(self, job: Job, limit: int) -> Summary | None:
        """What was seen of the pair, None where it is new, changed, or to be compared: its pixels
        are needed then."""
        key = _key(job, limit)
        if key is None or self._base is None:
            return None
        try:
            row = self._base.execute("SELECT facts FROM seen WHERE key = ?", (key,)).fetchone()
            text = None if row is None else _unsealed(row[0])
        except _DAMAGED:
            return None
        found = None if text is None else _read(text, job.index)
        self.hits += found is not None
        return found

    def keep(self, jobs: Sequence[Job], limit: int, seen: Summary) -> None:
        """Note what was seen of these pairs."""
        if seen.pairs != len(jobs) or self._base is None:  # it was stopped among them
            return
        parts: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for name in _KINDS:
            for index, facts in getattr(seen, name):
                parts[index][name].append(_written(facts))
        keys = [(_key(job, limit), job.index) for job in jobs]
        rows = [(key, _sealed(json.dumps(parts[index]))) for key, index in keys if key is not None]
        try:
            self._base.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)
            if time.monotonic() - self._committed > _EVERY:
                self._base.commit()
                self._committed = time.monotonic()
        except _DAMAGED:
            self._begin_anew()

    def close(self) -> None:
        if self._base is not None:
            with suppress(*_DAMAGED):
                self._base.commit()
            with suppress(*_DAMAGED):
                self._base.close()


def _key(job: Job, limit: int) -> bytes | None:
    if job.compared:
        return None
    parts: list[object] = [__version__, _FORM, limit, job.closely, job.pair.stem]
    for path in (job.pair.image, job.pair.mask):
        if path is None:
            parts.append(None)
            continue
        version = storage.version_of(path)
        if version is None:
            return None
        parts += [path, *version]
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _sealed(text: str) -> str:
    """With a check sum in front, so that damage is not taken for what was seen."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() + text


def _unsealed(stored: Any) -> str | None:
    text = stored[16:] if isinstance(stored, str) else None
    return text if text is not None and _sealed(text) == stored else None


def _written(facts: Any) -> list[Any]:
    return [_plain(getattr(facts, item.name)) for item in fields(facts)]


def _plain(value: Any) -> Any:
    """Mappings as lists of pairs: the keys of a JSON object are text."""
    return {"pairs": list(value.items())} if hasattr(value, "items") else value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value["pairs"])
    return tuple(value) if isinstance(value, list) else value


def _read(text: str, index: int) -> Summary:
    """The summary of one pair, at its place."""
    stored = json.loads(text)
    parts: dict[str, Any] = {
        name: tuple(
            (index, kind(*(_restored(value) for value in facts))) for facts in stored.get(name, ())
        )
        for name, kind in _KINDS.items()
    }
    decoded = len(parts["pixels"])
    seen = len(parts["images"])
    return Summary(pairs=1, decoded=decoded, not_decoded=seen - decoded, **parts)
