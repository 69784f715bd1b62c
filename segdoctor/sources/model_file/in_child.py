"""Runs the reading of a stranger's file in a child process that can crash, hang or swell alone.

libhdf5 is C code. Of 3,000 seeded mutants of two real files it crashed on 2, never came back on 4
and took more than 300 MB for 3, none of which Python can catch in its own process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from segdoctor.sources.model_file.errors import ModelFileError

Message = dict[str, Any]

_MEMORY = 600 << 20  # bytes that the child may take in addition
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_SECONDS = 1.2  # of processor time, and one more for each
_BYTES_A_SECOND = 5e6


def messages_from_child(
    work: Callable[[], Iterable[Message]],
    path: Path,
    size: int,
) -> Generator[Message, None, None]:
    """An empty message once the child is at work, then those that ``work()`` gives, plain values
    each, as they come.

    Where there is no ``fork`` (or only an unsafe one) ``work`` runs in this process, unlimited.

    Raises
    ------
    ModelFileError
        As ``work`` raised it, or because the child crashed or went beyond its limits.
    """
    if sys.platform != "linux":
        yield {}
        yield from work()
        return
    import fcntl

    reading, writing = os.pipe()
    with suppress(OSError):  # a roomy pipe, so that the child need not wait; refused to some users
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; the child takes no lock but h5py's, which survives forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(reading)
        _run(work, writing, _SECONDS + size / _BYTES_A_SECOND)
    os.close(writing)
    status: int | None = None
    try:
        with open(reading, "rb") as stream:
            yield {}
            for line in stream:
                message = json.loads(line)
                if "refused" in message:
                    raise ModelFileError(path, *message["refused"])
                if "failed" in message:
                    raise ModelFileError(path, f"a damaged file ({message['failed']})")
                yield message
                if message.get("last"):
                    return
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        raise ModelFileError(path, _ended(status), "it was not read further")
    finally:
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _ended(status: int) -> str:
    if status in (-signal.SIGPROF, -signal.SIGXCPU):
        return "a damaged HDF5 file whose reading does not end"
    return f"a damaged HDF5 file on which the HDF5 library fails (status {status})"


def _run(work: Callable[[], Iterable[Message]], pipe: int, seconds: float) -> NoReturn:
    """The child: never returns, and leaves none of the parent's exit handlers to run."""
    gc.freeze()  # looking through a large parent's objects would copy their pages, and take seconds
    try:
        _limit(seconds)
        with open(pipe, "wb") as stream:
            for message in _guarded(work):
                stream.write(json.dumps(message).encode() + b"\n")
                stream.flush()
    finally:
        os._exit(0)


def _guarded(work: Callable[[], Iterable[Message]]) -> Iterator[Message]:
    try:
        yield from work()
    except ModelFileError as error:
        yield {"refused": error.parts}
    except MemoryError:
        yield {"failed": f"reading it takes more than {_MEMORY >> 20} MB"}
    except Exception as error:  # noqa: BLE001 - the boundary of the process: it is told as a line
        yield {"failed": f"{type(error).__name__}: {error}"}


def _limit(seconds: float) -> None:
    import ctypes
    import faulthandler
    import resource

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    faulthandler.disable()  # a crash here is told by the parent, in one line
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + _MEMORY
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (space if hard < 0 else min(space, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
