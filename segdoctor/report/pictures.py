"""Examples as small images: the picture, its label, and predictions before and after."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.trial_facts import Picture
from segdoctor.measures.drawing import voc_palette
from segdoctor.report.arrangement import class_name
from segdoctor.report.report import Report

VOID = 255
_SIDE = 288
_MOST = 4
_MOST_PREDICTIONS = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a row, as RGB pixels, and its caption."""

    caption: str
    pixels: Any  # uint8 array (H, W, 3)


@dataclass(frozen=True, slots=True)
class Row:
    """One example: image, label, predictions."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Swatch:
    """One class of the key: its name and its colour (``""`` for void, which is hatched)."""

    name: str
    colour: str


def void_label(report: Report) -> int | None:
    """The id that is drawn as void: ``measured["void"]``, else 255; None where there is none."""
    given = report.measured.get("void", VOID)
    return None if given is None or given is False else int(given)


def class_colours() -> tuple[str, ...]:
    """The colour of each id from 0 to 255, as VOC's own colour map has it."""
    return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in voc_palette().tolist())


def rows(report: Report, most: int = _MOST) -> tuple[Row, ...]:
    """The first ``most`` examples, each with the first and the last predictions."""
    void = void_label(report)
    return tuple(_row(picture, void) for picture in _examples(report)[:most])


def pairs(report: Report, most: int = _MOST) -> tuple[Row, ...]:
    """The pairs of image and mask that are to be looked at."""
    return tuple(
        Row(
            clean(picture.name, 80),
            tuple(Tile(clean(words, 90), _photo(tile)) for words, tile in picture.tiles.items()),
        )
        for picture in [picture for picture in report.pictures if picture.tiles][:most]
    )


def _examples(report: Report) -> list[Picture]:
    return [picture for picture in report.pictures if not picture.tiles]


def _row(picture: Picture, void: int | None) -> Row:
    tiles = [Tile("image", _photo(picture.image)), Tile("label", _classes(picture.label, void))]
    for name in _kept(list(picture.predictions)):
        caption = f"prediction: {clean(name, 60)}"
        pixels = _classes(picture.predictions[name], void)
        tiles.append(Tile(caption, _pale(pixels, picture.label, void)))
    return Row(clean(picture.name, 80), tuple(tiles))


def _kept(names: list[str]) -> list[str]:
    return names if len(names) <= _MOST_PREDICTIONS else [names[0], *names[1 - _MOST_PREDICTIONS :]]


def key(report: Report, most: int = _MOST) -> tuple[Swatch, ...]:
    """The classes that occur in the examples shown, and void."""
    import numpy as np

    void = void_label(report)
    present: set[int] = set()
    for picture in _examples(report)[:most]:
        arrays: Iterable[Any] = (
            picture.label,
            *(picture.predictions[name] for name in _kept(list(picture.predictions))),
        )
        for array in arrays:
            present.update(int(i) for i in np.unique(np.asarray(array)))
    colours = class_colours()
    swatches = [
        Swatch(class_name(report, i), colours[i % 256]) for i in sorted(present - {void})[:24]
    ]
    return (
        (*swatches, Swatch("void; predictions there are pale", ""))
        if void in present
        else tuple(swatches)
    )


def png_of(pixels: Any) -> bytes:
    """RGB pixels as PNG."""
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format="PNG", optimize=True)
    return sink.getvalue()


def _photo(array: Any) -> Any:
    import numpy as np
    from PIL import Image

    pixels = np.asarray(array)
    pixels = np.clip(np.nan_to_num(pixels.astype(float)), 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(_size(*image.size), Image.Resampling.BILINEAR))


def _classes(array: Any, void: int | None) -> Any:
    import numpy as np
    from PIL import Image

    ids = _enlarged(array)
    pixels = voc_palette()[ids % 256]
    if void is not None:
        down, right = np.indices(ids.shape)
        stripe = np.where((down + right) % 8 < 2, 150, 255).astype(np.uint8)
        pixels = np.where((ids == void)[..., None], stripe[..., None], pixels)
    return np.asarray(Image.fromarray(pixels))


def _pale(pixels: Any, label: Any, void: int | None) -> Any:
    """A prediction, pale where nobody drew a label: there it is neither right nor wrong."""
    import numpy as np

    ids = _enlarged(label)
    if void is None or ids.shape != pixels.shape[:2]:
        return pixels
    pale = (0.2 * pixels + 0.8 * 236).astype(np.uint8)
    return np.where((ids == void)[..., None], pale, pixels)


def _enlarged(array: Any) -> Any:
    """Ids at the shown size: repeated, never mixed; each pixel takes the one it falls on."""
    import numpy as np

    ids = np.asarray(array)
    ids = (ids[..., 0] if ids.ndim == 3 else ids).astype(np.int64)
    height, width = ids.shape
    columns, lines = _size(width, height)
    return ids[np.arange(lines) * height // lines][:, np.arange(columns) * width // columns]


def _size(width: int, height: int) -> tuple[int, int]:
    """The shown ``(width, height)``: the longer side is ``_SIDE`` pixels."""
    scale = _SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
