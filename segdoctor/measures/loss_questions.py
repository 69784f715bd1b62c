"""Asks any loss ``(y_true, y_pred)`` questions on small arrays and concludes what it expects.

A pure generator yields questions and receives answers, so that the same interview is held with
a Keras loss (answered by the recorder) and with a few lines of NumPy (in the tests). No source
code is needed: what a loss takes is found by experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import Answer, Encoding, LossContract, Scale
from segdoctor.measures.loss_scale import read_scale, scale_questions
from segdoctor.measures.loss_sheet import Array, Question, Sheet

Interview = Generator[Question, Answer, LossContract]
Fact = float | str | bool | None
_Part = Generator[Question, Answer, dict[str, Fact]]

VOID_IDS = (255, -1)
"""Label values that are asked for as void, beside the id just behind the last class."""

_EPSILON = 1e-6


@dataclass
class _Notes:
    """What the interview has learnt so far; lives only while one loss is asked."""

    accepted: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)


def loss_questions(
    channels: int,
    *,
    name: str = "loss",
    head_kind: str | None = None,
    spatial: tuple[int, ...] = (4, 6),
    seed: int = 0,
) -> Interview:
    """Yield the questions for one loss; the generator's return value is its contract.

    Parameters
    ----------
    channels : int
        Output channels of the model: predictions have shape ``(B, *spatial, channels)``.
    name : str
        The loss's name, for the contract.
    head_kind : str, optional
        Kind of the model's output. Only used where the experiments leave the scale open, to ask
        the remaining questions at a scale that the run really has.
    spatial : tuple of int
        Pixels; an axis that is as long as there are channels is made longer by one, so that
        nothing fits by accident.
    seed : int

    Yields
    ------
    Question
        ``(y_true, y_pred, name)``; send an :class:`~segdoctor.core.measured.Answer`.
    """
    sheet = Sheet.draw(channels, spatial, seed)
    notes = _Notes()
    yield from _forms(sheet, notes)
    forms = notes.accepted or notes.ran
    if not forms:
        raises = next(iter(notes.errors.values()), "")
        return LossContract(name, raises=raises, facts=notes.facts)
    form = forms[0]
    notes.facts["exclusive_form"] = form
    yield from _into(notes, _repeat(sheet, form))
    values = yield from scale_questions(sheet, form)
    scale = read_scale(values, channels, additive=bool(notes.facts.get("additive")))
    asked: Scale = scale
    if scale in ("unknown", "either"):
        asked = "logits" if head_kind == "logits" and scale == "unknown" else "probabilities"
    yield from _into(notes, _best(sheet, form, asked))
    yield from _into(notes, _edges(sheet, form, asked))
    yield from _into(notes, _coupling(sheet, form))
    ignores = list(notes.facts.pop("ignored_classes", "").split()) if _has_ignored(notes) else []
    for each in forms:
        ignores += (yield from _void(sheet, each, notes))
    if "255" in ignores or notes.facts.get("rows_255") == "ignored":
        yield from _into(notes, _all_void(sheet, form))
    return LossContract(
        name,
        labels=_encoding(notes, channels),
        forms=tuple(notes.accepted),
        prediction=scale,
        ignores=tuple(sorted({int(value) for value in ignores})),
        reduction=str(notes.facts.get("reduction", "unknown")),
        facts=notes.facts,
    )


def interview(ask: Callable[[Question], Answer], questions: Interview) -> LossContract:
    """Hold the interview: hand each question to ``ask`` and return the contract.

    The contract keeps every answer but its gradient.
    """
    answers: list[Answer] = []
    try:
        question = next(questions)
        while True:
            answer = ask(question)
            answers.append(replace(answer, gradient=None))
            question = questions.send(answer)
    except StopIteration as end:
        contract: LossContract = end.value
        return replace(contract, answers=tuple(answers))


def _into(notes: _Notes, part: _Part) -> Generator[Question, Answer, None]:
    notes.facts.update((yield from part))


def _has_ignored(notes: _Notes) -> bool:
    return isinstance(notes.facts.get("ignored_classes"), str)


def _encoding(notes: _Notes, channels: int) -> Encoding:
    """Ids or one-hot; with one channel the two are the same thing."""
    ids = any(form in notes.accepted for form in ("BHW", "BHW1"))
    onehot = "BHWC" in notes.accepted
    if channels == 1:
        return "either" if ids else "unknown"
    if ids and onehot:
        return "either"
    return "ids" if ids else "onehot" if onehot else "unknown"


def _forms(sheet: Sheet, notes: _Notes) -> Generator[Question, Answer, None]:
    """Which label layouts are taken: those where a wrong prediction costs something else."""
    right, wrong = sheet.near(0.8), sheet.near(0.8, sheet.wrong)
    for form in sheet.forms():
        y_true = sheet.labels(form)
        first = yield Question(y_true, right, f"right, {form}")
        if first.error:
            notes.errors[form] = first.error
            continue
        notes.ran.append(form)
        other = yield Question(y_true, wrong, f"wrong, {form}")
        if not (finite(first) and finite(other)):
            notes.facts.setdefault("not_finite", first.question)
        elif _differ(first.value, other.value):
            notes.accepted.append(form)
    notes.facts["label_sensitive"] = bool(notes.accepted)


def _repeat(sheet: Sheet, form: str) -> _Part:
    """Same question twice, twice the batch, one image alone: state, reduction, additivity."""
    soft, labels = sheet.soft(), sheet.labels(form)
    once = yield Question(labels, soft, "soft")
    again = yield Question(labels, soft, "soft, again")
    facts: dict[str, Fact] = {"deterministic": not _differ(once.value, again.value)}
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
    mean = not _differ(value, double.value)
    summed = not _differ(2 * value, double.value)
    complete = len(parts) == len(labels)
    facts["additive"] = complete and not (
        _differ(value, float(np.mean(parts))) and _differ(value, float(np.sum(parts)))
    )
    if complete and mean:
        facts["reduction"] = "mean" if facts["additive"] else "whole batch"
    elif summed:
        facts["reduction"] = "sum"
    return facts


def _gradient_facts(sheet: Sheet, answer: Answer) -> dict[str, Fact]:
    gradient = _gradient(answer)
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
    facts: dict[str, Fact] = {"has_gradient": True, "largest_gradient": largest}
    if silent:
        facts["ignored_classes"] = " ".join(silent)
    return facts


def _best(sheet: Sheet, form: str, scale: Scale) -> _Part:
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
    worse = lowest_wrong < lowest_right and _differ(lowest_right, lowest_wrong)
    return {
        "best_is_label": not worse,
        "lowest_right": lowest_right,
        "lowest_wrong": lowest_wrong,
    }


def _edges(sheet: Sheet, form: str, scale: Scale) -> _Part:
    """Legal but extreme batches: one class only, saturated right, saturated wrong."""
    facts: dict[str, Fact] = {}
    nothing = np.zeros_like(sheet.ids)
    degree = 1.0 if scale == "probabilities" else 60.0
    cases = (
        ("one class only", nothing, sheet.soft()),
        ("saturated and right", sheet.ids, sheet.predict(degree, scale, sheet.ids)),
        ("saturated and wrong", sheet.ids, sheet.predict(degree, scale, sheet.wrong)),
        ("one class only, right", nothing, sheet.predict(degree, scale, nothing)),
    )
    for name, ids, y_pred in cases:
        answer = yield Question(sheet.encode(ids, form), y_pred, name)
        if not answer.error and not finite(answer):
            facts.setdefault("not_finite", name)
        elif answer.error:
            facts.setdefault("raises_at", f"{name}: {answer.error}")
    return facts


def _coupling(sheet: Sheet, form: str) -> _Part:
    """Whether channels compete, and whether each is a yes/no question of its own."""
    if sheet.channels == 1:
        return {}
    soft = sheet.soft()
    pixel = (0,) * (soft.ndim - 1)
    label = int(sheet.ids[pixel])
    first, second = (label + 1) % sheet.channels, (label + 2) % sheet.channels
    moved = soft.copy()
    moved[(*pixel, second if sheet.channels > 2 else label)] *= 1.5
    sure = soft.copy()
    sure[(*pixel, first)] = 0.999
    base, other, extreme = [
        _gradient((yield Question(sheet.labels(form), each, name)))
        for each, name in (
            (soft, "soft, before"),
            (moved, "soft, another channel raised"),
            (sure, "a wrong channel near 1"),
        )
    ]
    if base is None or other is None or extreme is None:
        return {}
    place = (*pixel, first)
    scale = float(np.max(np.abs(base)))
    coupled = abs(float(base[place]) - float(other[place])) > 1e-5 * scale
    steep = abs(float(extreme[place])) > 50 * abs(float(base[place])) > 0
    return {"channels_compete": coupled, "yes_no_per_channel": steep and not coupled}


def _void(sheet: Sheet, form: str, notes: _Notes) -> Generator[Question, Answer, list[str]]:
    """How pixels of void are treated in each form that it takes; the label values ignored."""
    ignored: list[str] = []
    if form == "BHWC" and sheet.channels > 1:
        for name, fill in (("zero_rows", 0.0), ("rows_255", 255.0)):
            labels = sheet.labels(form).copy()
            labels[sheet.void] = fill
            notes.facts[name] = yield from _treatment(sheet, labels, f"{name}, {form}")
        if notes.facts["rows_255"] == "ignored":
            ignored.append("255")
        return ignored
    for value in (*VOID_IDS, sheet.channels if sheet.channels > 1 else 2):
        ids = np.where(sheet.void, value, sheet.ids)
        treatment = yield from _treatment(sheet, sheet.encode(ids, form), f"void {value}, {form}")
        notes.facts.setdefault(f"value_{value}", treatment)
        if treatment == "ignored":
            ignored.append(str(value))
    return ignored


def _treatment(sheet: Sheet, labels: Array, name: str) -> Generator[Question, Answer, str]:
    """``"ignored"`` (exactly), ``"gradient"``, ``"moves the value"``, ``"raises"``, …"""
    soft = sheet.soft()
    answer = yield Question(labels, soft, name)
    if answer.error:
        return "raises"
    if not finite(answer):
        return "not finite"
    gradient = _gradient(answer)
    if gradient is None or not np.any(gradient[~sheet.void]):
        return "no gradient anywhere"
    if np.any(gradient[sheet.void]):
        return "gradient"
    moved = soft.copy()
    moved[sheet.void] = np.roll(soft[sheet.void], 1, axis=-1) if sheet.channels > 1 else 0.25
    other = yield Question(labels, moved, f"{name}, prediction at void changed")
    return "moves the value" if _differ(answer.value, other.value) else "ignored"


def _all_void(sheet: Sheet, form: str) -> _Part:
    ids = np.full_like(sheet.ids, 255)
    labels = sheet.encode(ids, form) if form != "BHWC" else np.full_like(sheet.onehot, 255.0)
    answer = yield Question(labels, sheet.soft(), "nothing but void")
    if answer.error or finite(answer):
        return {}
    return {"not_finite": "nothing but void"}


def finite(answer: Answer) -> bool:
    """Whether value and gradient are numbers throughout; no gradient is no fault here."""
    gradient = _gradient(answer)
    value = answer.value is not None and bool(np.isfinite(answer.value))
    return value and (gradient is None or bool(np.all(np.isfinite(gradient))))


def _gradient(answer: Answer) -> NDArray[np.float64] | None:
    return None if answer.gradient is None else np.asarray(answer.gradient, dtype=np.float64)


def _twice(array: Array) -> Array:
    return np.concatenate([array, array])


def _differ(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return True
    return abs(first - second) > _EPSILON * max(1.0, abs(first), abs(second)) * 10
