"""Whether what stands in the place of a loss is a score: best at its top, minimised as it is."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer, Scale
from segdoctor.measures.loss_answer import Fact
from segdoctor.measures.loss_sheet import Question, Sheet

Facts = dict[str, Fact]
_DEGREES = 5


def score_questions(sheet: Sheet, form: str, scale: Scale) -> Generator[Question, Answer, Facts]:
    """The value on a path from an undecided to a right, and to a wrong prediction.

    Returns
    -------
    dict
        ``"rises_with_quality"``: never falls towards the right prediction, never rises towards the
        wrong one, and ends higher at the right one; a score such as accuracy, Dice or IoU.
        ``"at_perfect"`` and ``"at_wrong"``: the values at the two ends.
    """
    ends = {}
    rising = []
    for name, ids, sign in (("right", sheet.ids, 1.0), ("wrong", sheet.wrong, -1.0)):
        values = []
        for degree in sheet.path(scale, _DEGREES):
            y_pred = sheet.predict(degree, scale, ids)
            answer = yield Question(sheet.labels(form), y_pred, f"{name}, {degree:.2g}, {form}")
            if answer.value is None or not np.isfinite(answer.value):
                return {}
            values.append(sign * answer.value)
        ends[name] = sign * values[-1]
        steps = np.diff(values)
        rising.append(bool(np.all(steps >= -1e-6 * max(map(abs, values)))))
    top = max(abs(ends["right"]), abs(ends["wrong"]))
    higher = ends["right"] - ends["wrong"] > 1e-3 * top
    return {
        "rises_with_quality": all(rising) and higher,
        "at_perfect": ends["right"],
        "at_wrong": ends["wrong"],
    }
