"""One stored array of a model file, by its place."""

from __future__ import annotations

from typing import NamedTuple


class StoredWeight(NamedTuple):
    """One stored array. ``layer`` is the layer's full path, ``name`` that of the variable,
    ``path`` where it lies in the file."""

    layer: str
    name: str
    path: str
