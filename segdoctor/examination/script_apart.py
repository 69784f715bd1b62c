"""Runs a training script in a child process: a crash, or memory that runs out, ends the script
alone, and what was found until then is reported.

The script keeps the terminal, the standard streams and the environment of its caller.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from segdoctor.core.clean import clean
from segdoctor.core.errors import UntrainedError
from segdoctor.examination import frames
from segdoctor.examination.apart import START, Child, can_be_apart
from segdoctor.examination.request import Request, Script
from segdoctor.report.report import Report

GRACE_S = 10.0  # for an examination to end after Ctrl-C; a script before its training may take long
_AFTERWARDS_S = 5.0  # for a stopped script to clean up behind itself
_NEVER = float("inf")


def ran_apart(
    script: Script,
    request: Request,
    on_report: Callable[[Report], None] | None,
    meanwhile: Callable[[], object] | None = None,
) -> Report:
    """As :func:`.running.examine_script`, in a child process where there can be one."""
    packed = can_be_apart(request)
    if packed is None:
        from segdoctor.examination.running import examine_script

        return examine_script(script, request, on_report)
    child = _ScriptChild(script, request, pickle.dumps((script, packed)))
    if meanwhile is not None:
        threading.Thread(target=meanwhile, daemon=True).start()
    try:
        return child.run(on_report)
    finally:
        child.end()


class _ScriptChild(Child):
    """The script's process. It waits for an answer once its report was sent."""

    def __init__(self, script: Script, request: Request, packed: bytes) -> None:
        self._script = script
        pipe, writing = os.pipe()
        reading, answers = os.pipe()
        command = START.format(path=sys.path).replace("worker import serve", "script_worker import")
        process = subprocess.Popen(
            [sys.executable, "-c", f"{command[:-2]} serve; serve({writing}, {reading})"],
            pass_fds=(writing, reading),
        )
        os.close(writing)
        os.close(reading)
        super().__init__(request, process, pipe)
        self._answers = answers
        self._limit = self._seconds = _NEVER
        self._stage = ""
        self._untrained: tuple[str, int] | None = None
        self._interrupts = 0
        self._ended: int | None = None
        with suppress(BrokenPipeError):
            frames.write_packet(answers, packed)

    def run(self, on_report: Callable[[Report], None] | None) -> Report:
        report = self._examined()
        if on_report is not None:
            on_report(report)
        self._final = None
        with suppress(OSError):
            os.write(self._answers, b"!")
        self._limit, self._since = _NEVER if self._script.go_on else _AFTERWARDS_S, time.monotonic()
        self._heard()
        status = self._ended
        if status is None and self._script.go_on:
            status = self._process.wait()
            status = 128 - status if status < 0 else status
        return report if not status or report.exit_code else replace(report, exit_code=status)

    def end(self) -> None:
        if self._process.poll() is None and self._ended is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_AFTERWARDS_S)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for descriptor in (self._pipe, self._answers):
            with suppress(OSError):
                os.close(descriptor)

    def _examined(self) -> Report:
        late = self._heard()
        if self._untrained is not None:
            raise UntrainedError(*self._untrained)
        if self._final is not None:
            return self._final
        if self._interrupts:
            if self._last is None:
                raise KeyboardInterrupt
            return self._as_run(130, "interrupted: what was found until then is here")
        if late:
            return self._as_run(3, self._late())
        if self._last is None and not self._stage:
            raise UntrainedError(*self._died())
        return self._as_run(3, self._why())

    def _heard(self) -> bool:
        """Listen until the child has said what it is asked for; whether it took too long."""
        while True:
            try:
                return self._listen(lambda: time.monotonic() > self._since + self._limit)
            except KeyboardInterrupt:
                self._interrupts += 1
                if self._interrupts > 1:
                    return True
                if not _in_the_foreground():  # else the terminal has told the script too
                    with suppress(ProcessLookupError):
                        os.kill(self._process.pid, signal.SIGINT)
                if self._stage:
                    self._limit, self._since = GRACE_S, time.monotonic()

    def _take(self, kind: bytes, content: bytes) -> None:
        if kind == frames.UNTRAINED:
            words, status = json.loads(content)
            self._untrained = (clean(words), int(status))
        elif kind == frames.ENDED:
            self._ended = int(json.loads(content))
        elif kind == frames.INTERRUPTED:
            raise KeyboardInterrupt
        else:
            super()._take(kind, content)

    def _enough(self) -> bool:
        return super()._enough() or self._untrained is not None or self._ended is not None

    def _as_run(self, exit_code: int, why: str) -> Report:
        report = self._stopped(exit_code, (why,))
        return replace(report, kind="run", subject=clean(self._script.name))

    def _died(self) -> tuple[str, int]:
        status = self._process.wait()
        if status >= 0:
            return f"the script ended its process with status {status}, untrained", status or 2
        name = signal.Signals(-status).name
        return f"the script's process was ended by {name} before it trained", 3


def _in_the_foreground() -> bool:
    """Whether Ctrl-C at a terminal reaches this process and all that it has started."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
