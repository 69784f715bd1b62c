"""Ctrl-C that waits: a report half written or a child half started is finished first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MOST = 2
"""So often it is only counted; one more ends the program where it stands."""


class Pressed:
    """How often Ctrl-C was pressed."""

    count = 0

    def seen(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > MOST:
            raise KeyboardInterrupt


_now: list[Pressed] = []


@contextmanager
def held_back() -> Iterator[Pressed]:
    """Count Ctrl-C inside the block; who is inside looks at the count and ends in good order.

    A block within a block counts on. Nothing is held back outside the main thread, on Windows
    (where the examination has no process of its own that could be told), or where another handler
    than Python's own is in place.
    """
    if _now:
        yield _now[-1]
        return
    pressed = Pressed()
    if not _possible():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, pressed.seen)
    _now.append(pressed)
    try:
        yield pressed
    finally:
        _now.clear()
        signal.signal(signal.SIGINT, before)


def ignored_from_now_on() -> None:
    """At the end of the program, when all is said: Python's own end cannot be interrupted."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _possible() -> bool:
    return (
        os.name == "posix"
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
