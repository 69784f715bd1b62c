"""Asks a stranger's code questions in a thread of its own, with a limit to its time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from segdoctor.core.error_line import error_line
from segdoctor.core.measured import Answer

QUESTION_LIMIT_S = 5.0
TOTAL_LIMIT_S = 20.0


class Named(Protocol):
    """Anything that is asked has a name."""

    @property
    def name(self) -> str: ...


Asked = TypeVar("Asked", bound=Named)


class Clerk(Generic[Asked]):
    """``question -> Answer``; a loss that never returns does not hold up the rest.

    Parameters
    ----------
    answer : callable
        May raise anything, and may never come back.
    limit_s, total_s : float
        Seconds for one question, and for all of them. When either has passed, ``stuck`` is True and
        the rest is not asked.
    """

    def __init__(
        self, answer: Callable[[Asked], Answer], limit_s: float, total_s: float = TOTAL_LIMIT_S
    ) -> None:
        self._answer = answer
        self._limit_s = limit_s
        self._total_s = total_s
        self._end = time.perf_counter() + max(total_s, 0.0)
        self._asked: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.stuck = False
        threading.Thread(target=self._work, daemon=True, name="segdoctor-clerk").start()

    def __call__(self, question: Asked) -> Answer:
        if not self.stuck and time.perf_counter() > self._end:
            self.stuck = True
        if self.stuck:
            error = "not asked: time had run out"
            return Answer(question.name, None, error=error, asked=False)
        self._asked.put(question)
        try:
            return self._answered.get(timeout=self._limit_s)
        except queue.Empty:
            self.stuck = True
            error = f"no answer within {self._limit_s:g} s"
            return Answer(question.name, None, error=error, seconds=self._limit_s, asked=False)

    def dismiss(self) -> None:
        """Let the thread end, once it has answered."""
        self._asked.put(None)

    def _work(self) -> None:
        while (question := self._asked.get()) is not None:
            start = time.perf_counter()
            try:
                answer = self._answer(question)
            except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
                answer = Answer(question.name, None, error=error_line(error, 300))
            self._answered.put(replace(answer, seconds=time.perf_counter() - start))
