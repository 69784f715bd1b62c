"""Asks a loss what it does with void, in every way that void is written into labels."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import differ, finite, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

VOID_IDS = (255, -1)
"""Label values that are asked for as void, beside the id just behind the last class."""

Treatments = dict[str, str]


def void_questions(
    sheet: Sheet, form: str, others: tuple[int, ...] = ()
) -> Generator[Question, Answer, Treatments]:
    """Ask how void is treated in one form of labels; ``others``: further ids that are asked for.

    Returns
    -------
    dict
        ``"zero_rows"``, ``"rows_255"`` (one-hot) or ``"value_255"``, … (ids) to ``"ignored"``
        (gradient exactly zero and value unmoved), ``"gradient"``, ``"moves the value"``,
        ``"raises"``, ``"not finite"`` or ``"no gradient anywhere"``.
    """
    found: Treatments = {}
    if form == "BHWC" and sheet.channels > 1:
        for name, fill in (("zero_rows", 0.0), ("rows_255", 255.0)):
            labels = sheet.labels(form).copy()
            labels[sheet.void] = fill
            found[name] = yield from _treatment(sheet, labels, f"{name}, {form}")
        return found
    behind = sheet.channels if sheet.channels > 1 else 2
    for value in dict.fromkeys((*VOID_IDS, behind, *others)):
        ids = np.where(sheet.void, value, sheet.ids)
        labels = sheet.encode(ids, form)
        found[f"value_{value}"] = yield from _treatment(sheet, labels, f"void {value}, {form}")
    return found


def unused_id(channels: int, others: tuple[int, ...]) -> int:
    """An id that is no class, no usual void, and none of ``others``."""
    taken = {*VOID_IDS, channels, *others}
    return next(value for value in range(max(channels, 2) + 3, 10**6) if value not in taken)


def _treatment(sheet: Sheet, labels: Array, name: str) -> Generator[Question, Answer, str]:
    """``"ignored"`` (exactly), ``"gradient"``, ``"moves the value"``, ``"raises"``, …"""
    soft = sheet.soft()
    answer = yield Question(labels, soft, name)
    if answer.error:
        return "raises"
    if not finite(answer):
        return "not finite"
    gradient = gradient_of(answer)
    if gradient is None or not np.any(gradient[~sheet.void]):
        return "no gradient anywhere"
    if np.any(gradient[sheet.void]):
        return "gradient"
    moved = soft.copy()
    # Not a permutation alone: label smoothing counts all channels alike.
    squared = np.roll(soft[sheet.void], 1, axis=-1) ** 2
    moved[sheet.void] = (
        squared / squared.sum(axis=-1, keepdims=True) if sheet.channels > 1 else 0.25
    )
    other = yield Question(labels, moved, f"{name}, prediction at void changed")
    return "moves the value" if differ(answer.value, other.value) else "ignored"


def all_void_question(sheet: Sheet, form: str) -> Generator[Question, Answer, Treatments]:
    """A crop that is nothing but void: ``{"not_finite": …}`` where the loss is no number."""
    ids = np.full_like(sheet.ids, 255)
    labels = sheet.encode(ids, form) if form != "BHWC" else np.full_like(sheet.onehot, 255.0)
    answer = yield Question(labels, sheet.soft(), "nothing but void")
    if answer.error or finite(answer):
        return {}
    return {"not_finite": "nothing but void"}
