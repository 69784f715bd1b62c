"""Mistakes that are the user's to mend: one line, no traceback, exit status 2."""

from __future__ import annotations


class UserError(ValueError):
    """One line that names the file, layer or argument, what was expected and what was received,
    and what to do."""


class UntrainedError(UserError):
    """A script ended without the training that was to be examined; ``status`` is the exit status
    that follows from it."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


class HangingDataError(UserError):
    """Data of the user's own that give no batch within its time; the text says which one."""

    status = 3


class InterruptedEarlyError(KeyboardInterrupt):
    """Ctrl-C before there was anything to report; the text says what was being done."""
