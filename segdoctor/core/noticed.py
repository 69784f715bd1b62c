"""Ctrl-C that is not lost: TensorFlow may turn it into another exception, or swallow it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Noticed:
    """Whether Ctrl-C was pressed, whatever became of it."""

    pressed = False

    def seen(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        signal.default_int_handler(number, frame)

    def check(self) -> None:
        """
        Raises
        ------
        KeyboardInterrupt
            If it was pressed.
        """
        if self.pressed:
            raise KeyboardInterrupt


@contextmanager
def noticed() -> Iterator[Noticed]:
    """Notice Ctrl-C inside the block. Where it comes while C code calls Python, as TensorFlow's
    does, CPython makes a SystemError of it, which looks like the failure of what was asked.

    Only in the main thread, and where Python's own handler is in place.
    """
    found = Noticed()
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not own or threading.current_thread() is not threading.main_thread():
        yield found
        return
    signal.signal(signal.SIGINT, found.seen)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
