"""Whether a loss knows which entry belongs to which class, or sees one long list of numbers."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

Facts = dict[str, Fact]
_EVEN = 1e-3
"""Relative difference up to which two gradients are one number."""


def shuffle_questions(
    sheet: Sheet, form: str, scale: str = "probabilities", depends_on: str = "batch"
) -> Generator[Question, Answer, Facts]:
    """Shuffle the entries of each image jointly over pixels *and* classes.

    Where that says nothing (of ids, and behind a softmax of the loss's own) the gradient is looked
    at: see :func:`_one_ratio`.

    Returns
    -------
    dict
        ``"forgets_classes"``: the value stays though the loss is no mean of per-entry terms (mean
        squared error and binary cross-entropy are). ``"normalises_pixels"``: beyond that, scaling
        or raising *all* entries of an image leaves it: a softmax or a quotient over the long list.
    """
    if sheet.channels == 1:
        return {}
    far = depends_on in ("image", "batch")
    if form != "BHWC":
        found = yield from _one_list_questions(sheet, form)
        return found or (yield from _one_ratio(sheet, form, scale, far))
    soft, labels = sheet.soft(), sheet.labels(form)
    rng = np.random.default_rng(4)
    order = rng.permutation(soft[0].size)

    def mixed(array: Array) -> Array:
        return array.reshape(len(array), -1)[:, order].reshape(array.shape)

    plain = yield Question(labels, soft, "soft, before the shuffle")
    shuffled = yield Question(mixed(labels), mixed(soft), "entries shuffled over pixels, classes")
    if plain.value is None or differ(plain.value, shuffled.value):
        found = yield from _one_ratio(sheet, form, scale, far)
        return {"forgets_classes": False, **found}
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


def _one_ratio(
    sheet: Sheet, form: str, scale: str, far: bool
) -> Generator[Question, Answer, Facts]:
    """Whether the gradient knows only two numbers an image: one at labels, one elsewhere.

    So it is of a Dice over all entries together; by class there would be two for each class, and
    a cross-entropy has another one for each prediction. Behind a softmax of the loss's own the
    gradient of the probabilities is had, but for a constant a pixel, by dividing by them. Where
    no pixel depends on a ``far`` one, it is the mean probability of the label as well, which is
    what a Dice over all entries of a softmax comes to.
    """
    scores = sheet.scores()
    y_pred = scores if scale == "logits" else sheet.soft()
    gradient = gradient_of((yield Question(sheet.labels(form), y_pred, f"one ratio, {form}")))
    if gradient is None or not np.isfinite(gradient).all():
        return {}
    if scale == "logits":
        powers = np.exp(scores.astype(np.float64))
        gradient = gradient / (powers / powers.sum(axis=-1, keepdims=True))
    label = sheet.one_hot(sheet.ids) > 0
    for image, at in zip(gradient, label, strict=True):
        others = image[~at].reshape(-1, sheet.channels - 1)
        first, second = image[at] - others.mean(axis=-1), others - others.mean(-1, keepdims=True)
        if scale != "logits":
            second = others - others.mean()
        size = np.abs(first).max()
        if not size or np.ptp(first) > _EVEN * size or np.abs(second).max() > _EVEN * size:
            return {}
    facts: Facts = {"one_ratio": True}
    return {**facts, "forgets_classes": True} if far else facts


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
