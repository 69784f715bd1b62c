"""Mode and size of an ordinary JPEG from its markers, at a third of the time Pillow takes.

Ordinary: baseline or progressive, 8 bits, without EXIF or further pictures, the end marker at its
very end. Anything else is left to Pillow.
"""

from __future__ import annotations

import struct

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
HEAD = 4096  # bytes in which the first scan must begin
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_SCAN = 0xDA
_APP1, _APP2 = 0xE1, 0xE2


def quick_jpeg(
    head: bytes, end: bytes, size: int, limit: int
) -> tuple[str, tuple[int, int]] | None:
    """``(mode, (width, height))`` of a file of ``size`` bytes with this beginning and these last
    two bytes, None where it is not of the ordinary kind."""
    if not head.startswith(_START) or end != _END or size < 64:
        return None
    frame: tuple[str, tuple[int, int]] | None = None
    position = 2
    while position + 10 <= len(head):
        mark, kind, length = struct.unpack_from(">BBH", head, position)
        if mark != 0xFF or length < 2 or kind in _OTHER_FRAMES or kind in (_APP1, _APP2):
            return None
        if kind in _FRAMES:
            depth, height, width, parts = struct.unpack_from(">BHHB", head, position + 4)
            if frame or depth != 8 or parts not in _MODES or not 0 < width * height <= limit:
                return None
            frame = _MODES[parts], (width, height)
        if kind == _SCAN:
            return frame
        position += 2 + length
    return None
