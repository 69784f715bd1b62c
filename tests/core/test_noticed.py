"""Ctrl-C is noticed whatever becomes of it."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from segdoctor.core.noticed import noticed

pytestmark = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is not signal.default_int_handler, reason="no Ctrl-C here"
)


def test_one_that_was_swallowed_is_raised_later() -> None:
    with noticed() as ctrl_c:
        ctrl_c.check()
        with contextlib.suppress(KeyboardInterrupt):  # as a stranger's code does
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_ones_handler_and_another_thread_are_left_alone() -> None:
    def own(number, frame) -> None: ...

    signal.signal(signal.SIGINT, own)
    try:
        with noticed():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    found = []

    def elsewhere() -> None:
        with noticed() as ctrl_c:
            found.append(ctrl_c.pressed)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [False]
