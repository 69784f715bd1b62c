"""What a file holds, as messages of plain values: first its texts, then its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
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
from segdoctor.sources.model_file.recognise import FileKind
from segdoctor.sources.model_file.stored_weight import StoredWeight
from segdoctor.sources.model_file.stored_weights import weights_in_h5, weights_in_tree

Message = dict[str, Any]
_LIBRARIES = {"numpy": np.__version__, "h5py": h5py.__version__}
_EXPORT = "save it from Keras with model.save('model.keras')"


def contents(path: Path, kind: FileKind) -> Iterator[Message]:
    """First ``{"config", "training", "version", "read_with"}``, texts or None; then ``{"weights",
    "last"}``: for each array its layer, variable, place, shape, dtype and statistics."""
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
            "read_with": _LIBRARIES,
        }
        rows = _rows(file, weights_in_h5(file, root, inner))
        rows = rows or _rows(file, weights_in_tree(file, inner))
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
        metadata = parse_json(read_member(archive, path, "metadata.json")) if described else {}
    inner = _model(path, parse_json(text))
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    yield {
        "config": text.decode("utf-8", "replace"),
        "training": None,
        "version": version if isinstance(version, str) else None,
        "read_with": _LIBRARIES,
    }
    with weights_file(path, "keras") as file:
        rows = [] if file is None else _rows(file, weights_in_tree(file, inner))
    yield {"weights": rows, "last": True}


def _model(path: Path, config: Any) -> Any:
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ModelFileError(path, "a model configuration without a class name", "save it again")
    return unwrapped(config)[1]


def _rows(file: CheckedH5, stored: Iterable[StoredWeight]) -> list[list[Any]]:
    """A row for each array, in order.

    A second thread reads and counts what the first has looked up; when all is looked up, both do.
    Reading and arithmetic release Python's lock, and the process that waits has little left to do.
    """
    rows: list[list[Any]] = []
    found: SimpleQueue[tuple[int, StoredWeight, StoredArray] | None] = SimpleQueue()
    failed: list[Exception] = []

    def work() -> None:
        room = room_for_pieces()
        while (item := found.get()) is not None and not failed:
            index, weight, array = item
            rows[index] = _row(weight, array, room)

    def guarded(part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - of either thread: raised below
            failed.append(error)

    def look_up() -> None:
        for index, weight in enumerate(stored):
            rows.append([])
            found.put((index, weight, file.array(weight.path)))

    second = Thread(target=guarded, args=(work,))
    second.start()
    guarded(look_up)
    for _ in range(2):
        found.put(None)
    guarded(work)
    second.join()
    if failed:
        raise failed[0]
    return rows


def _row(weight: StoredWeight, array: StoredArray, room: Any) -> list[Any]:
    total = total_of(block for piece in array.pieces(room) for block in blocks_of(piece))
    return [
        *(weight.layer, weight.name, weight.path, array.shape, array.dtype),
        *(total.count, total.not_finite, total.mean, total.std),
        *(total.minimum, total.maximum, total.zeros),
    ]
