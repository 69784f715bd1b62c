"""Model files read as data and rebuilt safely; importing this loads neither Keras nor TensorFlow.

* :func:`read_model_file`: the facts of a file.
* :func:`open_model_file`: the facts and what rebuilding needs.
* :func:`segdoctor.sources.model_file.rebuild.rebuild`: a live model of it (imports Keras).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segdoctor.sources.model_file.errors import ModelFileError

if TYPE_CHECKING:
    from segdoctor.sources.model_file.opened import OpenedModel
    from segdoctor.sources.model_file.reader import open_model_file, read_model_file

__all__ = ["ModelFileError", "OpenedModel", "open_model_file", "read_model_file"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only now: a child may already be reading the file.
    from segdoctor.sources.model_file import opened, reader

    return getattr(opened if name == "OpenedModel" else reader, name)
