"""How a loss sums up: over pixels and images, and whether channels compete."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ, gradient_of
from segdoctor.measures.loss_sheet import Array, Question, Sheet

Facts = dict[str, Fact]


def repeat_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Same question twice, twice the batch, one image alone: state, reduction, additivity."""
    soft, labels = sheet.soft(), sheet.labels(form)
    once = yield Question(labels, soft, "soft")
    again = yield Question(labels, soft, "soft, again")
    facts: Facts = {"deterministic": not differ(once.value, again.value)}
    facts.update(_gradient_facts(sheet, once))
    double = yield Question(_twice(labels), _twice(soft), "soft, batch doubled")
    alone = []
    for index in range(len(labels)):
        part = slice(index, index + 1)
        alone.append((yield Question(labels[part], soft[part], f"soft, image {index} alone")))
    value = once.value
    if value is None or double.value is None:
        return facts
    parts = [answer.value for answer in alone if answer.value is not None]
    mean = not differ(value, double.value)
    summed = not differ(2 * value, double.value)
    complete = len(parts) == len(labels)
    facts["additive"] = complete and not (
        differ(value, float(np.mean(parts))) and differ(value, float(np.sum(parts)))
    )
    if complete and mean:
        facts["reduction"] = "mean" if facts["additive"] else "whole batch"
    elif summed:
        facts["reduction"] = "sum"
    return facts


def _gradient_facts(sheet: Sheet, answer: Answer) -> Facts:
    gradient = gradient_of(answer)
    if gradient is None:
        return {"has_gradient": False, "gradient": "none"}
    largest = float(np.max(np.abs(gradient), initial=0.0))
    if largest == 0.0:
        return {"has_gradient": False, "gradient": "zero everywhere"}
    silent = [
        str(value)
        for value in range(max(sheet.channels, 2))
        if np.any(sheet.ids == value) and not np.any(gradient[sheet.ids == value])
    ]
    facts: Facts = {"has_gradient": True, "largest_gradient": largest}
    if silent:
        facts["ignored_classes"] = " ".join(silent)
    return facts


def coupling_questions(sheet: Sheet, form: str) -> Generator[Question, Answer, Facts]:
    """Whether channels compete, and whether each is a yes/no question of its own."""
    if sheet.channels == 1:
        return {}
    soft = sheet.soft()
    pixel = (0,) * (soft.ndim - 1)
    label = int(sheet.ids[pixel])
    first, second = (label + 1) % sheet.channels, (label + 2) % sheet.channels
    moved = soft.copy()
    moved[(*pixel, second)] *= 1.5
    sure = soft.copy()
    sure[(*pixel, first)] = 0.999
    labels = sheet.labels(form)
    base = gradient_of((yield Question(labels, soft, "soft, before")))
    other = gradient_of((yield Question(labels, moved, "soft, another channel raised")))
    extreme = gradient_of((yield Question(labels, sure, "a wrong channel near 1")))
    if base is None or other is None or extreme is None:
        return {}
    place = (*pixel, first)
    scale = float(np.max(np.abs(base)))
    coupled = abs(float(base[place]) - float(other[place])) > 1e-5 * scale
    steep = abs(float(extreme[place])) > 50 * abs(float(base[place])) > 0
    return {"channels_compete": coupled, "yes_no_per_channel": steep and not coupled}


def _twice(array: Array) -> Array:
    return np.concatenate([array, array])
