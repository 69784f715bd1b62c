"""Which label layouts a loss takes: those whose labels say which channel is to rise."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from segdoctor.core.measured import Answer, Encoding
from segdoctor.measures.loss_answer import Fact, differ, finite, follows_labels
from segdoctor.measures.loss_sheet import Question, Sheet


@dataclass
class Notes:
    """What the interview has learnt so far; lives only while one loss is asked.

    ``accepted``: layouts whose labels are understood; ``ran``: those that gave a number;
    ``deaf``: those that ran while the labels moved nothing as they should.
    """

    accepted: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    deaf: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)

    def learn(self, found: dict[str, Fact]) -> None:
        """Add facts; what was learnt first stands."""
        self.facts = {**found, **self.facts}


def ask_forms(sheet: Sheet, notes: Notes) -> Generator[Question, Answer, None]:
    """Ask with every layout of labels, and with other labels beside."""
    soft, broken = sheet.soft(), list[str]()
    for form in sheet.forms():
        first = yield Question(sheet.labels(form), soft, f"labels, {form}")
        if first.error:
            notes.errors[form] = first.error
            continue
        notes.ran.append(form)
        other = yield Question(sheet.encode(sheet.wrong, form), soft, f"other labels, {form}")
        if other.error or not (finite(first) and finite(other)):
            broken.append(form)
            continue
        follows = follows_labels(sheet, first, other)
        if follows is None:  # no gradient: the value must tell
            right = yield Question(sheet.labels(form), sheet.near(0.8), f"right, {form}")
            wrong = yield Question(
                sheet.labels(form), sheet.near(0.8, sheet.wrong), f"wrong, {form}"
            )
            follows = differ(right.value, wrong.value)
        (notes.accepted if follows else notes.deaf).append(form)
    notes.facts["label_sensitive"] = bool(notes.accepted)
    if broken and not notes.accepted:  # else they are no labels for this loss
        notes.facts["not_finite"] = f"soft predictions ({broken[0]})"
    if notes.deaf:
        notes.facts["deaf_forms"] = " ".join(notes.deaf)


def encoding_of(notes: Notes, channels: int) -> Encoding:
    """Ids or one-hot; with one channel the two are the same thing."""
    ids = any(form in notes.accepted for form in ("BHW", "BHW1"))
    onehot = "BHWC" in notes.accepted
    if channels == 1:
        return "either" if ids else "unknown"
    if ids and onehot:
        return "either"
    return "ids" if ids else "onehot" if onehot else "unknown"


def one_of_each_kind(forms: list[str], fed: str) -> list[str]:
    """One-hot where it is taken, and one of the two forms of ids: the one that is fed, if any."""
    ids = sorted((form for form in forms if form != "BHWC"), key=lambda form: form != fed)
    return [form for form in forms if form == "BHWC"] + ids[:1]
