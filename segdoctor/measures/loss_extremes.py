"""The least value must belong to a right prediction, and extreme batches must give numbers."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer, Scale
from segdoctor.measures.loss_answer import Fact, differ, finite
from segdoctor.measures.loss_sheet import Question, Sheet

Facts = dict[str, Fact]


def best_questions(sheet: Sheet, form: str, scale: Scale) -> Generator[Question, Answer, Facts]:
    """The least value among right predictions against the least among wrong ones."""
    right, wrong = [], []
    for degree in sheet.degrees(scale):
        right.append((yield sheet.ask(form, degree, scale, sheet.ids, "right")))
        wrong.append((yield sheet.ask(form, degree, scale, sheet.wrong, "wrong")))
        wrong.append((yield sheet.ask(form, degree, scale, np.zeros_like(sheet.ids), "class 0")))
    lowest_right = min((a.value for a in right if a.value is not None), default=None)
    lowest_wrong = min((a.value for a in wrong if a.value is not None), default=None)
    if lowest_right is None or lowest_wrong is None:
        return {}
    worse = lowest_wrong < lowest_right and differ(lowest_right, lowest_wrong)
    return {
        "best_is_label": not worse,
        "lowest_right": lowest_right,
        "lowest_wrong": lowest_wrong,
    }


def edge_questions(sheet: Sheet, form: str, scale: Scale) -> Generator[Question, Answer, Facts]:
    """Legal but extreme batches: one class only, saturated right and wrong, one image alone."""
    facts: Facts = {}
    nothing = np.zeros_like(sheet.ids)
    degree = 1.0 if scale == "probabilities" else 100.0
    one = slice(0, 1)
    cases = (
        ("one class only", nothing, sheet.soft()),
        ("saturated and right", sheet.ids, sheet.predict(degree, scale, sheet.ids)),
        ("saturated and wrong", sheet.ids, sheet.predict(degree, scale, sheet.wrong)),
        ("one class only, right", nothing, sheet.predict(degree, scale, nothing)),
        ("a batch of one", sheet.ids[one], sheet.soft()[one]),
    )
    for name, ids, y_pred in cases:
        answer = yield Question(sheet.encode(ids, form), y_pred, name)
        if not answer.error and not finite(answer):
            facts.setdefault("not_finite", name)
        elif answer.error and answer.asked and name != "a batch of one":
            facts.setdefault("raises_at", f"{name}: {answer.error}")
    return facts
