"""What Pascal VOC's palette becomes in a careless loader, and how such values are recognised.

A palette PNG stores ids. Loaders that expand the palette give colours (TensorFlow, OpenCV), its
luminance (``channels=1``, ``convert("L")``) or its red channel (``mask[..., 0]``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.drawing import VOID, voc_palette

VOC_CLASSES = 21
OTHER_PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "Cityscapes": (
        *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
        *((153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)),
        *((70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100)),
        *((0, 80, 100), (0, 0, 230), (119, 11, 32)),
    ),
    "CamVid": (
        *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192)),
        *((128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ),
}
"""Colours of other published sets, by class id; black is void in both."""
_USED = (*range(VOC_CLASSES), VOID)
_LARGE_STEP, _STEPS = 5, 3  # of scaled ids without a class list: least step, and fewest of them
_FEW_CLASSES = 8  # of more, values spread over 0 … 255 lie too close to be told by a tolerance


def luminances() -> dict[int, int]:
    """Id → luminance ``(299 R + 587 G + 114 B) / 1000``, rounded, of VOC's 21 colours and void."""
    palette = voc_palette().astype(np.int64)
    grey = (palette @ np.array([299, 587, 114]) + 500) // 1000
    return {i: int(grey[i]) for i in _USED}


def red_channels() -> dict[int, int]:
    """Id → red value of VOC's 21 colours and void."""
    palette = voc_palette()
    return {i: int(palette[i, 0]) for i in _USED}


def _lowest(table: Mapping[int, int]) -> dict[int, int]:
    """Value → the lowest id that has it."""
    inverse: dict[int, int] = {}
    for label, value in table.items():
        inverse.setdefault(value, label)
    return inverse


def decode_luminances(values: NDArray[np.generic]) -> NDArray[np.int32]:
    """Ids of luminances, any shape; unknown values become void.

    Ids 1 and 16 share a luminance, as do 3 and 18: they come back as 1 and 3. Only reading the
    palette's indices tells them apart.
    """
    table = np.full(256, VOID, dtype=np.int32)
    for value, label in _lowest(luminances()).items():
        table[value] = label
    whole = np.rint(np.asarray(values, dtype=np.float64)).astype(np.int64)
    inside = (whole >= 0) & (whole < 256)
    ids: NDArray[np.int32] = np.where(inside, table[np.clip(whole, 0, 255)], VOID).astype(np.int32)
    return ids


def decode_colours(colours: NDArray[np.generic]) -> NDArray[np.int32]:
    """Ids of VOC colours, shape (…, 3) → (…); unknown colours become void."""
    palette = voc_palette().astype(np.int64)
    table = {int(code): i for i, code in enumerate(palette @ np.array([65536, 256, 1]))}
    whole = np.rint(np.asarray(colours, dtype=np.float64)).astype(np.int64)
    codes, inverse = np.unique(whole @ np.array([65536, 256, 1]), return_inverse=True)
    ids = np.array([table.get(int(code), VOID) for code in codes], dtype=np.int32)
    decoded: NDArray[np.int32] = ids[inverse.reshape(whole.shape[:-1])]
    return decoded


def undo_palette(y: NDArray[np.generic]) -> NDArray[np.int32]:
    """Ids (B, H, W) of labels that are colours (B, H, W, 3), 0–255 or 0–1, or luminances
    (B, H, W) or (B, H, W, 1): what the patch ``labels.decode`` = ``palette`` does."""
    if y.ndim == 4 and y.shape[-1] == 3:
        scale = 255.0 if y.dtype.kind == "f" and float(y.max(initial=0)) <= 1 else 1.0
        return decode_colours(np.asarray(y, dtype=np.float64) * scale)
    return decode_luminances(y[..., 0] if y.ndim == 4 else y)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the values are. ``share`` is the share of the entries other than 0 that this explains;
    ``ids`` maps each value explained to its class id (the lowest where several share it);
    ``factor`` times a value is its id, where it is a matter of scale."""

    what: str
    share: float
    ids: Mapping[float, int] = field(default_factory=dict)
    factor: float | None = None
    unexplained: tuple[float, ...] = ()


def _by_table(
    what: str, histogram: Mapping[float, int], table: Mapping[int, int]
) -> Recognised | None:
    inverse = _lowest(table)
    other_than_zero = {value: count for value, count in histogram.items() if value != 0}
    known = {value: inverse[int(value)] for value in other_than_zero if value in inverse}
    total = sum(other_than_zero.values())
    if not known or not total:
        return None
    share = sum(other_than_zero[value] for value in known) / total
    left = tuple(value for value in other_than_zero if value not in known)
    return Recognised(what, share, known, None, left)


def as_luminances(histogram: Mapping[float, int]) -> Recognised | None:
    """The values as luminances of VOC's palette; the caller judges ``share`` and ``ids``."""
    return _by_table("luminance of VOC's palette", histogram, luminances())


def as_red_channel(histogram: Mapping[float, int]) -> Recognised | None:
    """The values as red channel of VOC's palette (0, 64, 128, 192, 224)."""
    return _by_table("red channel of VOC's palette", histogram, red_channels())


def as_other_palette(histogram: Mapping[float, int]) -> Recognised | None:
    """The values as luminances or red channel of another published palette: the one that
    explains most of them."""
    found = []
    for name, palette in OTHER_PALETTES.items():
        colours = np.array(palette, np.int64)
        grey = (colours @ np.array([299, 587, 114]) + 500) // 1000
        for what, values in (("luminance", grey), ("red channel", colours[:, 0])):
            table = {label: int(value) for label, value in enumerate(values)}
            known = _by_table(f"{what} of the palette of {name}", histogram, table)
            if known is not None:
                found.append(known)
    return max(found, key=lambda known: (known.share, len(known.ids)), default=None)


