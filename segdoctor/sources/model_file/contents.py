"""What a file holds, as messages of plain values: first its texts, then its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from segdoctor.measures.graph_config import unwrapped
from segdoctor.measures.weight_statistics import blocks_of, total_of
from segdoctor.sources.model_file.bounded_json import JsonRefusedError, parse_json
from segdoctor.sources.model_file.checked_h5 import (
    CheckedH5,
    StoredArray,
    room_for_pieces,
    weights_file,
)
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.opened import StoredWeight
from segdoctor.sources.model_file.recognise import FileKind
from segdoctor.sources.model_file.stored_weights import weights_in_h5, weights_in_tree

Message = dict[str, Any]
_THREADS = 2
_EXPORT = "save it from Keras with model.save('model.keras')"


def contents(path: Path, kind: FileKind) -> Iterator[Message]:
    """``{"config", "training", "version"}`` (texts or None), then ``{"weights", "last"}``: for
    each array its layer, variable, place, shape, dtype and statistics."""
    try:
        yield from _of_h5(path) if kind == "h5" else _of_keras(path)
    except JsonRefusedError as error:
        raise ModelFileError(path, f"a model configuration of {error}", "save it again") from None


def _of_h5(path: Path) -> Iterator[Message]:
    with weights_file(path, "h5") as file:
        assert file is not None  # an HDF5 file is its own weights
        root = "/model_weights" if file.is_group("/model_weights") else "/"
        text = file.text("/", "model_config")
        inner = None if text is None else _model(path, parse_json(text))
        yield {
            "config": text,
            "training": file.text("/", "training_config"),
            "version": file.text("/", "keras_version") or file.text(root, "keras_version"),
        }
        stored = weights_in_h5(file, root, inner) or weights_in_tree(file, inner)
        if text is None and not stored and not file.name_list(root, "layer_names"):
            held = ", ".join(file.names("/")[:5]) or "none"
            raise ModelFileError(
                path,
                f"an HDF5 file without model_config and without Keras weights, members {held}",
                _EXPORT,
            )
        yield {"weights": _rows(file, stored), "last": True}


def _of_keras(path: Path) -> Iterator[Message]:
    from segdoctor.sources.model_file.keras_zip import open_keras_zip, read_member

    with open_keras_zip(path) as archive:
        text = read_member(archive, path, "config.json")
        described = "metadata.json" in archive.namelist()
        metadata = parse_json(read_member(archive, path, "metadata.json")) if described else {}
    inner = _model(path, parse_json(text))
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    yield {
        "config": text.decode("utf-8", "replace"),
        "training": None,
        "version": version if isinstance(version, str) else None,
    }
    with weights_file(path, "keras") as file:
        stored = [] if file is None else weights_in_tree(file, inner)
        rows = [] if file is None else _rows(file, stored)
    yield {"weights": rows, "last": True}


def _model(path: Path, config: Any) -> Any:
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ModelFileError(path, "a model configuration without a class name", "save it again")
    return unwrapped(config)[1]


def _rows(file: CheckedH5, stored: list[StoredWeight]) -> list[list[Any]]:
    """A row for each array. The reading and the arithmetic release Python's lock, so two threads
    share them: the process that waits has little left to do by now."""
    arrays = [(weight, file.array(weight.path)) for weight in stored]
    rows: list[list[Any]] = [[]] * len(arrays)
    left = iter(enumerate(arrays))

    def work(_: int) -> None:
        room = room_for_pieces()
        for index, (weight, array) in left:
            rows[index] = _row(weight, array, room)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, range(_THREADS)))
    return rows


def _row(weight: StoredWeight, array: StoredArray, room: Any) -> list[Any]:
    total = total_of(block for piece in array.pieces(room) for block in blocks_of(piece))
    return [
        *(weight.layer, weight.name, weight.path, array.shape, array.dtype),
        *(total.count, total.not_finite, total.mean, total.std),
        *(total.minimum, total.maximum, total.zeros),
    ]
