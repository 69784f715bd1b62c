"""Asks any metric about predictions of known quality, fed as the run feeds it.

Like the questions for a loss, a pure generator: the recorder answers with Keras, the tests with a
few lines of NumPy. Every question is a list of batches, as ``fit`` hands them over one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from segdoctor.core.asked import MetricContract
from segdoctor.core.measured import Answer
from segdoctor.measures.loss_answer import Fact, differ
from segdoctor.measures.loss_sheet import Array, Sheet

SPATIAL = (6, 8)
_SAME = 1e-3


class Fed(NamedTuple):
    """How the run feeds its metric: the output's kind (``"logits"``, ``"softmax"``,
    ``"sigmoid"``), the labels' form (``"BHWC"``, ``"BHW"``, ``"BHW1"``) and how void is written:
    ``""`` (there is none), ``"id"``, ``"zero"``, ``"255"`` or ``"weight"``; ``flat``: the pixels
    are one axis (H·W)."""

    kind: str
    form: str
    void: str = ""
    label: int = 255
    flat: bool = False


class Question(NamedTuple):
    """``batches``: (y_true, y_pred, sample_weight) one after the other."""

    name: str
    batches: tuple[tuple[Array, Array, Array | None], ...]


Interview = Generator[Question, Answer, MetricContract]
_Part = Generator[Question, Answer, dict[str, Fact]]

ARRANGEMENTS: dict[str, Callable[[Array], Array]] = {
    "arg max": lambda p: p.argmax(axis=-1).astype(np.float32),
    "arg max with an axis": lambda p: p.argmax(axis=-1)[..., None].astype(np.float32),
    "softmax": lambda p: _softmax(p),
    "sigmoid": lambda p: _sigmoid(p),
    "a threshold of 0.5": lambda p: (p > 0.5).astype(np.float32),
    "sigmoid and a threshold of 0.5": lambda p: (p > 0).astype(np.float32),
    "one-hot of the arg max": lambda p: (p == p.max(axis=-1, keepdims=True)).astype(np.float32),
}
"""What may be missing between the output and the metric."""


@dataclass
class _Pupil:
    """The sheet, the feeding, and the answers so far."""

    sheet: Sheet
    fed: Fed
    arrange: Callable[[Array], Array] | None = None
    form: str = ""
    values: dict[str, float | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def prediction(self, ids: Array, degree: float = 0.9999, true: Array | None = None) -> Array:
        """A prediction of ``ids``; where ``true`` is another id, that one comes last of all."""
        logits = self.fed.kind == "logits"
        made = self.sheet.push(12 * degree, ids) if logits else self.sheet.near(degree, ids)
        if true is not None and self.sheet.channels > 2:
            least = self.sheet.one_hot(true) > self.sheet.one_hot(ids)
            made[least] = -24 * degree if logits else 0.0
        return self.arrange(made) if self.arrange is not None else made

    def batch(self, ids: Array, said: Array, degree: float = 0.9999) -> tuple[Array, Array, None]:
        labels = self.sheet.encode(ids, self.form or self.fed.form)
        return labels, self.prediction(said, degree, ids), None

    def ask(
        self, name: str, *batches: tuple[Array, Array, Array | None]
    ) -> Generator[Question, Answer, float | None]:
        answer = yield Question(name, batches)
        self.values[name] = answer.value
        if answer.error:
            self.errors[name] = answer.error
        return answer.value


def metric_questions(channels: int, fed: Fed, *, name: str = "metric", seed: int = 0) -> Interview:
    """Yield the questions for one metric; the generator's return value is its contract."""
    spatial = (SPATIAL[0] * SPATIAL[1],) if fed.flat else SPATIAL
    pupil = _Pupil(Sheet.draw(channels, spatial, seed), fed)
    facts: dict[str, Fact] = {}
    yield from _quality(pupil)
    ids = pupil.sheet.ids
    again = yield from pupil.ask("perfect, again", pupil.batch(ids, ids))
    first = pupil.values["perfect"]
    known = first is not None and again is not None and bool(np.isfinite([first, again]).all())
    if known and differ(first, again):
        return MetricContract(name, values=pupil.values, facts={"keeps_state": True})
    arranged = ""
    as_fed = pupil
    doubtful = _beyond_one(pupil)
    if doubtful or not _works(pupil):
        for words, arrange, form in _arrangements(fed, channels):
            tried = _Pupil(as_fed.sheet, fed, arrange, form)
            yield from _quality(tried)
            if _is_score(tried):
                arranged, pupil = words, tried
                break
    if arranged or not _works(as_fed) or doubtful == "score":
        facts["works_as_fed"] = False
        facts |= {f"as_fed_{key}": value for key, value in as_fed.values.items()}
        raises = as_fed.errors.get("perfect", "")
        if not arranged:
            return MetricContract(name, raises, values=as_fed.values, facts=facts | _shape(as_fed))
    else:
        facts["works_as_fed"] = True
        raises = ""
        facts |= yield from _threshold(pupil)
    facts |= _shape(pupil)
    facts |= yield from _averaging(pupil)
    facts |= yield from _void(pupil)
    return MetricContract(name, raises, values=pupil.values, facts=facts, arranged=arranged)


