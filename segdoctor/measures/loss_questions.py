"""Asks any loss ``(y_true, y_pred)`` questions on small arrays and concludes what it expects.

A pure generator yields questions and receives answers, so that the same interview is held with
a Keras loss (answered by the recorder) and with a few lines of NumPy (in the tests). No source
code is needed: what a loss takes is found by experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np

from segdoctor.core.measured import Answer, LossContract, Scale
from segdoctor.measures.loss_answer import Fact, finite, gradient_of
from segdoctor.measures.loss_coupling import coupling_questions, repeat_questions
from segdoctor.measures.loss_dilution import dilution_questions, weight_questions
from segdoctor.measures.loss_extremes import best_questions, edge_questions
from segdoctor.measures.loss_forms import Notes, ask_forms, encoding_of, one_of_each_kind
from segdoctor.measures.loss_locality import comparing_questions, locality_questions
from segdoctor.measures.loss_scale import read_scale, scale_questions
from segdoctor.measures.loss_score import score_questions
from segdoctor.measures.loss_sheet import Question, Sheet
from segdoctor.measures.loss_shuffle import shuffle_questions
from segdoctor.measures.loss_void import all_void_question, unused_id, void_questions

Interview = Generator[Question, Answer, LossContract]
_Facts = dict[str, Fact]


def loss_questions(
    channels: int,
    *,
    name: str = "loss",
    head_kind: str | None = None,
    fed: str = "",
    spatial: tuple[int, ...] = (4, 6),
    batch: int = 2,
    exact: bool = False,
    strays: tuple[int, ...] = (),
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
    fed : str
        Label layout that the run feeds, where known (``"BHW"``, ``"BHW1"``, ``"BHWC"``): where the
        loss takes it, the questions are asked in it, for Keras squeezes and expands by the ranks.
    spatial : tuple of int
        Pixels; an axis that is as long as there are channels is made longer by one, so that
        nothing fits by accident, unless ``exact``.
    strays : tuple of int
        Ids of the run's labels that are no class of the head: does the loss leave them out?
    batch, seed : int

    Yields
    ------
    Question
        ``(y_true, y_pred, name, sample_weight)``; send an
        :class:`~segdoctor.core.measured.Answer`.
    """
    sheet = Sheet.draw(channels, spatial, seed, batch=batch, exact=exact)
    notes = Notes()
    yield from ask_forms(sheet, notes)
    forms = notes.accepted or notes.ran
    if not forms:
        raises = next(iter(notes.errors.values()), "")
        return LossContract(name, raises=raises, facts=notes.facts)
    form = fed if fed in forms else forms[0]
    notes.facts["asked_form"] = form
    notes.facts["asked_as_fed"] = not fed or form == fed
    notes.learn((yield from repeat_questions(sheet, form)))
    values = yield from scale_questions(sheet, form)
    scale: Scale = "unknown"
    if notes.facts.get("deterministic") and notes.accepted:
        scale = read_scale(values, channels, additive=bool(notes.facts.get("additive")))
    asked: Scale = scale
    if scale in ("unknown", "either"):
        asked = "logits" if head_kind == "logits" and scale == "unknown" else "probabilities"
    notes.learn((yield from best_questions(sheet, form, asked)))
    notes.learn((yield from edge_questions(sheet, form, asked)))
    notes.learn((yield from score_questions(sheet, form, asked)))
    notes.learn((yield from coupling_questions(sheet, form)))
    if notes.facts.get("deterministic") and notes.accepted:
        notes.learn((yield from locality_questions(sheet, form)))
        notes.learn((yield from comparing_questions(sheet, form)))
        if notes.facts.get("has_gradient"):
            depends_on = str(notes.facts.get("depends_on"))
            notes.learn((yield from shuffle_questions(sheet, form, asked, depends_on)))
    ignores = yield from _void(sheet, notes, forms, strays)
    notes.learn((yield from weight_questions(sheet, form)))
    return LossContract(
        name,
        labels=encoding_of(notes, channels),
        forms=tuple(notes.accepted),
        prediction=scale,
        ignores=ignores,
        reduction=str(notes.facts.get("reduction", "unknown")),
        facts=notes.facts,
    )


def _void(
    sheet: Sheet, notes: Notes, forms: list[str], strays: tuple[int, ...]
) -> Generator[Question, Answer, tuple[int, ...]]:
    """Which label values are left out, and whether the mean still counts them."""
    control, asked = unused_id(sheet.channels, strays), str(notes.facts["asked_form"])
    others = (*strays, control) if strays else ()
    ignores = {int(value) for value in str(notes.facts.get("ignored_classes", "")).split()}
    for form in one_of_each_kind(forms, asked):
        treatments = yield from void_questions(sheet, form, others)
        notes.facts.update(treatments)
        left_out = {}
        for key, how in treatments.items():
            if how != "ignored":
                continue
            kind, _, value = key.partition("_")
            left_out[key] = 0.0 if key == "zero_rows" else float(value)
            if kind == "value" or key == "rows_255":
                ignores.add(int(value))
        if left_out:
            notes.learn((yield from dilution_questions(sheet, form, left_out)))
    notes.facts["masked"] = " ".join(
        str(value)
        for value in strays
        if value in ignores
        and (control not in ignores or notes.facts.get(f"dilutes_value_{value}") is False)
    )
    ignores.discard(control)
    if 255 in ignores:
        notes.facts = {**(yield from all_void_question(sheet, asked)), **notes.facts}
    return tuple(sorted(ignores))


def interview(ask: Callable[[Question], Answer], questions: Interview) -> LossContract:
    """Hold the interview: hand each question to ``ask`` and return the contract.

    The contract keeps every answer but its gradient. Where questions were left unasked (the loss
    takes too long), what was concluded from the rest is no evidence and is taken back. A loss that
    is small throughout is read in its own unit, so that nothing of it passes for rounding.
    """
    answers: list[Answer] = []
    unit = 0.0
    try:
        question = next(questions)
        while True:
            answer = ask(question)
            answers.append(replace(answer, gradient=None))
            unit = unit or _unit_of(answer)
            question = questions.send(_in_unit(answer, unit or 1.0))
    except StopIteration as end:
        contract: LossContract = end.value
    if unit and unit != 1.0:
        told = {key: _times(contract.facts[key], unit) for key in _VALUES if key in contract.facts}
        contract = replace(contract, facts={**contract.facts, **told})
    missed = sum(not answer.asked for answer in answers)
    if missed and not contract.raises:
        kept = {"unasked": missed, "asked": len(answers) - missed}
        contract = LossContract(contract.name, facts=kept)
    return replace(contract, answers=tuple(answers))


_SMALL = 1e-3
_VALUES = ("lowest_right", "lowest_wrong", "at_perfect", "at_wrong", "largest_gradient")
"""Facts that are values of the loss."""


def _unit_of(answer: Answer) -> float:
    """1, but of a loss whose value and gradient are both tiny: their size; 0 of no number."""
    gradient = gradient_of(answer)
    if answer.value is None or gradient is None or not finite(answer):
        return 0.0
    size = max(abs(answer.value), float(np.abs(gradient).sum()))
    return size if 0 < size < _SMALL else 1.0


def _in_unit(answer: Answer, unit: float) -> Answer:
    if unit == 1.0 or answer.value is None:
        return answer
    gradient = gradient_of(answer)
    gradient = None if gradient is None else gradient / unit
    return replace(answer, value=answer.value / unit, gradient=gradient)


def _times(value: Fact, unit: float) -> Fact:
    return value * unit if isinstance(value, float) else value
