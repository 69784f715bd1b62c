"""The histogram of an ordinary PNG mask, without Pillow's decoder: a fifth of its time.

Masks are PNGs of 8 bits, one channel, not interlaced, their lines unfiltered: then the inflated
bytes are the ids, with one filter byte a line. Whatever is different in any way, and whatever is
not sound to the last check sum, is left to Pillow, which also has the words for what is wrong.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import Image
from zlib_ng import zlib_ng

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_FILE = 64 << 20
_GREY, _PALETTE = 0, 3
_MODES = {_GREY: "L", _PALETTE: "P"}


@dataclass(frozen=True, slots=True)
class QuickMask:
    """``values`` are the bytes of the lines, each behind a filter byte of 0."""

    mode: str
    size: tuple[int, int]
    values: bytes
    palette: bytes

    def histogram(self) -> dict[int, int]:
        """Id → pixels."""
        width, height = self.size
        lines = Image.frombuffer("L", (width + 1, height), self.values, "raw", "L", 0, 1)
        counts = lines.histogram()
        counts[0] -= height  # the filter bytes
        return {i: count for i, count in enumerate(counts) if count}


def quick_mask(data: bytes, limit: int) -> QuickMask | None:
    """The mask in ``data``, None where it is not of the ordinary kind, or not sound."""
    if len(data) >= LARGEST_FILE or not data.startswith(_SIGNATURE):
        return None
    chunks = _chunks(data)
    header = chunks.get(b"IHDR")
    if chunks.get(b"IEND") is None or header is None or len(header[0]) != 13:
        return None
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", header[0])
    usual = depth == 8 and colour in _MODES and not any(rest) and b"tRNS" not in chunks
    if not usual or not width or not height or width * height > limit:
        return None
    wanted = (width + 1) * height
    inflater = zlib_ng.decompressobj()
    try:
        values = inflater.decompress(b"".join(chunks.get(b"IDAT", ())), wanted + 1)
        if len(values) == wanted and not inflater.eof:
            inflater.decompress(inflater.unconsumed_tail, 1)  # the check sum behind the data
    except zlib_ng.error:  # type: ignore[misc]
        return None
    if len(values) != wanted or not inflater.eof or any(values[:: width + 1]):
        return None
    palette = b"".join(chunks.get(b"PLTE", ()))
    if colour == _PALETTE and not palette:
        return None
    return QuickMask(_MODES[colour], (width, height), values, palette)


def _chunks(data: bytes) -> dict[bytes, list[bytes]]:
    """Kind → contents of the chunks up to IEND; no IEND where one of them is damaged."""
    found: dict[bytes, list[bytes]] = {}
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return found
        if (
            zlib_ng.crc32(memoryview(data)[position + 4 : end])
            != struct.unpack_from(">I", data, end)[0]
        ):
            return found
        found.setdefault(kind, []).append(data[position + 8 : end])
        if kind == b"IEND":
            return found
        position = end + 4
    return found
