"""Where the command begins: a file to inspect is read by a child while the rest is being loaded.

Importing the command line takes as long as a tenth of a second on a slow machine; the child that
reads the file needs none of it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def main() -> int:
    """Run the command line; returns the exit status."""
    files = [word for word in sys.argv[2:] if os.path.isfile(word)]
    alone = sys.argv[1:2] == ["inspect"] and len(files) == 1
    status = None
    try:
        if alone:
            _begin(files[0])
        from segdoctor.cli import main as command_line
        from segdoctor.core.held_back import ignored_from_now_on

        status = command_line()
        ignored_from_now_on()
    except KeyboardInterrupt:  # while it was loaded, or a moment after its end
        why = ": nothing was examined yet" if status is None else ""
        print(f"segdoctor: interrupted{why}", file=sys.stderr)
        return 130
    if alone:  # nothing is left to be tidied up, and tidying up takes a while
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _begin(path: str) -> None:
    import gc

    # A short life: collecting its garbage, or starting BLAS' threads, would cost more than it does.
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from segdoctor.sources.model_file.ahead import read_ahead
    from segdoctor.sources.model_file.errors import ModelFileError

    with suppress(ModelFileError):  # told when the command gets there
        read_ahead(path)
