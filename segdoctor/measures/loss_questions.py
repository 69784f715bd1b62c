"""Asks any loss ``(y_true, y_pred)`` questions on small arrays and concludes what it expects.

A pure generator yields questions and receives answers, so that the same interview is held with
a Keras loss (answered by the recorder) and with a few lines of NumPy (in the tests). No source
code is needed: what a loss takes is found by experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np

from segdoctor.core.measured import Answer, Encoding, LossContract, Scale
from segdoctor.measures.loss_answer import differ, finite, follows_labels, gradient_of
from segdoctor.measures.loss_scale import read_scale, scale_questions
from segdoctor.measures.loss_sheet import Array, Question, Sheet
from segdoctor.measures.loss_void import all_void_question, void_questions

Interview = Generator[Question, Answer, LossContract]
Fact = float | str | bool | None
_Part = Generator[Question, Answer, dict[str, Fact]]


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
    notes.facts["asked_form"] = form
    yield from _into(notes, _repeat(sheet, form))
    values = yield from scale_questions(sheet, form)
    scale: Scale = "unknown"
    if notes.facts.get("deterministic"):
        scale = read_scale(values, channels, additive=bool(notes.facts.get("additive")))
    asked: Scale = scale
    if scale in ("unknown", "either"):
        asked = "logits" if head_kind == "logits" and scale == "unknown" else "probabilities"
    yield from _into(notes, _best(sheet, form, asked))
    yield from _into(notes, _edges(sheet, form, asked))
    yield from _into(notes, _coupling(sheet, form))
    ignores = str(notes.facts.get("ignored_classes", "")).split()
    for each in _one_of_each_kind(forms):
        treatments = yield from void_questions(sheet, each)
        ignores += [key.split("_")[1] for key, how in treatments.items() if how == "ignored"]
        notes.facts.update(treatments)
    ignores = [value for value in ignores if value != "rows"]
    if "255" in ignores:
        notes.facts = {**(yield from all_void_question(sheet, form)), **notes.facts}
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
    """Add the facts of one part; what was learnt first stands."""
    found = yield from part
    notes.facts = {**found, **notes.facts}


def _one_of_each_kind(forms: list[str]) -> list[str]:
    """One-hot where it is taken, and one of the two forms of ids."""
    return [form for form in forms if form == "BHWC"] + [f for f in forms if f != "BHWC"][:1]


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
    """Which label layouts are taken: those whose labels say which channel is to rise."""
    soft = sheet.soft()
    for form in sheet.forms():
        first = yield Question(sheet.labels(form), soft, f"labels, {form}")
        if first.error:
            notes.errors[form] = first.error
            continue
        notes.ran.append(form)
        other = yield Question(sheet.encode(sheet.wrong, form), soft, f"other labels, {form}")
        if other.error or not (finite(first) and finite(other)):
            notes.facts.setdefault("not_finite", f"soft predictions ({form})")
            continue
        follows = follows_labels(sheet, first, other)
        if follows is None:  # no gradient: the value must tell
            right = yield Question(sheet.labels(form), sheet.near(0.8), f"right, {form}")
            wrong = yield Question(
                sheet.labels(form), sheet.near(0.8, sheet.wrong), f"wrong, {form}"
            )
            follows = differ(right.value, wrong.value)
        if follows:
            notes.accepted.append(form)
    notes.facts["label_sensitive"] = bool(notes.accepted)


def _repeat(sheet: Sheet, form: str) -> _Part:
    """Same question twice, twice the batch, one image alone: state, reduction, additivity."""
    soft, labels = sheet.soft(), sheet.labels(form)
    once = yield Question(labels, soft, "soft")
    again = yield Question(labels, soft, "soft, again")
    facts: dict[str, Fact] = {"deterministic": not differ(once.value, again.value)}
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


def _gradient_facts(sheet: Sheet, answer: Answer) -> dict[str, Fact]:
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
    worse = lowest_wrong < lowest_right and differ(lowest_right, lowest_wrong)
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
