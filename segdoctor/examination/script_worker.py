"""The child process in which a training script runs; see :mod:`.script_apart` for the parent."""

from __future__ import annotations

import json
import os
import pickle
import sys
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from segdoctor.examination import frames
from segdoctor.examination.request import Request, Script
from segdoctor.report.report import Report


def serve(pipe: int, answers: int) -> None:
    """Run the script that ``answers`` names, and send what is found through ``pipe``. What the
    script has left to do at the end of its process is done as always."""
    from segdoctor.examination.worker import quiet_libraries
    from segdoctor.sources.sandbox import chosen_first, die_with_parent

    die_with_parent(os.getppid())
    chosen_first()
    for descriptor in (pipe, answers):
        os.set_inheritable(descriptor, False)  # what the script starts has no part in this
    script, packed = pickle.loads(frames.read_packet(answers))
    quiet_libraries()
    sys.argv = [script.name, *script.args]
    stream = open(pipe, "wb")  # noqa: SIM115 - until the process ends
    _run(script, pickle.loads(packed), stream, answers)


def _run(script: Script, request: Request, stream: BinaryIO, answers: int) -> None:
    from segdoctor.core.error_line import error_line
    from segdoctor.core.errors import UntrainedError, UserError
    from segdoctor.examination.reporting import report_of
    from segdoctor.examination.running import examine_script
    from segdoctor.examination.worker import Told

    mine = os.getpid()
    told = Told(stream)
    told.reporter = report_of
    request = replace(request, say=told.progress, watcher=told)

    def say(kind: bytes, content: bytes) -> None:
        if os.getpid() == mine:  # not of a process that the script has forked off
            write(kind, content)

    def write(kind: bytes, content: bytes) -> None:
        try:
            frames.write_frame(stream, kind, content)
        except OSError:
            os._exit(1)  # there is no one left to tell, or the script has closed the pipe

    def send(report: Report) -> None:
        for shown in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # the script may have closed it
                shown.flush()
        say(frames.DONE, pickle.dumps(report, protocol=5))
        os.read(answers, 1)  # the report is shown before the script goes on

    try:
        report = examine_script(script, request, send)
        say(frames.ENDED, json.dumps(report.exit_code).encode())
    except UntrainedError as error:
        say(frames.UNTRAINED, json.dumps([str(error), error.status]).encode())
    except UserError as error:
        say(frames.USER_ERROR, str(error).encode())
    except KeyboardInterrupt:
        say(frames.INTERRUPTED, b"")
    except MemoryError:
        say(frames.FAILED, b"no memory was left")
    except Exception as error:  # noqa: BLE001 - the boundary of the process: it is told
        say(frames.FAILED, error_line(error, 400).encode())
