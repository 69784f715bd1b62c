"""One mask as it is stored: its ids or colours, counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.data_facts import MaskFacts
from segdoctor.measures.as_fed import fine_ids
from segdoctor.measures.drawing import VOID, voc_palette
from segdoctor.measures.palettes import decode_colours, decode_luminances
from segdoctor.measures.void_ring import restored
from segdoctor.sources.voc.image_file import (
    LIMIT_PIXELS,
    UnreadableError,
    opened_image,
)
from segdoctor.sources.voc.quick_file import quick_open, read_part
from segdoctor.sources.voc.quick_png import LARGEST_FILE, QuickMask, quick_mask

_VOC_BYTES = voc_palette().tobytes()
_COLOURS_KEPT = 256
_FRACTIONS_KEPT = 256
_COLOUR = {"RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"}
OTHER_COLOURS = "other"


def read_mask(path: str, *, limit: int = LIMIT_PIXELS) -> MaskFacts:
    """Decode a mask wholly and count what is in it.

    Raises
    ------
    UnreadableError
        The file is not a sound image, or its values are not whole numbers.
    """
    quick = _quick(path, limit)
    if quick is not None:
        return _quick_facts(path, quick)
    with opened_image(path, limit=limit) as image:
        return _facts(path, image)


def look_at_mask(path: str, *, limit: int = LIMIT_PIXELS) -> tuple[MaskFacts, NDArray[np.integer]]:
    """The same, and the ids (H, W); of a colour mask its luminance."""
    quick = _quick(path, limit)
    if quick is not None:
        return _quick_facts(path, quick), quick.ids()
    with opened_image(path, limit=limit) as image:
        facts = _facts(path, image)
        if image.mode in _COLOUR:
            return facts, np.asarray(image.convert("RGB").convert("L"))
        plane = _plane(image)
        if plane.dtype == np.uint8:
            return facts, plane.astype(np.uint8)
        ids = fine_ids(plane)
        return facts, plane.astype(np.int32) if ids is None else ids


def _quick(path: str, limit: int) -> QuickMask | None:
    with quick_open(path) as opened:
        if opened is None or opened[1].st_size > LARGEST_FILE:
            return None
        try:
            data = read_part(opened[0], opened[1].st_size)
        except OSError:  # the long way has the words for it
            return None
    return quick_mask(data, limit)


def _quick_facts(path: str, quick: QuickMask) -> MaskFacts:
    histogram = quick.histogram()
    palette = quick.mode == "P" and _has_voc_palette(quick.palette, histogram)
    return MaskFacts(path, quick.mode, quick.size, histogram, {}, palette)


def _facts(path: str, image: Image.Image) -> MaskFacts:
    mode = image.mode
    shown = f"{mode} JPEG" if image.format == "JPEG" else mode
    image.load()
    if mode in {"P", "L"}:
        histogram = {i: count for i, count in enumerate(image.histogram()) if count}
        stored = image.getpalette("RGB") if mode == "P" else None
        palette = stored is not None and _has_voc_palette(bytes(stored), histogram)
        return MaskFacts(path, shown, image.size, histogram, {}, palette)
    if mode in _COLOUR:
        colours = _colours(image if mode == "RGB" else image.convert("RGB"))
        grey = _grey_ids(colours)
        return MaskFacts(path, shown, image.size, grey, {} if grey else colours)
    whole, fractions = _count(_plane(image))
    return MaskFacts(path, shown, image.size, whole, fractions=fractions)


def read_ids(path: str, *, decode: str = "stored", limit: int = LIMIT_PIXELS) -> NDArray[np.int32]:
    """The ids of a mask, shape (H, W).

    ``decode="stored"``: palette indices, or grey values; of a colour mask its luminance, which is
    what loaders make of it. ``decode="palette"``: colours and luminances of Pascal VOC's palette
    become ids again. ``decode="void 20"``: thin rings of class 20 become void (255) again.
    """
    with opened_image(path, limit=limit) as image:
        image.load()
        if image.mode in _COLOUR:
            colour = image if image.mode == "RGB" else image.convert("RGB")
            if decode == "palette":
                return decode_colours(np.asarray(colour))
            return np.asarray(colour.convert("L"), dtype=np.int32)
        ids = _plane(image).astype(np.int32)
    if decode == "palette" and image.mode != "P":
        return decode_luminances(ids)
    if decode.startswith("void "):
        return restored(ids, int(decode.removeprefix("void ")), VOID)
    return ids


def _plane(image: Image.Image) -> NDArray[np.generic]:
    """The values of a mask of one channel, alpha left out, shape (H, W)."""
    if image.mode in {"PA", "LA", "La"}:
        return np.asarray(image)[..., 0]
    return np.asarray(image)


def _count(values: NDArray[np.generic]) -> tuple[dict[int, int], dict[float, int]]:
    """``(id → pixels, value that is no whole number → pixels)``."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UnreadableError("its values are not all numbers (NaN or Inf)")
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    whole: dict[int, int] = {}
    fractions: dict[float, int] = {}
    for value, count in zip(found[order].tolist(), counts[order].tolist(), strict=True):
        if value == int(value):
            whole[int(value)] = count
        elif len(fractions) < _FRACTIONS_KEPT:
            fractions[float(value)] = count
    return dict(sorted(whole.items())), fractions


def _has_voc_palette(colours: bytes, histogram: Mapping[int, int]) -> bool:
    """Whether the palette gives every id that occurs, and the ids 1 and 2, VOC's colour."""
    if colours == _VOC_BYTES:
        return True
    used = {*histogram, 1, 2}
    return all(
        len(colours) >= 3 * i + 3 and colours[3 * i : 3 * i + 3] == _VOC_BYTES[3 * i : 3 * i + 3]
        for i in used
    )


def _colours(image: Image.Image) -> dict[str, int]:
    """Colours of an RGB image, the most frequent first."""
    counted = [(count, _parts(colour)) for count, colour in image.getcolors(4096) or ()]
    if not counted:
        pixels = np.asarray(image).reshape(-1, 3).astype(np.int64)
        codes, counts = np.unique(pixels @ np.array([65536, 256, 1]), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_COLOURS_KEPT]
        counted = [
            (int(counts[i]), (int(codes[i]) >> 16, int(codes[i]) >> 8 & 255, int(codes[i]) & 255))
            for i in order
        ]
    counted.sort(key=lambda item: (-item[0], item[1]))
    kept: dict[str, int] = {}
    for count, colour in counted[:_COLOURS_KEPT]:
        kept[",".join(str(part) for part in colour)] = count
    rest = image.size[0] * image.size[1] - sum(kept.values())
    if rest:
        kept[OTHER_COLOURS] = rest
    return kept


def _parts(colour: object) -> tuple[int, ...]:
    return tuple(int(part) for part in colour) if isinstance(colour, tuple) else ()


def _grey_ids(colours: Mapping[str, int]) -> dict[int, int]:
    """The ids of a mask whose three channels are equal everywhere, else {}."""
    ids: dict[int, int] = {}
    for colour, count in colours.items():
        parts = colour.split(",")
        if len(set(parts)) != 1 or colour == OTHER_COLOURS:
            return {}
        ids[int(parts[0])] = count
    return ids
