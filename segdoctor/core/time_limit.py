"""A limit to the time of a stranger's Python code that runs in the main thread."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeIsUpError(Exception):
    """The code did not come back in time; the text says how long it was waited for."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what runs inside after ``seconds``.

    It is done with an alarm, so it works where Python executes a loop, sleeps or waits, in the
    main thread of a Unix system; elsewhere nothing is limited. Another one's alarm that would ring
    sooner is left to ring; one that would ring later is set again afterwards.

    Raises
    ------
    TimeIsUpError
    """
    if not _possible(seconds):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError(f"no answer within {seconds:g} s")

    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left:
            rest = max(left - (time.monotonic() - start), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, rest, again)


def _possible(seconds: float) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    if not hasattr(signal, "SIGALRM") or signal.getsignal(signal.SIGALRM) is None:
        return False  # a handler that was not set from Python could not be put back
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    return not 0 < left <= seconds
