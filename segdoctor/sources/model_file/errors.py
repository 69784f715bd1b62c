"""The one error of reading model files."""

from __future__ import annotations

from pathlib import Path

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

READABLE = "a Keras model file (.h5, .hdf5 or .keras)"


class ModelFileError(UserError):
    """A file that cannot be read or rebuilt: one line that names the file, what was expected,
    what was received and what to do."""

    def __init__(self, path: str | Path, received: str, advice: str = "", expected: str = READABLE):
        advice = f"; {advice}" if advice else ""
        super().__init__(
            f"{clean(Path(path).name)}: expected {expected}, received {clean(received)}{advice}"
        )
