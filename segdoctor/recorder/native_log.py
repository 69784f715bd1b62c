"""Keeps TensorFlow's native log of failing operations away from a notebook or terminal.

A loss is also asked what it must refuse, and each refusal is logged with all labels of the batch.
The commands set ``TF_CPP_MIN_LOG_LEVEL`` before TensorFlow is loaded; beside live objects it has
been loaded long before, and its log can only be caught where it is written.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_REFUSED = re.compile(
    rb"^(?:[IWE]\d{4} [^\n]*(?:op_kernel|local_rendezvous)\.cc:\d+\]|[ \t]*\[\[\{\{node)[^\n]*\n?",
    re.MULTILINE,
)


@contextmanager
def without_refusals() -> Iterator[None]:
    """What is written to the process's standard error inside is shown at the end of the block,
    without TensorFlow's lines about operations that failed."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") in ("2", "3"):
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as held:
        _flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, 2)
            held.seek(0)
            with suppress(OSError):
                rest = _REFUSED.sub(b"", held.read())
                while rest:
                    rest = rest[os.write(kept, rest) :]
            os.close(kept)


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
