"""Says what is going on, on stderr: a bar on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from segdoctor.core.clean import clean


class Progress:
    """A context in which ``progress(stage, done, total)`` is shown.

    ``done`` and ``total`` are None for a stage whose length is not known. On a terminal each
    stage is a bar with the time it has taken; in a pipe it is one line, written once.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._last: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description:<46}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def late(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        """The same, begun with the first stage: a script that runs before has the terminal."""
        if self._bars is None and not self._tasks:
            self.__enter__()
        self(stage, done, total)

    def __call__(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        if self._quiet:
            return
        if self._bars is None:
            if stage not in self._tasks:
                self._tasks[stage] = True
                print(f"segdoctor: {clean(stage)} …", file=sys.stderr, flush=True)
            return
        if stage not in self._tasks:
            if self._last is not None:
                self._finish(self._last)
            self._tasks[stage] = self._bars.add_task(clean(stage), total=total)
            self._last = self._tasks[stage]
        if done is not None:
            self._bars.update(self._tasks[stage], completed=done, total=total)

    def _finish(self, task: Any) -> None:
        total = self._bars.tasks[task].total or 1
        self._bars.update(task, total=total, completed=total)
        self._bars.stop_task(task)
