"""Ctrl-C is counted while something must not be torn, and comes through where it is pressed on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from segdoctor.core.held_back import MOST, held_back

pytestmark = pytest.mark.skipif(os.name != "posix", reason="nothing is held back here (Windows)")


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """A shell starts what runs in its background with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_is_counted_and_the_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_back() as pressed:
        press()
        with held_back() as inner:
            press()
        assert pressed.count == inner.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_who_presses_on_is_heard() -> None:
    def pressing() -> None:
        with held_back():
            for _ in range(MOST + 1):
                press()

    with pytest.raises(KeyboardInterrupt):
        pressing()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_user_stays() -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with held_back() as pressed:
            press()
        assert (heard, pressed.count) == ([signal.SIGINT], 0)
    finally:
        signal.signal(signal.SIGINT, before)
