"""Whether void that is masked is also left out of the mean, and what sample weights do."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

Facts = dict[str, Fact]


def dilution_questions(
    sheet: Sheet, form: str, fills: dict[str, float]
) -> Generator[Question, Answer, Facts]:
    """The loss of one class under an undecided prediction, without void and with it.

    Every valid pixel then costs the same, so a mean over the valid pixels stays what it is, and a
    mean over all pixels falls by the share of void.

    Parameters
    ----------
    fills : treatment's name → the value that void pixels get, of those that the loss ignores.

    Returns
    -------
    dict
        ``"diluted_…"`` → loss with void ÷ loss without it, over the share of valid pixels:
        1.0 is full dilution, ``1 / valid`` none; ``"dilutes_…"`` → whether.
    """
    one_class = np.ones_like(sheet.ids)
    undecided = sheet.near(0.1, one_class)
    plain = yield Question(sheet.encode(one_class, form), undecided, f"one class, {form}")
    facts: Facts = {}
    for name, fill in fills.items():
        labels = _filled(sheet, one_class, form, fill)
        answer = yield Question(labels, undecided, f"one class and void ({name}), {form}")
        facts |= _judged(name, plain.value, answer.value, float(np.mean(~sheet.void)))
    return facts


def weight_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Sample weights of zero at void: do they keep it out of value, gradient and mean?"""
    one_class, weights = np.ones_like(sheet.ids), (~sheet.void).astype(np.float32)
    labels, undecided = sheet.encode(one_class, form), sheet.near(0.1, one_class)
    plain = yield Question(labels, undecided, f"one class, unweighted, {form}")
    weighted = yield Question(labels, undecided, f"one class, weights, {form}", weights)
    if weighted.error:
        return {"weights": "refused"}
    gradient = gradient_of(weighted)
    if gradient is None or not np.any(gradient[~sheet.void]):
        return {}
    if np.any(gradient[sheet.void]):
        return {"weights": "not per pixel"}
    facts = _judged("weights", plain.value, weighted.value, float(np.mean(~sheet.void)))
    return {"weights": "per pixel", **facts}


def _filled(sheet: Sheet, ids: Array, form: str, fill: float) -> Array:
    if form == "BHWC" and sheet.channels > 1:
        labels = sheet.encode(ids, form)
        labels[sheet.void] = fill
        return labels
    return sheet.encode(np.where(sheet.void, int(fill), ids), form)


def _judged(name: str, plain: float | None, void: float | None, valid: float) -> Facts:
    if plain is None or void is None or not np.isfinite([plain, void]).all() or plain == 0:
        return {}
    ratio = void / plain
    if not differ(void, plain * valid):
        return {f"dilutes_{name}": True, f"ratio_{name}": ratio}
    return {f"dilutes_{name}": False, f"ratio_{name}": ratio}
