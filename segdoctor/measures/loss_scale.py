"""Logits or probabilities: what a loss takes, told from its values on a few predictions.

A loss of logits has a softmax inside (a constant added to all channels of a pixel changes
nothing) or a sigmoid (0 and 1 are half-hearted, and beyond ±20 nothing gets better). A loss of
probabilities is undefined or clipped outside [0, 1], or is misled there.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping

import numpy as np

from segdoctor.core.measured import Answer, Scale
from segdoctor.measures.loss_sheet import Question, Sheet

Values = Mapping[str, float]

_SAME = 1e-4
"""Relative difference below which two values are the same in float32 arithmetic."""

_NEGLIGIBLE = 1e-2
"""Share of the loss's own range below which a difference does not count."""


def scale_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, dict[str, float]]:
    """Ask for the values that :func:`read_scale` reads; NaN where there is no number."""
    predictions = {
        "soft": sheet.near(0.7),
        "wrong": sheet.near(0.7, sheet.wrong),
        "one-hot": sheet.near(1.0),
        "beyond": sheet.near(1.3),
        "wrong one-hot": sheet.near(1.0, sheet.wrong),
        "wrong push": sheet.push(20.0, sheet.wrong),
        "push 3": sheet.push(3.0),
        "push 20": sheet.push(20.0),
        "push 40": sheet.push(40.0),
        "scores": sheet.scores(),
        "scores shifted": sheet.scores(shift=3.0),
        "scores doubled": sheet.scores(factor=2.0),
    }
    values = {}
    for name, y_pred in predictions.items():
        answer = yield Question(sheet.labels(form), y_pred, f"{name}, {form}")
        values[name] = math.nan if answer.error or answer.value is None else answer.value
    if form == "BHWC" or sheet.channels == 1:
        yes = np.ones_like(sheet.labels(form))
        for name, labels, factor in (
            ("yes", yes, 1.0),
            ("no", 0 * yes, -1.0),
            ("YES", yes, 2.0),
            ("false", 0 * yes, 1.0),
        ):
            answer = yield Question(labels, sheet.scores(factor), f"{name} to all, {form}")
            values[f"{name} to all"] = math.nan if answer.value is None else answer.value
    return values


def read_scale(values: Values, channels: int, *, additive: bool = True) -> Scale:
    """The scale that a loss takes.

    Parameters
    ----------
    values : mapping
        As :func:`scale_questions` gives them.
    channels : int
    additive : bool
        Whether the loss is a sum or mean over images. Only such a loss can be a regression
        (mean squared error and the like), which takes logits as well as probabilities.

    Returns
    -------
    str
        ``"logits"``, ``"probabilities"``, ``"either"`` or ``"unknown"``.
    """
    if (channels > 1 and _softmax_inside(values)) or _symmetric(values):
        return "logits"
    soft, sure = values["soft"], values["one-hot"]
    if not math.isfinite(soft):
        return "unknown"
    outside = [values[name] for name in ("push 3", "push 20", "push 40", "scores")]
    if not all(map(math.isfinite, outside)):
        # A sigmoid or softmax written by hand overflows, but is at home at ±3.
        at_home = math.isfinite(values["push 3"]) and math.isfinite(values["scores"])
        return "logits" if at_home and values["push 3"] < 0.5 * sure else "probabilities"
    if not values["wrong"] > soft + _SAME * abs(soft):
        return "unknown"  # no worse for being wrong: not a loss that can be read
    span = abs(soft - sure)
    if span <= _SAME * max(abs(soft), abs(sure)):
        return "unknown"
    margin = _NEGLIGIBLE * span
    if abs(values["push 20"] - sure) <= margin:
        # A hinge is content beyond its margin too, but a wrong score costs the more the larger.
        wrong = values["wrong push"] - sure > 3 * (values["wrong one-hot"] - sure) > 0
        return "either" if wrong else "probabilities"
    if _sigmoid_inside(values, margin):
        return "logits"
    regression = additive and values["beyond"] > sure + 0.1 * span
    return "either" if regression else "probabilities"


def _softmax_inside(values: Values) -> bool:
    """A constant per pixel changes nothing, though the size of the scores does."""
    plain, shifted, doubled = (
        values[name] for name in ("scores", "scores shifted", "scores doubled")
    )
    if not (math.isfinite(plain) and math.isfinite(shifted) and math.isfinite(doubled)):
        return False
    scale = max(abs(plain), abs(plain - doubled))
    return abs(plain - shifted) <= _SAME * scale < 0.1 * abs(plain - doubled)


def _symmetric(values: Values) -> bool:
    """A yes at z costs what a no costs at -z: a sigmoid, however far its labels are smoothed."""
    asked = [values.get(f"{name} to all", math.nan) for name in ("yes", "no", "YES", "false")]
    if not all(map(math.isfinite, asked)):
        return False
    yes, no, doubled, false = asked
    moves = abs(yes - doubled)
    scale = max(abs(yes), moves)
    if abs(yes - false) <= _SAME * scale:
        return False  # it takes neither for a label: the arg max of both is class 0
    # What never has enough is no sigmoid: a linear loss. Nor is one that is turned around.
    enough = values["push 40"] >= values["push 20"] and values["wrong"] > values["soft"]
    return enough and abs(yes - no) <= _SAME * scale < 0.1 * moves


def _sigmoid_inside(values: Values, margin: float) -> bool:
    """±3 is better than 0/1, and from ±20 to ±40 nothing is gained any more."""
    gained = values["one-hot"] - values["push 20"]
    better = values["push 3"] < values["one-hot"] - margin
    return better and values["push 40"] >= values["push 20"] - _NEGLIGIBLE * abs(gained)
