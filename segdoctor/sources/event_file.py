"""Scalars of TensorBoard event files, read as data: neither TensorFlow nor protobuf is needed.

A file is a row of TFRecords (length, checksum, bytes, checksum); each holds an ``Event`` message,
of which the step and the scalars of its summary are taken. A truncated end is left out.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

_MOST_EVENTS = 1_000_000
_LONGEST = 16_000_000
_MOST_FOLDERS = 2_000
_PREFIXES = ("epoch_", "evaluation_")


def read_event_folder(folder: str) -> dict[str, list[tuple[int, float]]]:
    """Key → ``(step, value)`` of every scalar below ``folder``, by epoch.

    Keras' callback writes ``epoch_loss`` into ``train/`` and ``validation/``: they become ``loss``
    and ``val_loss``. Where there are scalars of epochs, those of single batches are left out.

    Raises
    ------
    UserError
        More folders than a run has: nothing is looked for in a whole disk.
    """
    found: dict[str, dict[int, float]] = {}
    places = list(islice(os.walk(folder), _MOST_FOLDERS + 1))
    if len(places) > _MOST_FOLDERS:
        raise UserError(
            f"history {clean(folder)!r}: expected the TensorBoard folder of a run, and there are "
            f"more than {_MOST_FOLDERS:,} folders in it"
        )
    for place, _, files in sorted(places):
        validation = os.path.basename(place).lower().startswith(("validation", "val", "eval"))
        for file in sorted(name for name in files if "tfevents" in name):
            for tag, step, value in read_events(os.path.join(place, file)):
                found.setdefault(_key(tag, validation), {})[step] = value
    epochs = {key for key in found if not _of_batches(key)}
    kept = {key: found[key] for key in found if key in epochs or not epochs}
    return {key: sorted(points.items()) for key, points in kept.items()}


def read_events(path: str) -> Iterator[tuple[str, int, float]]:
    """``(tag, step, value)`` of each scalar in one event file."""
    with open(path, "rb") as file:
        for _ in range(_MOST_EVENTS):
            head = file.read(12)
            if len(head) < 12:
                return
            (length,) = struct.unpack("<Q", head[:8])
            if length > _LONGEST:
                return
            body = file.read(length)
            if len(body) < length or len(file.read(4)) < 4:
                return
            yield from _scalars(body)


def _key(tag: str, validation: bool) -> str:
    name = tag
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return f"val_{name}" if validation and not name.startswith("val_") else name


def _of_batches(key: str) -> bool:
    return "batch" in key or key.endswith("_vs_iterations")


def _scalars(body: bytes) -> Iterator[tuple[str, int, float]]:
    try:
        event = list(_fields(body))
        step = next((int(value) for number, value in event if number == 2), 0)
        for number, summary in event:
            if number != 5:
                continue
            for inner, value in _fields(summary):
                if inner == 1 and (scalar := _value(dict(_fields(value)))) is not None:
                    yield scalar[0], step, scalar[1]
    except (struct.error, IndexError, TypeError, ValueError):
        return  # a damaged record: the rest of the file is read


def _value(held: dict[int, Any]) -> tuple[str, float] | None:
    tag = bytes(held.get(1, b"")).decode()
    if 2 in held:  # simple_value
        return tag, float(struct.unpack("<f", held[2])[0])
    if 8 not in held:
        return None
    tensor = dict(_fields(held[8]))
    kind, content = int(tensor.get(1, 0)), tensor.get(4)
    if kind not in (1, 2):  # float, double
        return None
    code = "<f" if kind == 1 else "<d"
    packed = content or tensor.get(5 if kind == 1 else 6)
    if not packed or len(packed) != struct.calcsize(code):
        return None  # a picture or a histogram: no scalar
    return tag, float(struct.unpack(code, packed)[0])


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """``(number, value)`` of the fields of a protobuf message: int, or bytes as they are."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _varint(data, place)
        else:
            size = {1: 8, 5: 4}[kind] if kind in (1, 5) else len(data)
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
