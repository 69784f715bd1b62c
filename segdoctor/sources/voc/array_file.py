"""Masks and images that are stored as arrays: ``.npy``, and the ``.mat`` files of SBD."""

from __future__ import annotations

import os
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.sources.voc.mat_file import MatError, read_mat

ARRAYS = (".npy", ".mat")
_MAT_BYTES = 64 << 20
_DEEPEST = (1 << 31) - 1
_HEADS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


_BROKEN = (ValueError, TypeError, KeyError, SyntaxError, RecursionError, TokenError)


class ArrayError(Exception):
    """A file that holds no picture or mask; the text is the reason."""


def is_array(path: str) -> bool:
    """Whether the file is one of those read here, by its name."""
    return os.path.splitext(path)[1].lower() in ARRAYS


def array_image(path: str, file: BinaryIO, limit: int) -> Image.Image:
    """The array of an open file as a Pillow image: ``L``, ``I``, ``F`` or ``RGB``.

    Nothing is unpickled, and nothing is read before its shape is known to be within ``limit``
    pixels. One-hot arrays (H, W, C) become ids.

    Raises
    ------
    ArrayError
    """
    if path.lower().endswith(".mat"):
        data = file.read(_MAT_BYTES + 1)
        if len(data) > _MAT_BYTES:
            raise ArrayError(f"larger than {_MAT_BYTES >> 20} MB")
        try:
            return _image(read_mat(data), limit)
        except MatError as error:
            raise ArrayError(str(error)) from error
    return _image(_npy(file, limit), limit)


def _npy(file: BinaryIO, limit: int) -> NDArray[Any]:
    try:
        read_head = _HEADS.get(np.lib.format.read_magic(file))
        if read_head is None:
            raise ArrayError("an .npy file of an unknown version")
        shape, by_columns, kind = read_head(file)
    except _BROKEN as error:  # its words name places in memory, other ones each time
        raise ArrayError("an .npy file that is broken in its header") from error
    if kind.kind not in "biuf":
        raise ArrayError(f"an array of {kind}, not of numbers")
    if not 2 <= len(shape) <= 3 or min(shape) < 1:
        raise ArrayError(f"an array of shape {shape}, which is no picture")
    count = int(np.prod([int(size) for size in shape], dtype=object))
    if count > 64 * limit:
        raise ArrayError(f"an array of shape {shape}, beyond the limit of {limit / 1e6:.0f} Mpx")
    start = file.tell()
    file.seek(0, os.SEEK_END)
    if file.tell() - start < count * kind.itemsize:
        raise ArrayError("cut off: shorter than its header says")
    file.seek(start)
    values = np.frombuffer(file.read(count * kind.itemsize), kind)
    return values.reshape(shape, order="F" if by_columns else "C")


def _image(values: NDArray[Any], limit: int) -> Image.Image:
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim == 3 and values.max(initial=0) == 1 and (values.sum(axis=-1) == 1).all():
        values = values.argmax(axis=-1)
    if values.ndim == 3 and values.shape[-1] != 3:
        raise ArrayError(f"an array of shape {values.shape}: neither ids, colours nor one-hot")
    if values.shape[0] * values.shape[1] > limit:
        raise ArrayError(f"{values.shape[1]} × {values.shape[0]}, beyond the limit")
    if values.ndim == 3:
        top = float(values.max(initial=0))
        scaled = values * 255.0 if values.dtype.kind == "f" and top <= 1 else values
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    if values.dtype.kind == "f":
        return Image.fromarray(values.astype(np.float32))
    if values.dtype == np.uint8 or values.dtype.kind == "b":
        return Image.fromarray(np.ascontiguousarray(values).astype(np.uint8))
    if np.abs(values.astype(np.float64)).max(initial=0) > _DEEPEST:
        raise ArrayError("its numbers are larger than any id")
    return Image.fromarray(values.astype(np.int32))