def _arrangements(
    fed: Fed, channels: int
) -> list[tuple[str, Callable[[Array], Array] | None, str]]:
    """``(words, arrangement of the prediction, form of the labels)``, labels first."""
    if channels == 1:
        wanted = (
            ["sigmoid", "sigmoid and a threshold of 0.5"]
            if fed.kind == "logits"
            else ["a threshold of 0.5"]
        )
    else:
        wanted = ["arg max", "arg max with an axis", "one-hot of the arg max"]
        if fed.kind == "logits":
            wanted = ["softmax", *wanted]
    found: list[tuple[str, Callable[[Array], Array] | None, str]] = []
    if channels > 1:
        other = "BHW" if fed.form == "BHWC" else "BHWC"
        found.append(("ids as labels" if other == "BHW" else "one-hot labels", None, other))
    return found + [(name, ARRANGEMENTS[name], "") for name in wanted]


def _quality(pupil: _Pupil) -> Generator[Question, Answer, None]:
    """The same labels with predictions from perfect to wrong."""
    ids, wrong = pupil.sheet.ids, pupil.sheet.wrong
    half = np.where(np.arange(ids.size).reshape(ids.shape) % 2 == 0, ids, wrong)
    yield from pupil.ask("perfect", pupil.batch(ids, ids))
    yield from pupil.ask("half", pupil.batch(ids, half))
    yield from pupil.ask("wrong", pupil.batch(ids, wrong))
    degree = 0.02 if pupil.fed.kind == "logits" else 0.6
    yield from pupil.ask("hesitant", pupil.batch(ids, ids, degree))


def _works(pupil: _Pupil) -> bool:
    """Whether better predictions score better, and a perfect one best."""
    values = [pupil.values.get(name) for name in ("perfect", "half", "wrong")]
    if any(value is None or not np.isfinite(value) for value in values):
        return False
    perfect, half, wrong = (float(value) for value in values if value is not None)
    apart = abs(perfect - wrong) > _SAME * max(abs(perfect), abs(wrong))
    ordered = perfect >= half >= wrong or perfect <= half <= wrong
    return apart and ordered and not _short_of_one(perfect, half, wrong)


def _is_score(pupil: _Pupil) -> bool:
    """1 for a perfect prediction, less for a half right one, and never beyond 0 and 1."""
    perfect, wrong = pupil.values.get("perfect"), pupil.values.get("wrong")
    if not _works(pupil) or perfect is None or wrong is None:
        return False
    return 0.99 <= perfect <= 1.001 and perfect > wrong >= -1e-3


def _beyond_one(pupil: _Pupil) -> str:
    """``"score"``: what looks like a score gives more than 1; ``"scale"``: so may logits do."""
    perfect, wrong = pupil.values.get("perfect"), pupil.values.get("wrong")
    if perfect is None or wrong is None or not perfect > max(wrong, 1.01):
        return ""
    if wrong >= -1e-3 and perfect < 10:
        return "score"
    return "scale" if pupil.fed.kind == "logits" else ""


def _short_of_one(perfect: float, half: float, wrong: float) -> bool:
    """A score between 0 and 1 that a perfect prediction does not bring to 1."""
    within = all(-1e-6 <= value <= 1 + 1e-6 for value in (perfect, half, wrong))
    return perfect > wrong and within and perfect < 0.99


