"""A small file that the user names: read whole, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 1 << 30


def given_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> str:
    """The text at ``path``. A pipe or a device, which could keep a reader for ever, is refused.

    Raises
    ------
    OSError
        Its ``strerror`` says why it is not read.
    UnicodeDecodeError
        It is no text of this encoding.
    """
    return given_bytes(path).decode(encoding)


def given_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes at ``path``; see :func:`given_text`."""
    try:
        status = os.stat(path)
    except ValueError as error:  # a null character in the path
        raise OSError(errno.EINVAL, str(error)) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, and no file")
    if status.st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {_MOST_BYTES >> 20} MB")
    return Path(path).read_bytes()
