"""Whether a loss knows which entry belongs to which class, or sees one long list of numbers."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

Facts = dict[str, Fact]


def shuffle_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Shuffle the entries of each image jointly over pixels *and* classes.

    Returns
    -------
    dict
        ``"forgets_classes"``: the value stays though the loss is no mean of per-entry terms (mean
        squared error and binary cross-entropy are). ``"normalises_pixels"``: beyond that, scaling
        or raising *all* entries of an image leaves it: a softmax or a quotient over the long list.
    """
    if sheet.channels == 1:
        return {}
    if form != "BHWC":
        return (yield from _one_list_questions(sheet, form))
    soft, labels = sheet.soft(), sheet.labels(form)
    rng = np.random.default_rng(4)
    order = rng.permutation(soft[0].size)

    def mixed(array: Array) -> Array:
        return array.reshape(len(array), -1)[:, order].reshape(array.shape)

    plain = yield Question(labels, soft, "soft, before the shuffle")
    shuffled = yield Question(mixed(labels), mixed(soft), "entries shuffled over pixels, classes")
    if plain.value is None or differ(plain.value, shuffled.value):
        return {"forgets_classes": False}
    moved = soft.copy()
    moved[(0,) * soft.ndim] *= 1.5
    other = yield Question(labels, moved, "one entry changed")
    if _only_first_entry_moved(plain, other):
        return {"forgets_classes": False, "per_entry": True}
    facts: Facts = {"forgets_classes": True, "normalises_pixels": False}
    half = yield Question(labels, sheet.near(0.5), "less sure")
    for name, y_pred in (("scaled", 2 * soft), ("raised", soft + np.float32(1.0))):
        answer = yield Question(labels, y_pred, f"all entries {name}")
        if not differ(plain.value, answer.value) and differ(plain.value, half.value):
            facts["normalises_pixels"] = True
    return facts


def _one_list_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Of ids, which cannot be shuffled over the classes: whether all entries of an image compete.

    Raising (or scaling) all of an image leaves the loss, raising all of one pixel does not: a
    softmax over the classes does not see the second either.
    """
    labels, soft, scores = sheet.labels(form), sheet.soft(), sheet.scores()
    for name, plain, moved, one in (
        ("raised", scores, scores + np.float32(1.0), scores + np.float32(1.0) * _a_pixel(scores)),
        ("scaled", soft, 2 * soft, soft + soft * _a_pixel(soft)),
    ):
        values = []
        for what, y_pred in (("none", plain), ("all", moved), ("one pixel", one)):
            asked = np.asarray(y_pred, np.float32)
            answer = yield Question(labels, asked, f"{what} {name}, {form}")
            values.append(answer.value)
        none, all_, pixel = values
        if none is not None and not differ(none, all_) and differ(none, pixel):
            return {"forgets_classes": True, "normalises_pixels": True}
    return {}


def _a_pixel(array: Array) -> Array:
    """1 at one pixel of the first image, 0 elsewhere."""
    mark = np.zeros_like(array)
    mark[(0,) * (array.ndim - 1)] = 1
    return mark


def _only_first_entry_moved(plain: Answer, other: Answer) -> bool:
    before, after = gradient_of(plain), gradient_of(other)
    if before is None or after is None:
        return False
    moved = np.abs(after - before) > 1e-5 * np.abs(before).max(initial=0.0)
    moved[(0,) * moved.ndim] = False
    return not moved.any()
