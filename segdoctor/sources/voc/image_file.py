"""One image file: opened with care, its header read, its end checked, its pixels decoded."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

# These six decoders and no other: importing the plugins registers them, and `formats=` keeps
# Pillow from trying any that another package registered.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from segdoctor.core.clean import clean
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ArrayError, array_image, is_array

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".gif", ".webp")
LIMIT_PIXELS = 50_000_000
_KNOWN = ", ".join(FORMATS)
_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
}
_TAIL = 1 << 16
_JPEG_REST = 64 << 20  # how much after the first scan is searched for the end marker
_SCAN = re.compile(rb"\xff\xda\0(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_SCANS, _SCANNED = 16, 200_000_000  # more of both: seconds of decoding; a usual one has ten
_MARKERS = 2000  # a large colour profile has 255
_PNG_CHUNKS = 100_000
_ORIENTATION = 274


class UnreadableError(Exception):
    """A file that is not a sound image; the text is the reason."""


@contextmanager
def opened_image(path: str, *, limit: int = LIMIT_PIXELS) -> Iterator[Image.Image]:
    """The image of a regular file, header read and end checked; pixels are decoded on demand.

    ``info["segdoctor_file"]`` is the file's ``(bytes, device, inode)``. Whatever a decoder throws
    inside the block comes out as :class:`UnreadableError`.
    """
    with opened_file(path) as file:
        identity = _identity(path, file)
        size = identity[0]
        if is_array(path):
            yield _of_array(path, file, limit, identity)
            return
        try:
            if _no_picture_begins(file):
                raise UnreadableError(f"a JPEG of more than {_MARKERS:,} marks before its picture")
            image = Image.open(file, formats=FORMATS)
            image.info["segdoctor_file"] = identity
            after_header = file.tell()
            pixels = image.size[0] * image.size[1]
            if pixels > limit:
                raise UnreadableError(
                    f"{image.size[0]} × {image.size[1]} = {pixels / 1e6:.0f} Mpx, beyond the limit "
                    f"of {limit / 1e6:.0f} Mpx"
                )
            if min(image.size) < 1:
                raise UnreadableError("an image without pixels")
            cut = _cut_off(image, file, size, after_header)
            if cut:
                raise UnreadableError(cut)
            file.seek(after_header)
            yield image
        except UnreadableError:
            raise
        except Image.DecompressionBombError as error:
            pixels = max((int(number) for number in re.findall(r"\d+", str(error))), default=0)
            raise UnreadableError(
                f"{pixels / 1e6:,.0f} Mpx, far beyond the limit of {limit / 1e6:.0f} Mpx"
            ) from error
        except UnidentifiedImageError as error:
            raise UnreadableError(_what_it_is(file)) from error
        except Exception as error:  # the boundary: decoders raise what they like
            reason = clean(str(error) or type(error).__name__, 120)
            what = "cut off" if "truncated" in reason.lower() else "cannot be decoded"
            raise UnreadableError(f"{what}: {reason}") from error


def _identity(path: str, file: BinaryIO) -> tuple[int, int, int]:
    """``(bytes, device, inode)``; of a URL only its length is known."""
    if storage.is_url(path):
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        return length, 0, 0
    status = os.fstat(file.fileno())
    return status.st_size, status.st_dev, status.st_ino


def _of_array(path: str, file: BinaryIO, limit: int, identity: tuple[int, int, int]) -> Image.Image:
    try:
        image = array_image(path, file, limit)
    except ArrayError as error:
        raise UnreadableError(clean(error, 160)) from error
    except Exception as error:  # the boundary: NumPy parses the header with Python's own parser
        raise UnreadableError(f"cannot be read: {clean(error, 120)}") from error
    image.info["segdoctor_file"] = identity
    return image


@contextmanager
def opened_file(path: str) -> Iterator[BinaryIO]:
    """A regular file that is not empty, open for reading.

    Raises
    ------
    UnreadableError
        With the reason, for anything else.
    """
    if storage.is_url(path):
        with _opened_url(path) as file:
            yield file
        return
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise UnreadableError("a folder with the name of an image")
        if not stat.S_ISREG(kind):
            raise UnreadableError("not a regular file (a pipe, socket or device)")
        # Not blocking: a file that became a pipe since would otherwise hang the reader.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except FileNotFoundError as error:
        link = os.path.islink(path)
        raise UnreadableError("a link that leads nowhere" if link else "absent") from error
    except PermissionError as error:
        raise UnreadableError("no permission to read it") from error
    except (OSError, ValueError) as error:
        looping = isinstance(error, OSError) and error.errno == errno.ELOOP
        reason = "a link that leads in a circle" if looping else clean(error, 120)
        raise UnreadableError(reason) from error
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise UnreadableError("empty (0 bytes)")
        yield file


@contextmanager
def _opened_url(path: str) -> Iterator[BinaryIO]:
    try:
        file, length = storage.open_url(path)
    except IsADirectoryError as error:
        raise UnreadableError("a folder with the name of an image") from error
    except FileNotFoundError as error:
        raise UnreadableError("absent") from error
    except OSError as error:
        raise UnreadableError(clean(error.strerror or error, 120)) from error
    with file:
        if not length:
            raise UnreadableError("empty (0 bytes)")
        yield file


def orientation_of(image: Image.Image) -> int:
    """How EXIF says that the picture is to be turned: 1 (not) to 8."""
    if image.format != "JPEG" or "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - the boundary: broken EXIF does not make an image unreadable
        return 1


def _what_it_is(file: BinaryIO) -> str:
    file.seek(0)
    start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: the image itself was not downloaded (git lfs pull)"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page, not an image: the download went wrong"
    if not any(start):
        return "nothing but zeros"
    kind = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
    return f"a {kind} file that is broken in its header" if kind else f"not an image ({_KNOWN})"


def _cut_off(image: Image.Image, file: BinaryIO, size: int, after_header: int) -> str:
    """Why the file is cut off, "" if its end is in place."""
    kind = image.format
    if kind in {"JPEG", "MPO"}:
        if not _jpeg_ends(file, size, after_header):
            return "cut off: no end-of-image marker"
        return _endless(file, image.size[0] * image.size[1])
    if kind == "PNG":
        return "" if _png_ends(file, size) else "cut off: no IEND chunk"
    if kind == "GIF":
        file.seek(max(size - 16, 0))
        if b";" not in file.read(16):
            return "cut off: no trailer"
    elif kind == "WEBP":
        file.seek(4)
        if struct.unpack("<I", file.read(4))[0] + 8 > size:
            return "cut off: shorter than its header says"
    elif kind == "TIFF":
        if _tiff_end(image) > size:
            return "cut off: its strips lie behind the end of the file"
    elif kind == "BMP":
        image.load()  # no end marker, and decoding is little more than copying
    return ""


def _jpeg_ends(file: BinaryIO, size: int, scan: int) -> bool:
    """Whether the end marker stands behind the first scan. Inside a scan it cannot occur by
    chance; before it, the marker of a thumbnail may."""
    file.seek(-2, os.SEEK_END)
    if file.read(2) == b"\xff\xd9" and size - 2 >= scan:
        return True
    file.seek(max(size - _TAIL, scan))
    if b"\xff\xd9" in file.read(_TAIL):
        return True
    file.seek(scan)  # a long trailer, such as a film behind a phone's photo
    return b"\xff\xd9" in file.read(_JPEG_REST)


def _no_picture_begins(file: BinaryIO) -> bool:
    """Whether a JPEG's picture is hidden behind so many marks that Pillow, which passes over them
    one by one, would be busy for a minute."""
    file.seek(0)
    position = 2 if file.read(3) == b"\xff\xd8\xff" else -1
    left = _MARKERS if position > 0 else 0
    while left:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:
            break
        left -= 1
        if head[1] in (0x00, 0xFF):
            position += 1
        elif head[1] == 0x01 or 0xD0 <= head[1] <= 0xD9:
            position += 2
        else:
            position += 2 + int.from_bytes(head[2:], "big")
    file.seek(0)
    return position > 0 and not left


def _endless(file: BinaryIO, pixels: int) -> str:
    """Why a JPEG would be decoded for ever: each of its scans passes over every pixel again."""
    file.seek(0)
    scans = sum(1 for _ in _SCAN.finditer(file.read(_JPEG_REST)))
    if scans <= _SCANS or scans * pixels <= _SCANNED:
        return ""
    return f"a JPEG of {scans:,} scans over {pixels / 1e6:.1f} Mpx, far more than are of use"


def _png_ends(file: BinaryIO, size: int) -> bool:
    file.seek(max(size - 12, 0))
    if file.read(12) == b"\0\0\0\0IEND\xaeB`\x82":
        return True
    position = 8
    for _ in range(_PNG_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return False
        position += struct.unpack(">I", head[:4])[0] + 12
        if head[4:] == b"IEND":
            return bool(position <= size)
    return False


def _tiff_end(image: Image.Image) -> int:
    tags = getattr(image, "tag_v2", {})
    ends = [0]
    for offsets, counts in ((273, 279), (324, 325)):
        ends += [
            int(start) + int(count)
            for start, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)
        ]
    return max(ends)
