"""Batches of the user's own, which may never come: not waited for without end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import Any

from segdoctor.core.errors import HangingDataError

BATCH_LIMIT_S = 600.0  # for one batch: filling a shuffle buffer may well take minutes


def in_time(source: Iterator[Any], kind: str) -> Iterator[Any]:
    """The batches of ``source``, each within ``BATCH_LIMIT_S`` seconds.

    Python can only break off what runs in the main thread and comes back to Python (a loop, a
    sleep, a lock); elsewhere, and on Windows, there is no limit.

    Raises
    ------
    HangingDataError
        A batch that did not come.
    """
    try:
        for number in count(1):
            with _limited(BATCH_LIMIT_S, f"batch {number} of the {kind}"):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
    finally:
        if kind == "callable" and hasattr(source, "close"):
            source.close()  # ours: a generator of the user's own stays open


@contextmanager
def _limited(seconds: float, what: str) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < left <= seconds:  # a stricter limit of someone else's
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise HangingDataError(f"{what} did not come within {seconds:g} s")

    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - start), 1e-3))
