"""The one error of reading and rebuilding model files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

READABLE = "a Keras model file (.h5, .hdf5 or .keras)"


class ModelFileError(UserError):
    """A file that cannot be read or rebuilt: one line that names the file, what was expected,
    what was received and what to do.

    ``reason`` is ``"unreadable"`` (nothing can be said), ``"needs trust"`` (it carries code that
    would have to run), ``"not at hand"`` (a custom class or function is missing) or
    ``"not rebuilt"`` (read, but no live model could be made of it).
    """

    def __init__(
        self,
        path: str | Path,
        received: str,
        advice: str = "",
        expected: str = READABLE,
        reason: Literal["unreadable", "needs trust", "not at hand", "not rebuilt"] = "unreadable",
    ) -> None:
        told = f"; {clean(advice)}" if advice else ""
        name = clean(Path(path).name or path)
        super().__init__(f"{name}: expected {clean(expected)}, received {clean(received)}{told}")
        self.reason = reason
        self.parts = (received, advice, expected, reason)