def _shape(pupil: _Pupil) -> dict[str, Fact]:
    perfect, wrong = pupil.values.get("perfect"), pupil.values.get("wrong")
    facts: dict[str, Fact] = {}
    if perfect is None or wrong is None:
        return facts
    facts["rises_with_quality"] = perfect > wrong
    facts["is_score"] = perfect > wrong and perfect <= 1 + 1e-3 and wrong >= -1e-3
    return facts


def _threshold(pupil: _Pupil) -> _Part:
    """One channel of logits: is 0.24 a yes, as it is for the sigmoid behind it?"""
    if pupil.fed.kind != "logits" or pupil.sheet.channels > 1:
        return {}
    perfect, hesitant = pupil.values.get("perfect"), pupil.values.get("hesitant")
    behind = _Pupil(pupil.sheet, pupil.fed, ARRANGEMENTS["sigmoid"])
    ids = pupil.sheet.ids
    value = yield from behind.ask("hesitant, sigmoid", behind.batch(ids, ids, 0.02))
    cut = not differ(value, perfect) and differ(hesitant, perfect)
    return {"threshold_on_logits": cut}


def _averaging(pupil: _Pupil) -> _Part:
    """Two unlike batches one after the other, and as one; classes that are absent."""
    ids = pupil.sheet.ids
    two = ids % 2
    first = np.where(np.arange(ids.size).reshape(ids.shape) % 5 == 0, 1, 0)
    right, bad = pupil.batch(first, first), pupil.batch(two, np.zeros_like(two))
    apart = yield from pupil.ask("two batches", right, bad)
    both = tuple(np.concatenate(pair) for pair in zip(right[:2], bad[:2], strict=True))
    together = yield from pupil.ask("the two as one", (both[0], both[1], None))
    present = yield from pupil.ask("two classes, right", pupil.batch(two, two))
    absent = yield from pupil.ask("two classes, wrong", pupil.batch(two, 1 - two))
    facts: dict[str, Fact] = {}
    if apart is not None and together is not None:
        facts["batches_apart"], facts["batches_together"] = apart, together
    perfect, worst = pupil.values.get("perfect"), pupil.values.get("wrong")
    if present is not None and perfect is not None:
        facts["absent_lowers"] = perfect - present if np.isfinite(present) else float("nan")
    if absent is not None and worst is not None:
        facts["absent_raises"] = absent - worst if np.isfinite(absent) else float("nan")
    return facts


def _void(pupil: _Pupil) -> _Part:
    """The prediction at void pixels changes: does the metric?"""
    fed, sheet = pupil.fed, pupil.sheet
    if not fed.void:
        return {}
    ids, weight = sheet.ids, None
    form = pupil.form or fed.form
    if pupil.form and fed.void != "weight":
        return {}
    labels = sheet.encode(ids, form).astype(np.float32)
    if fed.void == "id":
        labels[sheet.void] = fed.label
    elif fed.void == "weight":
        weight = (~sheet.void).astype(np.float32)
        labels = sheet.encode(np.where(sheet.void, 0, ids), form).astype(np.float32)
    else:
        labels[sheet.void] = 255.0 if fed.void == "255" else 0.0
    values = []
    for words, at_void in (("one class", 0), ("another", 1)):
        said = np.where(sheet.void, at_void, ids)
        batch = (labels, pupil.prediction(said), weight)
        values.append((yield from pupil.ask(f"void predicted as {words}", batch)))
    if values[0] is None or values[1] is None:
        return {"void": "raises"}
    perfect = pupil.values.get("perfect")
    if not np.isfinite([values[0], values[1]]).all():
        return {"void": "not finite"}
    moved = differ(values[0], values[1]) or differ(values[0], perfect)
    return {"void": "counts" if moved else "left out", "at_void": values[0]}


def _softmax(p: Array) -> Array:
    powers = np.exp(p - p.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def _sigmoid(p: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(p / 2)), np.float32)


def hold(ask: Callable[[Question], Answer], questions: Interview) -> MetricContract:
    """Hand each question to ``ask`` and return the contract."""
    try:
        question = next(questions)
        while True:
            question = questions.send(ask(question))
    except StopIteration as end:
        contract: MetricContract = end.value
        return contract
