"""A regular file opened with as few calls as can be: at 100,000 files each call counts.

Whatever is odd about a file is left to :mod:`segdoctor.sources.voc.image_file`, which has the words
for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from segdoctor.sources.voc.storage import is_url

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def quick_open(path: str) -> Iterator[tuple[int, os.stat_result] | None]:
    """``(descriptor, status)`` of a regular file that is not empty, None for anything else."""
    if is_url(path):
        yield None
        return
    try:
        # Looked at before it is opened: a pipe or a device must not even be opened.
        regular = stat.S_ISREG(os.stat(path).st_mode)
        descriptor = os.open(path, _FLAGS) if regular else -1
    except (OSError, ValueError):
        descriptor = -1
    if descriptor < 0:
        yield None
        return
    try:
        status = os.fstat(descriptor)
        sound = stat.S_ISREG(status.st_mode) and status.st_size > 0
        yield (descriptor, status) if sound else None
    finally:
        os.close(descriptor)


def read_part(descriptor: int, length: int, start: int = 0) -> bytes:
    """``length`` bytes from ``start`` on, fewer at the end of the file or where it fails."""
    os.lseek(descriptor, start, os.SEEK_SET)
    parts: list[bytes] = []
    while length > 0:
        part = os.read(descriptor, length)
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
