"""The child process in which a file's model runs; see :mod:`.apart` for the parent's side."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import Any, BinaryIO, NoReturn

from segdoctor.examination.frames import (
    DONE,
    FAILED,
    NOTE,
    PROGRESS,
    REPORT,
    STAGE,
    USER_ERROR,
    write_frame,
)

TRIAL_GRACE = 1.5  # a trial that takes this much of its budget, and 3 s at least, is ended


def serve(pipe: int, parent: int, folder: str) -> NoReturn:
    """Examine the request that stands on stdin and send what is found through ``pipe``.

    Nothing heavy is imported before the process is confined: threads that already run would not
    be.
    """
    from segdoctor.sources.sandbox import confine, die_with_parent, limit_memory

    status = 1
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        limit_memory()
        with open(pipe, "wb") as stream:
            try:
                write_frame(stream, NOTE, confine(folder).encode())
                _examine(stream)
                status = 0
            except KeyboardInterrupt:
                status = 130
            except MemoryError:
                write_frame(stream, FAILED, b"no memory was left")
            except Exception as error:  # noqa: BLE001 - the boundary of the process: it is told
                from segdoctor.core.error_line import error_line

                write_frame(stream, FAILED, error_line(error, 400).encode())
    finally:
        os._exit(status)  # threads of TensorFlow, or of a hanging loss, are not waited for


def _examine(stream: BinaryIO) -> None:
    from dataclasses import replace

    from segdoctor.core.errors import UserError

    request = pickle.load(sys.stdin.buffer)
    quiet_libraries()
    told = Told(stream)
    request = replace(request, say=told.progress)
    try:
        from segdoctor.examination.reporting import report_of
        from segdoctor.examination.stages import Examination

        examination = Examination(request)
        examination.watcher = told
        told.reporter = report_of
        examination.examine()
        write_frame(stream, DONE, pickle.dumps(report_of(examination), protocol=5))
    except UserError as error:
        write_frame(stream, USER_ERROR, str(error).encode())


def quiet_libraries() -> None:
    """TensorFlow's native log would drown the report; whoever wants it sets the variable."""
    import logging
    import warnings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras")


class Told:
    """What the parent is told while the examination goes on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.reporter: Any = None

    def progress(self, stage: str, done: int | None = None, total: int | None = None) -> None:
        import json

        write_frame(self._stream, PROGRESS, json.dumps([stage, done, total]).encode())

    def begins(self, stage: str, seconds: float | None) -> None:
        import json

        limit = None if seconds is None else seconds + max(3.0, seconds * (TRIAL_GRACE - 1))
        write_frame(self._stream, STAGE, json.dumps([stage, limit]).encode())

    def ended(self, examination: Any) -> None:
        """What would be reported if nothing came after this stage."""
        report = self.reporter(examination.so_far())
        write_frame(self._stream, REPORT, pickle.dumps(report, protocol=5))
