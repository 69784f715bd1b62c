"""A program in a cold process: exit status, wall time, peak memory.

The system begins a child's peak with what its parent held when it was started. It is started here
from a small Python that does nothing else, so that the figure is the program's own. Of a program
that starts others and waits for them it is the largest of theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

_START = """
import os, sys, time
start = time.perf_counter()
child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
unit = 1 if sys.platform == "darwin" else 1024
told = f"{os.waitstatus_to_exitcode(status)} {seconds} {usage.ru_maxrss * unit / 1e6}"
os.write(int(sys.argv[1]), told.encode())
"""


class Cold(NamedTuple):
    status: int
    seconds: float
    megabytes: float
    errors: str


def cold(command: Sequence[str]) -> Cold:
    """Run ``command``; what it writes to stdout is dropped."""
    reading, writing = os.pipe()
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _START, str(writing), *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        pass_fds=(writing,),
    )  # fmt: skip
    os.close(writing)
    with open(reading) as told:
        status, seconds, megabytes = told.read().split()
    return Cold(int(status), float(seconds), float(megabytes), done.stderr)
