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
    right, wrong, constant = list[Answer](), list[Answer](), list[Answer]()
    for degree in sheet.degrees(scale):
        right.append((yield sheet.ask(form, degree, scale, sheet.ids, "right")))
        wrong.append((yield sheet.ask(form, degree, scale, sheet.wrong, "wrong")))
        constant.append((yield sheet.ask(form, degree, scale, np.zeros_like(sheet.ids), "class 0")))
    lowest_right, lowest_other, lowest_constant = map(_least, (right, wrong, constant))
    if lowest_right is None or lowest_other is None or lowest_constant is None:
        return {}
    lowest_wrong = min(lowest_other, lowest_constant)
    worse = lowest_wrong < lowest_right and differ(lowest_right, lowest_wrong)
    only_constant = lowest_other > lowest_right and differ(lowest_right, lowest_other)
    return {
        "best_is_label": not worse,
        "only_class_0_is_better": worse and only_constant,
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
            if name == "saturated and right":
                nearly = y_pred.copy()
                nearly[:, 0] = sheet.predict(sheet.degrees(scale)[1], scale, ids)[:, 0]
                once = yield Question(sheet.encode(ids, form), nearly, "… but for some pixels")
                facts["only_if_all_right"] = not once.error and finite(once)
        elif answer.error and answer.asked and name != "a batch of one":
            facts.setdefault("raises_at", f"{name}: {answer.error}")
    return facts


def _least(answers: list[Answer]) -> float | None:
    return min((answer.value for answer in answers if answer.value is not None), default=None)
