"""Says what is going on below the cell of a notebook: one bar, gone when the work is done."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from segdoctor.core.clean import clean

_EVERY_S = 0.2
_DONE = '<span class="segdoctor-progress"></span>'


@contextmanager
def notebook_bar() -> Iterator[Callable[..., None] | None]:
    """``say(stage, done, total)``, shown below the cell; None where this is no notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        yield None
        return
    from IPython.display import HTML, display

    bar = _Bar(display(HTML(_DONE), display_id=True), HTML)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    """The bar, drawn anew at most five times a second."""

    def __init__(self, handle: Any, made: Callable[[str], Any]) -> None:
        self._handle = handle
        self._made = made
        self._stage = ""
        self._began = time.monotonic()
        self._drawn = 0.0

    def __call__(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        now = time.monotonic()
        if stage == self._stage and now < self._drawn + _EVERY_S:
            return
        self._stage, self._drawn = stage, now
        extent = f'value="{int(done)}" max="{int(total)}"' if done is not None and total else ""
        words = f"{html.escape(clean(stage, 80))} · {now - self._began:.0f} s"
        self._handle.update(
            self._made(
                f'<div class="segdoctor-progress" style="font: 13px sans-serif; opacity: 0.75">'
                f'<progress {extent} style="width: 12em; vertical-align: middle"></progress> '
                f"{words}</div>"
            )
        )

    def close(self) -> None:
        self._handle.update(self._made(_DONE))