def as_colours(colours: Mapping[str, int]) -> Recognised | None:
    """Colours ``"r,g,b"`` → entries, as VOC's colours; ``ids`` is keyed by ``65536 r + 256 g + b``.

    Returns None where all colours are grey: then the three channels say the same.
    """
    palette = voc_palette().astype(np.int64) @ np.array([65536, 256, 1])
    table = {int(palette[i]): i for i in _USED}
    known: dict[float, int] = {}
    explained = total = 0
    unexplained = []
    coloured = False
    for colour, count in colours.items():
        parts = [int(part) for part in colour.split(",") if part.isdigit()]
        if len(parts) != 3:  # the rest of a mask of very many colours
            total += count
            coloured = True
            continue
        coloured = coloured or len(set(parts)) > 1
        code = parts[0] * 65536 + parts[1] * 256 + parts[2]
        if code == 0:
            continue
        total += count
        if code in table:
            known[float(code)] = table[code]
            explained += count
        else:
            unexplained.append(float(code))
    if not coloured or not total:
        return None
    return Recognised("VOC's colours", explained / total, known, None, tuple(unexplained))


def as_scaled(
    histogram: Mapping[float, int], classes: int | None, void: float | None
) -> Recognised | None:
    """The values as ids times or divided by one number.

    * fractions that are whole ids when multiplied by 255 (or by ``classes - 1``, ``classes``);
    * two values, 0 and one larger one, where there are at most two classes, or 0 and 255;
    * multiples of one step whose quotients are legal ids and of which some are not, or ids of a
      few classes spread over 0 … 255; where the classes are unknown, of a step of 5 or more.

    ``void`` is left out of the second and third; it is None where it may itself be a scaled id.
    """
    values = sorted(value for value in histogram if value != void)
    if not values or values[0] < 0 or any(not math.isfinite(value) for value in values):
        return None
    if any(value != int(value) for value in values):
        return _divided(histogram, values, classes, void)
    top = int(values[-1])
    if len(values) == 2 and values[0] == 0:
        two_valued = top == 255 or (classes is not None and classes <= 2)
        if top > 1 and two_valued:
            return _scaled(f"0/{top}", histogram, values, 1 / top)
        return None
    if classes is None:
        return _stretched(histogram, values)
    # Of ids and 255 alone, 255 is rather an undeclared void: some other value must be illegal.
    if len(values) < 3 or not any(classes <= v != VOID for v in values):
        return None
    step = math.gcd(*(int(value) for value in values))
    if step > 1 and top // step < classes:
        return _scaled(f"ids × {step}", histogram, values, 1 / step)
    # Spread over 0 … 255 and rounded: 0, 127, 255 of three classes.
    even = VOID / (classes - 1)
    near = all(abs(value - round(value / even) * even) <= 1 for value in values)
    if near and classes <= _FEW_CLASSES and top <= VOID:
        return _scaled(f"ids × 255/{classes - 1}", histogram, values, 1 / even)
    return None


def _stretched(histogram: Mapping[float, int], values: list[float]) -> Recognised | None:
    """Multiples of one large step, where no class list is known: several, and without wide gaps.
    255 may be void beside them."""
    for kept in (values, [value for value in values if value != VOID]):
        step = math.gcd(*(int(value) for value in kept))
        others = sum(value > 0 for value in kept)
        if step >= _LARGE_STEP and others >= _STEPS and 2 * others >= kept[-1] // step:
            return _scaled(f"ids × {step}", histogram, kept, 1 / step)
    return None


def _divided(
    histogram: Mapping[float, int], values: list[float], classes: int | None, void: float | None
) -> Recognised | None:
    if values[-1] > 1:
        return None
    top = classes if classes is not None else VOC_CLASSES
    legal: Collection[int] = {*range(max(top, 2)), VOID}
    for divisor in (VOID, top - 1, top):
        whole = [value * divisor for value in values]
        near = all(abs(value - round(value)) < 1e-3 for value in whole)
        if near and divisor > 1 and all(round(value) in legal for value in whole):
            return _scaled(f"ids / {divisor}", histogram, values, float(divisor))
    return None


def _scaled(
    what: str, histogram: Mapping[float, int], values: list[float], factor: float
) -> Recognised:
    total = sum(count for value, count in histogram.items() if value != 0)
    explained = sum(histogram[value] for value in values if value != 0)
    ids = {value: round(value * factor) for value in values}
    return Recognised(what, explained / total if total else 0.0, ids, factor)


def as_shifted(
    histogram: Mapping[float, int], classes: int | None, void: float | None
) -> Recognised | None:
    """The values as ids that begin at 1: none is 0, and the largest is the number of classes."""
    values = sorted(value for value in histogram if value != void)
    if classes is None or not values or any(value != int(value) for value in values):
        return None
    if values[0] < 1 or values[-1] != classes:
        return None
    total = sum(histogram[value] for value in values)
    ids = {value: int(value) - 1 for value in values}
    return Recognised("ids that begin at 1", 1.0 if total else 0.0, ids)


def class_list(histogram: Mapping[float, int], void: float | None, gaps: float = 0.2) -> int | None:
    """N where the values are a class list 0 … N-1 of their own, with at most a share of ``gaps``
    unused ids; else None."""
    values = [value for value in histogram if value != void]
    if not values or any(value != int(value) or value < 0 for value in values):
        return None
    size = int(max(values)) + 1
    return size if 0 in histogram and size > 1 and len(values) >= (1 - gaps) * size else None
