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
from segdoctor.core.held_back import Pressed, held_back
from segdoctor.examination import frames
from segdoctor.examination.apart import INTERRUPTED, START, Child, can_be_apart
from segdoctor.examination.request import Request, Script
from segdoctor.report.report import Report

GRACE_S = 0.8  # for an examination to end after Ctrl-C; a script before its training may take long
_AFTERWARDS_S = 5.0  # for a stopped script to clean up behind itself
_LAST_WORDS_S = 3.0  # for a process that has closed its pipe to end
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
    with held_back() as pressed:
        child = _ScriptChild(script, request, pickle.dumps((script, packed)), pressed)
        if meanwhile is not None:
            threading.Thread(target=meanwhile, daemon=True).start()
        try:
            return child.run(on_report)
        finally:
            child.end()


class _ScriptChild(Child):
    """The script's process. It waits for an answer once its report was sent."""

    def __init__(self, script: Script, request: Request, packed: bytes, pressed: Pressed) -> None:
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
        self._pressed = pressed
        self._shown = False
        self._limit = self._seconds = _NEVER
        self._stage = ""
        self._untrained: tuple[str, int] | None = None
        self._interrupts = 0
        self._gone = False  # the script has ended by a KeyboardInterrupt
        self._ended: int | None = None
        with suppress(BrokenPipeError):
            frames.write_packet(answers, packed)

    def run(self, on_report: Callable[[Report], None] | None) -> Report:
        report = self._examined()
        answers = self._final is not None  # else it is stuck in what cannot be interrupted
        if self._interrupts:  # it cleans up behind itself while the report is drawn
            self._answer()
        if on_report is not None:
            on_report(report)
        self._final, self._shown = None, True
        if not self._interrupts:
            self._answer()
        if self._interrupts and not answers:
            return report
        self._limit, self._since = _NEVER if self._script.go_on else _AFTERWARDS_S, time.monotonic()
        self._heard()
        status = self._ended
        if status is None and self._script.go_on:
            status = self._process.wait()
            status = 128 - status if status < 0 else status
        return report if not status or report.exit_code else replace(report, exit_code=status)

    def _answer(self) -> None:
        with suppress(OSError):
            os.write(self._answers, b"!")

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
        if self._interrupts or self._gone:
            if self._last is None:
                raise KeyboardInterrupt
            return self._as_run(130, INTERRUPTED)
        if late:
            return self._as_run(3, self._late())
        if self._last is None and not self._stage:
            raise UntrainedError(*self._died())
        return self._as_run(3, self._why())

    def _heard(self) -> bool:
        """Listen until the child has said what it is asked for; whether it took too long."""
        while True:
            late = self._listen(lambda: self._pressed.count > self._interrupts or self._too_long())
            if self._pressed.count <= self._interrupts:
                return late
            self._interrupts += 1
            if self._interrupts > 1:
                return True
            if not _in_the_foreground():  # else the terminal has told the script too
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGINT)
            if self._stage and not self._shown:
                self._limit, self._since = GRACE_S, time.monotonic()

    def _take(self, kind: bytes, content: bytes) -> None:
        if kind == frames.UNTRAINED:
            words, status = json.loads(content)
            self._untrained = (clean(words), int(status))
        elif kind == frames.ENDED:
            self._ended = int(json.loads(content))
        elif kind == frames.INTERRUPTED:
            self._gone = True
        else:
            super()._take(kind, content)

    def _enough(self) -> bool:
        ended = self._untrained is not None or self._ended is not None or self._gone
        return super()._enough() or ended

    def _as_run(self, exit_code: int, why: str) -> Report:
        report = self._stopped(exit_code, (why,), told=self._interrupts > 0)
        return replace(report, kind="run", subject=clean(self._script.name))

    def _died(self) -> tuple[str, int]:
        try:
            status = self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return (
                "the script has closed the pipe through which its training would be seen (file "
                "descriptors from 3 on): it cannot be examined"
            ), 2
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
