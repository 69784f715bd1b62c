"""Images and masks of every odd kind in one folder: each broken one is named once with its reason,
all others are scanned, nothing is waited for, and nothing runs."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import segdoctor
from segdoctor.report.report import Report

from ..sources.folders import voc

IDS = (np.arange(256).reshape(16, 16) // 64).astype(np.uint8)
PIXELS = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
FINE = ""


def packed(array: NDArray[Any] | Image.Image, kind: str, **settings: Any) -> bytes:
    sink = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(sink, kind, **settings)
    return sink.getvalue()


def part(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, kind: int, rows: bytes = b"", before: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = (part(b"IHDR", head), before, part(b"IDAT", zlib.compress(rows, 1)), part(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def exif(value: int, words: str = "") -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = value
    made[0x010E] = words
    return made


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one directory."""
    written = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + written + bytes(4)


JPEG, PNG, MASK = packed(PIXELS, "JPEG"), packed(PIXELS, "PNG"), packed(IDS, "PNG")
RGB_ROWS, GREY_ROWS = bytes(16 * 49), b"".join(b"\0" + row.tobytes() for row in IDS)
STRIPS = directory(
    *((256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
    *((273, 4, 2**31, 8), (278, 4, 1, 1), (279, 4, 2**31, 8)),
)
WIDE_BMP = (
    b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHH", 40, 2**30, -(2**30), 1, 24)
)

# name: (suffix, bytes, the reason for which it is broken)
IMAGES: dict[str, tuple[str, bytes, str]] = {
    "PNG cut in its header": (".png", PNG[:30], "broken in its header"),
    "PNG cut in its pixels": (".png", PNG[: len(PNG) // 2], "no IEND chunk"),
    "JPEG cut in its header": (".jpg", JPEG[:90], "broken in its header"),
    "JPEG cut at its end": (".jpg", JPEG[:-9], "no end-of-image marker"),
    "several pictures in a PNG": (
        ".png",
        packed(PIXELS, "PNG", save_all=True, append_images=[Image.fromarray(PIXELS[::-1])]),
        FINE,
    ),
    "a GIF that moves": (
        ".gif",
        packed(PIXELS[..., 0], "GIF", save_all=True, append_images=[Image.fromarray(IDS)]),
        FINE,
    ),
    "16 bit": (".png", packed(IDS.astype(np.uint16) * 256, "PNG"), FINE),
    "CMYK": (".jpg", packed(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), FINE),
    "floats": (".tif", packed(PIXELS[..., 0].astype(np.float32), "TIFF"), FINE),
    "turned": (".jpg", packed(PIXELS, "JPEG", exif=exif(6)), FINE),
    "turned as no one knows": (".jpg", packed(PIXELS, "JPEG", exif=exif(99, "\x1b[31m")), FINE),
    "EXIF that is noise": (
        ".jpg",
        JPEG[:2] + b"\xff\xe1\0\x20Exif\0\0" + bytes(range(200, 224)) + JPEG[2:],
        FINE,
    ),
    "a PNG named JPEG": (".jpg", PNG, FINE),
    "BMP": (".bmp", packed(PIXELS, "BMP"), FINE),
    "WEBP": (".webp", packed(PIXELS, "WEBP"), FINE),
    "TIFF in a circle": (".tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "broken in its header"),
    "TIFF of 2^31 strips": (".tif", STRIPS, "broken in its header"),
    "as large as can be said": (".png", png(2**31 - 1, 2**31 - 1, 2), "far beyond the limit"),
    "65,500 square": (".png", png(65_500, 65_500, 2), "far beyond the limit"),
    "one pixel wide": (".png", png(1, 2**31 - 1, 2), "far beyond the limit"),
    "no pixel wide": (".png", png(0, 16, 2), "broken in its header"),
    "a BMP as large": (".bmp", WIDE_BMP + bytes(24), "far beyond the limit"),
    "text that unpacks to 30 MB": (
        ".png",
        png(16, 16, 2, RGB_ROWS, part(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 30_000_000, 1))),
        "too large",
    ),
    "colours that unpack to 30 MB": (
        ".png",
        png(16, 16, 2, RGB_ROWS, part(b"iCCP", b"k\0\0" + zlib.compress(b"a" * 30_000_000, 1))),
        "too large",
    ),
    "PostScript": (".jpg", b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage", "not an image"),
    "SVG": (".jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "PPM": (".jpg", b"P6 16 16 255\n" + PIXELS.tobytes(), "not an image"),
    "Photoshop": (".jpg", b"8BPS" + bytes(60), "not an image"),
    "an icon": (".jpg", b"\0\0\1\0\1\0" + bytes(50), "not an image"),
    "a pickle": (".jpg", pickle.dumps(print), "not an image"),
    "empty": (".jpg", b"", "empty"),
    "a signature": (".png", PNG[:8], "broken in its header"),
}
MASKS: dict[str, tuple[str, bytes, str]] = {
    "cut": (".png", MASK[: len(MASK) // 2], "cut off"),
    "empty": (".png", b"", "empty"),
    "a page": (".png", b"<!DOCTYPE html>", "a web page"),
    "a pointer": (".png", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "NaN": (".tif", packed(np.full((16, 16), np.nan, np.float32), "TIFF"), "NaN"),
    "as large as can be said": (".png", png(2**31 - 1, 2**31 - 1, 0), "far beyond the limit"),
    "a part whose sum is wrong": (
        ".png",
        MASK[:29] + bytes([MASK[29] ^ 1]) + MASK[30:],
        "the check sum of its IHDR chunk is wrong",
    ),
    "16 bit": (".png", packed(IDS.astype(np.uint16), "PNG"), FINE),
    "1 bit": (".png", packed(Image.fromarray(IDS > 1), "PNG"), FINE),
    "with alpha": (".png", packed(Image.fromarray(IDS).convert("LA"), "PNG"), FINE),
    "colours with alpha": (".png", packed(Image.fromarray(PIXELS).convert("RGBA"), "PNG"), FINE),
    "JPEG": (".jpg", packed(IDS * 60, "JPEG"), FINE),
    "CMYK": (".jpg", packed(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), FINE),
    "GIF": (".gif", packed(IDS, "GIF"), FINE),
    "TIFF, packed": (".tif", packed(IDS, "TIFF", compression="tiff_lzw"), FINE),
    "a palette too short": (".png", png(16, 16, 3, GREY_ROWS, part(b"PLTE", bytes(6))), FINE),
    "no palette": (".png", png(16, 16, 3, GREY_ROWS), FINE),
}
PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "a folder with the name of an image"),
    "a circle": (lambda path: path.symlink_to(path.name), "a link that leads in a circle"),
    "to nowhere": (lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
}
NAMES = (
    *(b"\xff\xfe", b"a\nb", b"\x1b[31mred", b"n" * 250, "\u202egnp".encode(), b"=1+1", b"-rf"),
    *(b" ", b"'; DROP", b"%s%n", "e\u0301".encode(), b"{{7*7}}", b"<b>", b"NUL"),
)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, float]:
    folder = voc(tmp_path_factory.mktemp("odd"), 3)
    shutil.rmtree(folder / "ImageSets")
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    for number, (suffix, data, _) in enumerate(IMAGES.values()):
        (images / f"image{number}{suffix}").write_bytes(data)
        (masks / f"image{number}.png").write_bytes(MASK)
    for number, (suffix, data, _) in enumerate(MASKS.values()):
        (images / f"mask{number}.jpg").write_bytes(JPEG)
        (masks / f"mask{number}{suffix}").write_bytes(data)
    for number, (make, _) in enumerate(PLACES.values()):
        make(images / f"place{number}.jpg")
        (masks / f"place{number}.png").write_bytes(MASK)
        (images / f"place-of-mask{number}.jpg").write_bytes(JPEG)
        make(masks / f"place-of-mask{number}.png")
    for raw in NAMES:
        (images / os.fsdecode(raw + b".jpg")).write_bytes(JPEG)
        (masks / os.fsdecode(raw + b".png")).write_bytes(MASK)
    start = time.process_time()
    return segdoctor.scan(folder, deep=True), time.process_time() - start


def reasons(report: Report, stem: str) -> list[str]:
    return [p.reason for p in report.raw.problems if Path(p.path).stem == stem]


@pytest.mark.parametrize("name", IMAGES)
def test_an_odd_image(name: str, scanned: tuple[Report, float]) -> None:
    _told(scanned[0], f"image{list(IMAGES).index(name)}", IMAGES[name][2], "image: ")


@pytest.mark.parametrize("name", MASKS)
def test_an_odd_mask(name: str, scanned: tuple[Report, float]) -> None:
    _told(scanned[0], f"mask{list(MASKS).index(name)}", MASKS[name][2], "mask: ")


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_file(name: str, scanned: tuple[Report, float]) -> None:
    number = list(PLACES).index(name)
    _told(scanned[0], f"place{number}", PLACES[name][1], "image: ")
    _told(scanned[0], f"place-of-mask{number}", PLACES[name][1], "mask: ")


def _told(report: Report, stem: str, words: str, which: str) -> None:
    found = reasons(report, stem)
    assert len(found) == bool(words), found
    assert all(line.startswith(which) and words in line and "\n" not in line for line in found)


def test_all_are_scanned_and_soon(scanned: tuple[Report, float]) -> None:
    report, seconds = scanned
    count = 3 + len(IMAGES) + len(MASKS) + 2 * len(PLACES) + len(NAMES)
    assert len(report.raw.pairs) == count
    assert seconds < 5
    assert not [outcome for outcome in report.outcomes if outcome.status == "crashed"]
    broken = {Path(problem.path).stem for problem in report.raw.problems}
    assert not broken & {os.fsdecode(raw) for raw in NAMES}
