"""Which pixels a pixel's gradient depends on: itself, a neighbourhood, a row, an image, a batch.

A loss may look at one pixel (cross-entropy), at its surroundings (edges, SSIM), at a whole image or
batch (Dice). No sound loss looks at exactly one row, one column, or the same place in the other
images: that is a sum, mean or softmax over a wrong axis.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

_CHANGED = 1e-5
"""Change of a gradient, relative to the largest one, from which on it is no rounding."""

Facts = dict[str, Fact]
_AXES = {1: "column", 2: "row"}


def locality_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Change the prediction, then the label, of one pixel at a time; see whose gradient moves.

    Returns
    -------
    dict
        ``"depends_on"``: ``"pixel"``, ``"image"``, ``"batch"``, ``"some pixels"``, or what only a
        wrong axis gives: ``"row"``, ``"column"``, ``"other images"``, … with ``"wrong_axes"``, the
        axes' numbers. Empty where there is no gradient.
    """
    spatial = sheet.ids.ndim - 1
    soft, constant = sheet.soft(), np.zeros_like(sheet.ids)
    facts: Facts = {}
    for what, ids in (("prediction", sheet.ids), ("label", constant)):
        labels = sheet.encode(ids, form)
        base = gradient_of((yield Question(labels, soft, f"{what}s as they are, {form}")))
        if base is None or not np.any(base):
            continue
        seen = []
        for pixel in _two_pixels(sheet.ids.shape):
            other = _with_another(sheet, form, soft, ids, pixel, what)
            moved = gradient_of((yield Question(*other, f"one pixel's {what} changed, {form}")))
            if moved is not None:
                seen.append(_lattice(base, moved, pixel))
        if len(seen) != 2 or seen[0] != seen[1] or seen[0] is None:
            facts.setdefault("depends_on", "some pixels")
            continue
        axes = seen[0]
        facts.setdefault("depends_on", _in_words(axes, spatial))
        if _is_wrong(axes, spatial):
            facts["depends_on"] = _in_words(axes, spatial)
            facts["wrong_axes"] = ", ".join(str(axis) for axis in axes)
            facts["mixed_through"] = what
            return facts
    return facts


def _two_pixels(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One early and one late pixel, of different images, rows and columns."""
    return tuple(min(1, n - 1) for n in shape[:1]) + (0,) * (len(shape) - 1), (
        0,
        *(n - 2 if n > 1 else 0 for n in shape[1:]),
    )


def _with_another(
    sheet: Sheet, form: str, soft: Array, ids: Array, pixel: tuple[int, ...], what: str
) -> tuple[Array, Array]:
    """``(y_true, y_pred)`` with another prediction or another label at one pixel."""
    if what == "label":
        changed = ids.copy()
        changed[pixel] = (changed[pixel] + 1) % max(sheet.channels, 2)
        return sheet.encode(changed, form), soft
    moved = soft.copy()
    # Sharpened, not permuted: a softmax over everything does not see a permutation.
    sharp = soft[pixel] ** 2
    moved[pixel] = sharp / sharp.sum() if sheet.channels > 1 else sharp
    return sheet.encode(ids, form), moved


def _lattice(
    before: NDArray[np.float64], after: NDArray[np.float64], pixel: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The axes along which *every* pixel's gradient moved, and none beside; None for another
    pattern."""
    apart = np.abs(after - before).max(axis=-1)
    moved = apart > _CHANGED * np.abs(before).max()
    moved[pixel] = True
    for size in range(moved.ndim + 1):
        for axes in combinations(range(moved.ndim), size):
            expected = np.zeros_like(moved)
            expected[tuple(slice(None) if a in axes else p for a, p in enumerate(pixel))] = True
            if np.array_equal(moved, expected):
                return axes
    return None


def _is_wrong(axes: tuple[int, ...], spatial: int) -> bool:
    """Some axes of an image without the others, or other images without the pixel's own."""
    inside = [axis for axis in axes if axis > 0]
    return bool(axes) and len(inside) != spatial


def _in_words(axes: tuple[int, ...], spatial: int) -> str:
    inside = [axis for axis in axes if axis > 0]
    if not axes:
        return "pixel"
    if len(inside) == spatial:
        return "batch" if 0 in axes else "image"
    if not inside:
        return "other images"
    named = " and ".join(_AXES.get(axis, f"axis {axis}") for axis in inside)
    return f"{named} of every image" if 0 in axes else named


def comparing_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Whether the loss compares classes at all.

    Where pixels are normalised over the image in the place of the classes, raising (or scaling) one
    class everywhere leaves the loss as it is.
    """
    if sheet.channels == 1:
        return {}
    labels, rng = sheet.labels(form), np.random.default_rng(3)
    by_class = rng.uniform(0.5, 2.0, size=sheet.channels).astype(np.float32)
    scores, soft, other_way = sheet.scores(), sheet.soft(), by_class[::-1]
    for name, plain, moved, again, control in (
        ("raised", scores, scores + by_class, scores + other_way, sheet.scores(factor=2.0)),
        ("scaled", soft, soft * by_class, soft * other_way, sheet.near(0.5)),
    ):
        values = []
        for y_pred in (plain, moved, again, control):
            answer = yield Question(labels, y_pred, f"each class {name} by its own, {form}")
            values.append(answer.value)
        first, second, third, other = values
        stays = not differ(first, second) and not differ(first, third)  # twice is no accident
        if stays and other is not None and differ(first, other):
            return {"classes_compared": False}
    return {"classes_compared": True}
