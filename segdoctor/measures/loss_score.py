"""Whether what stands in the place of a loss is a score: best at its top, minimised as it is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer, Scale
from segdoctor.measures.loss_answer import Fact
from segdoctor.measures.loss_sheet import Question, Sheet

Facts = dict[str, Fact]
_DEGREES = 5
_GROWS, _SLOWS = 3.0, 0.5
"""Of the steps towards the right prediction: the last one over the middle one, of probabilities,
and of scores, from which on there is no top to come to."""


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
        if name == "right" and _runs_away(steps, scale):
            return {}
        rising.append(bool(np.all(steps >= -1e-6 * max(map(abs, values)))))
    top = max(abs(ends["right"]), abs(ends["wrong"]))
    higher = ends["right"] - ends["wrong"] > 1e-3 * top
    return {
        "rises_with_quality": all(rising) and higher,
        "at_perfect": ends["right"],
        "at_wrong": ends["wrong"],
    }


def _runs_away(steps: NDArray[np.floating[Any]], scale: Scale) -> bool:
    """Whether the value has no top at the right prediction: a loss of the wrong sign, and no
    score."""
    top = float(np.max(steps, initial=0.0))
    if top <= 0:
        return False
    if scale == "logits":
        return bool(steps[-1] > _SLOWS * top)
    return bool(steps[-1] > _GROWS * max(float(np.median(steps)), 0.02 * top))
