"""Examines a file's run in a child process that can hang, crash or be ended alone.

The child sends a report after each stage, so that what was found is kept whatever becomes of it:
Ctrl-C, a stage beyond its time, a signal because memory ran out.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.held_back import Pressed, held_back
from segdoctor.examination import frames
from segdoctor.examination.request import Request, silent
from segdoctor.report.report import Report

STAGE_LIMIT_S = 600.0  # of a stage without a budget of its own
_OF_A_BUDGET = "trial"
_PATIENCE_S = 0.7  # for the child to tell what it has, once it was told to stop
_MEMORY_SIGNALS = {signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS}
_OF_MEMORY = ("no memory", "ResourceExhausted", "bad_alloc", "OOM")
_SMALLER = ", as it is when memory runs out; --trial-batch and --crop make it smaller"
_HERE = "no sandbox: what was given cannot be handed to a child process; the code ran in this one"
INTERRUPTED = "interrupted: what was found until then is here"
START = "import sys; sys.path[:] = {path!r}; from segdoctor.examination.worker import serve; "


def examined_apart(request: Request, meanwhile: Callable[[], object] | None = None) -> Report:
    """The report on the file of ``request``, made in a child process.

    Live objects that cannot be handed over are examined in this process, and it is said.

    Parameters
    ----------
    meanwhile : called once in a thread while the child is at work: a place for slow imports.

    Raises
    ------
    UserError
        As the examination raised it.
    """
    packed = can_be_apart(request)
    if packed is None:
        from segdoctor.examination.reporting import examined

        report = examined(request)
        return replace(report, notes=(*report.notes, _HERE)) if request.trust else report
    start = time.perf_counter()
    if request.out is not None:
        from segdoctor.report.files import check_writable

        check_writable(request.out)
    with (
        held_back() as pressed,
        tempfile.TemporaryDirectory(prefix="segdoctor-", ignore_cleanup_errors=True) as folder,
    ):
        child = _file_child(request, packed, folder)
        if meanwhile is not None:
            threading.Thread(target=meanwhile, daemon=True).start()
        try:
            report = child.report(pressed)
        finally:
            child.end()
    return replace(report, timings={**report.timings, "total": time.perf_counter() - start})


def can_be_apart(request: Request) -> bytes | None:
    """The request as it is handed to the child; None where it holds live objects that cannot be
    handed over, or the system has no process groups (Windows)."""
    if os.name != "posix":
        return None
    try:
        return pickle.dumps(replace(request, say=silent))
    except Exception:  # noqa: BLE001 - whatever a live object raises: it stays in this process
        return None


def _file_child(request: Request, packed: bytes, folder: str) -> Child:
    pipe, writing = os.pipe()
    command = START.format(path=sys.path) + f"serve({writing}, {os.getpid()}, {folder!r})"
    quiet = subprocess.DEVNULL
    # What trusted code prints could steer the terminal; and stdout belongs to the report.
    errors = quiet if request.trust else None
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", command],
        stdin=subprocess.PIPE,
        stdout=quiet,
        stderr=errors,
        pass_fds=(writing,),
        env=_environment(folder),
        start_new_session=True,
    )
    os.close(writing)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(packed)
    return Child(request, process, pipe)


class Child:
    """The process, and what it has said so far."""

    def __init__(self, request: Request, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._request = request
        self._process = process
        self._pipe = pipe
        self._frames = frames.Frames()
        self._last: Report | None = None
        self._final: Report | None = None
        self._notes: list[str] = []
        self._failed = ""
        self._doing = "starting"
        self._stage = "starting"
        self._limit = self._seconds = STAGE_LIMIT_S
        self._since = time.monotonic()
        self._pressed = Pressed()

    def report(self, pressed: Pressed) -> Report:
        self._pressed = pressed
        late = self._listen(lambda: pressed.count > 0 or self._too_long())
        if pressed.count and self._final is None:
            return self._stopped(130, (INTERRUPTED,))
        if late:
            return self._stopped(3, (self._late(),))
        if self._final is not None:
            return self._with_notes(self._final, (), None)
        return self._stopped(3, (self._why(),))

    def end(self) -> None:
        """End the child and all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(OSError):
            os.close(self._pipe)

    def _listen(self, enough: Callable[[], bool]) -> bool:
        """Take what the child says until it ends (False) or it is ``enough`` (True)."""
        while not enough():
            if not self._said(0.1):
                # Looked at once more: its last words may have come before its end was seen. What it
                # started may hold the pipe open.
                if self._process.poll() is not None and not self._said(0):
                    return False
                continue
            data = os.read(self._pipe, 1 << 20)
            if not data:
                return False
            try:
                for kind, content in self._frames.feed(data):
                    self._take(kind, content)
            except UserError:
                raise
            except (TypeError, ValueError) as error:
                self._failed = clean(f"it said what is no part of a report: {error}")
            if self._enough():
                return False
        return True

    def _said(self, seconds: float) -> bool:
        return bool(select.select([self._pipe], [], [], seconds)[0])

    def _too_long(self) -> bool:
        return time.monotonic() > self._since + self._limit

    def _enough(self) -> bool:
        return self._final is not None or bool(self._failed)

    def _take(self, kind: bytes, content: bytes) -> None:
        text = "" if kind in (frames.REPORT, frames.DONE) else content.decode("utf-8", "replace")
        if kind == frames.REPORT:
            self._last = frames.report_from(content)
        elif kind == frames.DONE:
            self._final = frames.report_from(content)
        elif kind == frames.USER_ERROR:
            raise UserError(clean(text))
        elif kind == frames.FAILED:
            self._failed = clean(text)
        elif kind == frames.NOTE and (self._request.trust or "no sandbox" in text):
            self._notes.append(clean(text))
        elif kind == frames.PROGRESS:
            stage, done, total = json.loads(content)
            counted = None if done is None else int(done)
            self._doing = clean(stage) + (f", {counted} of {total}" if done is not None else "")
            if self._stage != _OF_A_BUDGET:  # a sign of life
                self._since = time.monotonic()
            self._request.say(clean(stage), counted, None if total is None else int(total))
        elif kind == frames.STAGE:
            stage, limit = json.loads(content)
            self._stage, self._since = clean(stage), time.monotonic()
            self._limit = self._seconds = STAGE_LIMIT_S if limit is None else float(limit)

    def _stopped(self, exit_code: int, why: tuple[str, ...], *, told: bool = False) -> Report:
        """What there is once the child was told to stop, or has."""
        if not told and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._process.pid, signal.SIGINT)
            end, held = time.monotonic() + _PATIENCE_S, self._pressed.count
            with suppress(ValueError, UserError):
                self._listen(lambda: time.monotonic() > end or self._pressed.count > held)
        found = self._final or self._last or _nothing(self._request)
        return self._with_notes(found, why, exit_code)

    def _with_notes(self, report: Report, why: tuple[str, ...], exit_code: int | None) -> Report:
        notes = tuple(dict.fromkeys((*why, *report.notes, *self._notes)))
        if exit_code is None:
            return replace(report, notes=notes)
        return replace(
            report,
            notes=notes,
            exit_code=exit_code,
            diagnosis=None,
            headline=f"Not finished: {why[0]}. {report.headline}".strip(),
        )

    def _late(self) -> str:
        return (
            f"the stage {self._stage} did not end within {self._seconds:.0f} s "
            f"(last: {self._doing}{self._batch()}) and was ended"
        )

    def _why(self) -> str:
        if self._failed:
            memory = _SMALLER if any(word in self._failed for word in _OF_MEMORY) else ""
            return f"the stage {self._stage} failed: {self._failed}{self._batch()}{memory}"
        status = self._process.wait()
        if status >= 0:
            return f"the process that ran the model ended with status {status} in {self._stage}"
        name = signal.Signals(-status).name
        memory = _SMALLER if -status in _MEMORY_SIGNALS else ""
        return (
            f"the process that ran the model was ended by {name} in the stage {self._stage} "
            f"(last: {self._doing}{self._batch()}){memory}"
        )

    def _batch(self) -> str:
        batch = self._last.run.get("batch") if self._last is not None else None
        return f"; batch {clean(batch)}" if batch else ""


def _environment(folder: str) -> dict[str, str]:
    found = {**os.environ, "TMPDIR": folder}
    if not Path("~/.keras/keras.json").expanduser().exists():
        found.setdefault("KERAS_HOME", folder)  # Keras writes its settings where there are none
    return found


def _nothing(request: Request) -> Report:
    """A report of a process that ended before it had found anything."""
    subject = "" if request.model is None else clean(os.fspath(request.model))
    return Report(
        kind="check", subject=subject, exit_code=3, run={"model": subject}, seed=request.seed
    )
