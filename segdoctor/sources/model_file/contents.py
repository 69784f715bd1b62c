"""What a file holds, as messages of plain values: first its texts, then its weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from segdoctor.measures.config_entries import unwrapped
from segdoctor.measures.weight_statistics import blocks_of, total_of
from segdoctor.sources.model_file.bounded_json import JsonRefusedError, parse_json
from segdoctor.sources.model_file.checked_h5 import (
    CheckedH5,
    StoredArray,
    room_for_pieces,
    weights_file,
)
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.in_child import Message, messages_from_child
from segdoctor.sources.model_file.recognise import FileKind
from segdoctor.sources.model_file.stored_weight import StoredWeight
from segdoctor.sources.model_file.stored_weights import weights_in_h5, weights_in_tree

_LIBRARIES = {"numpy": np.__version__, "h5py": h5py.__version__}
_EXPORT = "save it from Keras with model.save('model.keras')"


def contents(path: Path, kind: FileKind) -> Iterator[Message]:
    """First ``{"config", "training", "version", "read_with"}``, texts or None; then ``{"weights",
    "last"}``: for each array its layer, variable, place, shape, dtype and statistics."""
    return _of_h5(path) if kind == "h5" else _of_keras(path)


def _of_h5(path: Path) -> Iterator[Message]:
    with weights_file(path, "h5") as file:
        assert file is not None  # an HDF5 file is its own weights
        root = _root(file)
        text = file.text("/", "model_config")
        yield {
            "config": text,
            "training": file.text("/", "training_config"),
            "version": file.text("/", "keras_version") or file.text(root, "keras_version"),
            "read_with": _LIBRARIES,
        }
        nested = text is not None and text.count('"layers"') > 1
        rows = _rows(path, "h5", _layers_of(text) if nested else None)
        if text is None and not rows and not file.name_list(root, "layer_names"):
            held = ", ".join(file.names("/")[:5]) or "none"
            raise ModelFileError(
                path,
                f"an HDF5 file without model_config and without Keras weights, members {held}",
                _EXPORT,
            )
        yield {"weights": rows, "last": True}


def _of_keras(path: Path) -> Iterator[Message]:
    from segdoctor.sources.model_file.keras_zip import open_keras_zip, read_member

    with open_keras_zip(path) as archive:
        text = read_member(archive, path, "config.json")
        described = "metadata.json" in archive.namelist()
        about = read_member(archive, path, "metadata.json") if described else b"{}"
    try:
        metadata = parse_json(about)
    except JsonRefusedError as error:
        raise ModelFileError(path, f"metadata of {error}", "save it again") from None
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    yield {
        "config": text.decode("utf-8", "replace"),
        "training": None,
        "version": version if isinstance(version, str) else None,
        "read_with": _LIBRARIES,
    }
    yield {"weights": _rows(path, "keras", _layers_of(text)), "last": True}


def _root(file: CheckedH5) -> str:
    return "/model_weights" if file.is_group("/model_weights") else "/"


def _layers_of(text: str | bytes | None) -> Any:
    """The inner configuration; what is wrong with it is told by the process that waits."""
    try:
        config = parse_json(text or "{}")
    except JsonRefusedError:
        return None
    return unwrapped(config)[1] if isinstance(config, Mapping) else None


def _rows(path: Path, kind: FileKind, inner: Any) -> list[list[Any]]:
    """A row for each array, in the file's order.

    Another process reads every second layer: looking up and counting many small arrays keeps
    Python busy, and two threads would wait for each other (two took longer than one).
    """

    def second() -> Iterator[Message]:
        yield {"groups": _groups(path, kind, inner, slice(1, None, 2)), "last": True}

    other = messages_from_child(second, path, path.stat().st_size)
    with closing(other):
        next(other)
        mine = _groups(path, kind, inner, slice(0, None, 2))
        theirs: list[list[list[Any]]] = next(other)["groups"]
        nothing: list[list[Any]] = []
        pairs = zip_longest(mine, theirs, fillvalue=nothing)
        return [row for pair in pairs for group in pair for row in group]


def _groups(path: Path, kind: FileKind, inner: Any, part: slice) -> list[list[list[Any]]]:
    """The rows of the layers in ``part``."""
    with weights_file(path, kind) as file:
        if file is None:
            return []
        root = _root(file)
        groups: Iterable[list[StoredWeight]]
        if kind == "h5" and file.name_list(root, "layer_names"):
            groups = weights_in_h5(file, root, inner, part)
        else:
            groups = [[weight] for weight in weights_in_tree(file, inner)[part]]
        room = room_for_pieces()
        return [[_row(item, file.array(item.path), room) for item in group] for group in groups]


def _row(weight: StoredWeight, array: StoredArray, room: Any) -> list[Any]:
    total = total_of(block for piece in array.pieces(room) for block in blocks_of(piece))
    return [
        *(weight.layer, weight.name, weight.path, array.shape, array.dtype),
        *(total.count, total.not_finite, total.mean, total.std),
        *(total.minimum, total.maximum, total.zeros),
    ]
