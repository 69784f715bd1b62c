"""Batches of the user's own, which may never come: not waited for without end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from segdoctor.core.errors import HangingDataError
from segdoctor.core.time_limit import TimeIsUpError, time_limit

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
            try:
                with time_limit(BATCH_LIMIT_S):
                    try:
                        item = next(source)
                    except StopIteration:
                        return
            except TimeIsUpError:
                raise HangingDataError(
                    f"batch {number} of the {kind} did not come within {BATCH_LIMIT_S:g} s"
                ) from None
            yield item
    finally:
        if kind == "callable" and hasattr(source, "close"):
            source.close()  # ours: a generator of the user's own stays open
