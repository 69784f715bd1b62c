"""One budget for everything that is tried."""

from __future__ import annotations

import time


class Clock:
    """Seconds of a budget that are left, from its making on; ``spent`` of them are gone before."""

    def __init__(self, budget_s: float, spent: float = 0.0) -> None:
        self.budget = budget_s
        self._end = time.monotonic() + budget_s - spent

    @property
    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)

    def allows(self, seconds: float, *, keep: float = 0.0) -> bool:
        """Whether ``seconds`` of work leave the share ``keep`` of the budget for what comes."""
        return self.left - seconds >= keep * self.budget
