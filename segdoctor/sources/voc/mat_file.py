"""The class map of one of SBD's ``.mat`` files: MATLAB 5, read as data and within bounds.

``scipy.io.loadmat`` reads everything in the file and makes arrays as large as a header says; here
only ``GTcls.Segmentation`` is looked for, and what is not needed is stepped over.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_LARGEST = 64 << 20  # bytes that the compressed parts may become
_DEPTH = 8
_MATRIX, _COMPRESSED = 14, 15
_STRUCT = 2
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC = range(6, 16)  # classes of full matrices of numbers
_NAMES = ("Segmentation", "GTcls", "inst_img", "mask", "label", "labels")


class MatError(Exception):
    """No class map could be read; the text is the reason."""


def read_mat(data: bytes) -> NDArray[Any]:
    """The class map in the bytes of a file: ``GTcls.Segmentation``, or a matrix of such a name.

    Raises
    ------
    MatError
        It is no MATLAB 5 file, is damaged, or holds no such matrix.
    """
    if data.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise MatError("a MATLAB 7.3 file (HDF5); save it with -v7")
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise MatError("not a MATLAB 5 file")
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, NDArray[Any]] = {}
    left = _LARGEST
    try:
        for kind, part in _elements(data[_HEADER:], order):
            if kind == _COMPRESSED:
                inflater = zlib.decompressobj()
                opened = inflater.decompress(part, left)
                left -= len(opened)
                if inflater.unconsumed_tail or left <= 0:
                    raise MatError(f"more than {_LARGEST >> 20} MB unpacked")
                for inner, content in _elements(opened, order):
                    if inner == _MATRIX:
                        _matrix(content, order, "", found, 0)
            elif kind == _MATRIX:
                _matrix(part, order, "", found, 0)
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise MatError(f"damaged: {error}") from error
    for name in _NAMES:
        if name in found:
            return found[name]
    raise MatError("it holds no class map (GTcls.Segmentation)")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """``(type, content)`` of the elements that follow each other."""
    position = 0
    while position + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:  # a small one: length and content in the second half of the tag
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise ValueError("a small element of more than four bytes")
            yield kind, data[position + 4 : position + 4 + length]
            position += 8
            continue
        end = position + 8 + length
        if end > len(data):
            raise ValueError("cut off")
        yield kind, data[position + 8 : end]
        position = end if kind == _COMPRESSED else end + -length % 8


def _matrix(
    content: bytes, order: str, name: str, found: dict[str, NDArray[Any]], depth: int
) -> None:
    """Put the numeric matrices of the wanted names into ``found``; structs are looked into."""
    if depth > _DEPTH:
        raise ValueError("too deep")
    parts = _elements(content, order)
    _, flags = next(parts, (0, b""))
    kind = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    _, sizes = next(parts, (0, b""))
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    _, own = next(parts, (0, b""))
    name = own.decode("latin-1") or name
    if kind == _STRUCT and shape == (1, 1):
        _, width = next(parts, (0, b""))
        length = struct.unpack_from(f"{order}i", width)[0]
        _, names = next(parts, (0, b""))
        if not 0 < length <= len(names):
            return
        for start, (inner, field) in zip(range(0, len(names), length), parts, strict=False):
            label = names[start : start + length].split(b"\0")[0].decode("latin-1")
            if inner == _MATRIX and label in _NAMES:
                _matrix(field, order, label, found, depth + 1)
    elif kind in _NUMERIC and len(shape) == 2 and name in _NAMES:
        stored, values = next(parts, (0, b""))
        if stored in _TYPES:
            array = np.frombuffer(values, np.dtype(f"{order}{_TYPES[stored]}"))
            # MATLAB's matrices lie column by column.
            found.setdefault(name, array.reshape(shape, order="F"))
