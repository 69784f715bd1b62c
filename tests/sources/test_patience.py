"""A batch that never comes is broken off; the alarm clock is as it was."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from segdoctor.core.errors import HangingDataError
from segdoctor.sources import patience
from segdoctor.sources.patience import in_time

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm here (Windows)")


def hanging() -> Iterator[int]:
    yield 1
    threading.Event().wait()


def test_a_hanging_batch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BATCH_LIMIT_S", 0.1)
    before, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    batches, start = in_time(hanging(), "generator"), time.perf_counter()
    assert next(batches) == 1
    with pytest.raises(HangingDataError, match="batch 2 of the generator did not come"):
        next(batches)
    assert time.perf_counter() - start < 3
    assert signal.getsignal(signal.SIGALRM) is before
    now = signal.getitimer(signal.ITIMER_REAL)[0]
    assert (now > 0) == (left > 0)


def test_what_comes_is_passed_on() -> None:
    assert list(in_time(iter([1, 2, 3]), "iterable")) == [1, 2, 3]
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(in_time(iter([1, 2]), "iterable")))
    thread.start()
    thread.join()
    assert found == [1, 2]


def test_only_what_we_made_is_closed() -> None:
    for kind, closed in (("generator", False), ("callable", True)):
        source = (number for number in range(3))
        batches = in_time(source, kind)
        next(batches)
        batches.close()
        assert (list(source) == []) is closed
