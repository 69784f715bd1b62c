"""The quick readers say what Pillow says, or nothing."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segdoctor.measures.drawing import draw_scene, voc_palette
from segdoctor.sources.voc.image_file import LIMIT_PIXELS, UnreadableError
from segdoctor.sources.voc.mask_file import look_at_mask, read_mask
from segdoctor.sources.voc.quick_jpeg import HEAD, quick_jpeg
from segdoctor.sources.voc.quick_png import quick_mask

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def png(ids: np.ndarray, mode: str = "P", **options: object) -> bytes:
    picture = Image.fromarray(ids)
    if mode == "P":
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette(voc_palette().tobytes())
    sink = io.BytesIO()
    picture.save(sink, "PNG", **options)
    return sink.getvalue()


def unfiltered(ids: np.ndarray, colour: int = 0) -> bytes:
    """A PNG whose lines are not filtered, as those of VOC."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = ids.shape
    lines = b"".join(b"\0" + row.tobytes() for row in ids)
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    palette = chunk(b"PLTE", voc_palette().tobytes()) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


MASK = draw_scene(np.random.default_rng(0), (90, 130))[1]


@pytest.mark.parametrize("colour", [0, 3])
def test_an_ordinary_mask_is_read_quickly(colour: int) -> None:
    quick = quick_mask(unfiltered(MASK, colour), LIMIT_PIXELS)
    assert quick is not None
    values, counts = np.unique(MASK, return_counts=True)
    assert quick.histogram() == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert quick.size == (130, 90)
    assert (quick.ids() == MASK).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_any_small_mask(height: int, width: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    quick = quick_mask(unfiltered(ids), LIMIT_PIXELS)
    assert quick is not None
    assert (quick.ids() == ids).all()
    assert sum(quick.histogram().values()) == ids.size


def test_what_is_not_ordinary_is_left_to_pillow(tmp_path: Path) -> None:
    colour = np.zeros((9, 9, 3), np.uint8)
    others = {
        "colour": png(colour, "RGB"),
        "16 bits": png(MASK.astype(np.uint16), "I;16"),
        "1 bit": png(MASK > 0, "1"),
        "too large": unfiltered(MASK),
        "no PNG": b"GIF89a",
    }
    for name, data in others.items():
        limit = 100 if name == "too large" else LIMIT_PIXELS
        assert quick_mask(data, limit) is None, name
    filtered = png(np.tile(np.arange(200, dtype=np.uint8), (100, 1)), "L", optimize=True)
    (tmp_path / "m.png").write_bytes(filtered)
    assert sum(read_mask(str(tmp_path / "m.png")).histogram.values()) == 20_000


def test_both_ways_agree(tmp_path: Path) -> None:
    for i, data in enumerate((unfiltered(MASK, 3), unfiltered(MASK), png(MASK), png(MASK, "L"))):
        path = tmp_path / f"{i}.png"
        path.write_bytes(data)
        facts = read_mask(str(path))
        again, ids = look_at_mask(str(path))
        assert facts == again
        assert (ids == MASK).all()
        assert facts.voc_palette == (facts.mode == "P")


@settings(max_examples=200)
@given(st.data())
def test_a_changed_byte_is_named_or_harmless(data: st.DataObject) -> None:
    whole = bytearray(unfiltered(MASK, 3))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        quick = quick_mask(bytes(whole), LIMIT_PIXELS)
    except UnreadableError:
        return
    assert quick is None or (quick.ids() == MASK).all()


@given(st.integers(0, 4000))
def test_a_cut_off_mask_is_not_taken(end: int) -> None:
    whole = unfiltered(MASK, 3)
    assert quick_mask(whole[: min(end, len(whole) - 1)], LIMIT_PIXELS) is None


def test_a_bomb_is_not_inflated() -> None:
    """Ten megabytes of nothing behind a small header."""
    bomb = unfiltered(np.zeros((1, 10_000_000), np.uint8))
    small = bomb.replace(struct.pack(">II", 10_000_000, 1), struct.pack(">II", 10, 1))
    with pytest.raises(UnreadableError, match="IHDR"):  # the check sum tells
        quick_mask(small, LIMIT_PIXELS)


def jpeg_of(data: bytes) -> tuple[str, tuple[int, int]] | None:
    return quick_jpeg(data[:HEAD], data[-2:], len(data), LIMIT_PIXELS)


def coded(mode: str = "RGB", **options: object) -> bytes:
    sink = io.BytesIO()
    Image.new(mode, (37, 21), 5).save(sink, "JPEG", **options)
    return sink.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_an_ordinary_jpeg(mode: str, progressive: bool) -> None:
    assert jpeg_of(coded(mode, progressive=progressive)) == (mode, (37, 21))


def test_jpegs_that_need_pillow() -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert jpeg_of(coded(exif=exif)) is None
    assert jpeg_of(coded()[:-2]) is None
    assert jpeg_of(coded() + b"film") is None
    assert jpeg_of(b"") is None
    assert quick_jpeg(coded(), coded()[-2:], len(coded()), 100) is None
    for end in range(0, len(coded()) - 2, 7):
        assert jpeg_of(coded()[:end]) is None


@given(st.binary(max_size=200))
def test_nonsense_is_not_a_jpeg(data: bytes) -> None:
    jpeg_of(b"\xff\xd8\xff" + data)


@pytest.mark.skipif(not (SHARED / "bad_images").is_dir(), reason="no broken images at hand")
def test_on_strange_files_the_quick_reader_agrees_or_abstains() -> None:
    agreed = 0
    for path in sorted((SHARED / "bad_images").iterdir()):
        data = path.read_bytes()
        found = jpeg_of(data)
        if found is not None:
            with Image.open(path) as image:
                assert (image.mode, image.size) == found, path.name
            agreed += 1
    assert agreed > 5


@pytest.mark.skipif(not (SHARED / "voc").is_dir(), reason="real VOC pairs are not at hand")
def test_genuine_files_are_ordinary() -> None:
    for folder, wanted in (("SegmentationClass", "png"), ("JPEGImages", "jpg")):
        for path in sorted((SHARED / "voc" / folder).glob(f"*.{wanted}"))[:40]:
            data = path.read_bytes()
            found = quick_mask(data, LIMIT_PIXELS) if wanted == "png" else jpeg_of(data)
            assert found is not None
