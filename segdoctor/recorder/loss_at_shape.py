"""The loss at the batch's own shape and type, on the real labels, for predictions that we make."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.asked import LossAtShape
from segdoctor.core.measured import Answer, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.loss_answer import agreement
from segdoctor.recorder.clerk import Clerk
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit

QUESTION_LIMIT_S, TOTAL_LIMIT_S = 8.0, 10.0

Float = NDArray[np.float32]
Ids = NDArray[np.integer[Any]]


class _Question(NamedTuple):
    """``y_pred`` (pixels, C) float32; ``other``: with other labels than those that are fed."""

    name: str
    y_pred: Float
    other: bool = False


@dataclass(frozen=True, eq=False)
class _Page:
    """The real labels, and what a prediction must look like.

    ``ids`` (pixels,), class 0 at void; ``valid`` (pixels,)."""

    head: HeadFacts
    y: Any
    other_y: Any
    weight: Any
    ids: Ids
    valid: NDArray[np.bool_]
    logits: bool

    def sure(self, ids: Ids, degree: float) -> Float:
        """A prediction of ``ids`` (pixels, C), at the loss's own scale."""
        channels = self.head.channels
        low, high = (-degree, degree) if self.logits else (1 - degree, degree)
        if channels == 1:
            return np.where(ids == 1, high, low).astype(np.float32)[:, None]
        if not self.logits:
            low = (1 - degree) / (channels - 1)
        made = np.full((ids.size, channels), low, np.float32)
        made[np.arange(ids.size), ids] = high
        return made

    def undecided(self) -> Float:
        """Nearly uniform, legal as logits and as probabilities."""
        rng = np.random.default_rng(5)
        made = rng.random((self.ids.size, self.head.channels), dtype=np.float32)
        if self.head.channels == 1:
            return 0.4 + 0.2 * made
        made += 4.0
        made /= made.sum(axis=-1, keepdims=True)
        return made

    def laid_out(self, rows: Float) -> Any:
        """(pixels, C) as a tensor of the output's shape and type."""
        import tensorflow as tf

        axis = self.head.class_axis % len(self.head.shape)
        pixels = self.head.shape[:axis] + self.head.shape[axis + 1 :]
        array = np.moveaxis(rows.reshape(*pixels, self.head.channels), -1, axis)
        return tf.cast(tf.constant(array), self.head.dtype)

    def rows(self, gradient: Any) -> Float:
        """A gradient of the output's shape as (pixels, C)."""
        import tensorflow as tf

        array = np.asarray(tf.cast(tf.convert_to_tensor(gradient), tf.float32))
        array = np.moveaxis(array, self.head.class_axis, -1)
        return array.reshape(-1, self.head.channels)


def ask_at_shape(
    loss: LossAsInFit,
    contract: LossContract,
    head: HeadFacts,
    labels: LabelFacts,
    y: Any,
    sample_weight: Any,
    ids: Ids,
    void: int,
) -> LossAtShape:
    """Ask about right, wrong, constant and undecided predictions of the real labels.

    Parameters
    ----------
    y, sample_weight : as fed.
    ids : (B, H, W), the true class ids; ``void`` marks the pixels that do not count.

    Raises
    ------
    NotExaminedError
        Labels and output do not lie on the same grid, or the ids do not fit the channels.
    """
    start = time.perf_counter()
    page = _page(contract, head, labels, y, sample_weight, ids, void)
    ask = Clerk(_answering(loss, page), QUESTION_LIMIT_S, TOTAL_LIMIT_S)
    answers: dict[str, Answer] = {}
    gradients: dict[str, Float] = {}
    bad = ""
    background = int(np.bincount(page.ids[page.valid], minlength=1).argmax())
    for question in _questions(page, background):
        answer = ask(question)
        if not bad and not question.other and _broken(answer):
            bad = answer.question
        if answer.gradient is not None and question.name in ("undecided", "other labels"):
            gradients[question.name] = np.asarray(answer.gradient)
        answers[question.name] = Answer(
            answer.question, answer.value, None, answer.error, answer.seconds, answer.asked
        )
    ask.dismiss()
    values = {name: answer.value for name, answer in answers.items()}
    total, shares = _shares(page, gradients.get("undecided"))
    legal = (a for a in answers.values() if a.question != "other labels" and a.asked)
    failed = next((a for a in legal if a.error), None)
    return LossAtShape(
        shape=head.shape,
        dtype=head.dtype,
        right=values["right"],
        wrong=values["wrong"],
        background=values["background"],
        undecided=values["undecided"],
        background_class=background,
        agreement=_agreement(page, gradients),
        gradient_total=total,
        gradient_shares=shares,
        pixel_shares=_pixel_shares(page),
        not_finite=bad,
        raises=f"{failed.question}: {failed.error}" if failed else "",
        answers=tuple(answers.values()),
        seconds=time.perf_counter() - start,
    )


def _page(
    contract: LossContract,
    head: HeadFacts,
    labels: LabelFacts,
    y: Any,
    weight: Any,
    ids: Ids,
    void: int,
) -> _Page:
    pixels = int(np.prod(head.shape)) // head.channels
    flat = np.asarray(ids).reshape(-1)
    if flat.size != pixels:
        raise NotExaminedError("labels and output do not lie on the same grid")
    valid = flat != void
    classes = max(head.channels, 2)
    several = head.channels > 1 and valid.any()
    if several and flat[valid].min() == 1 and flat[valid].max() == classes:
        flat = np.where(valid, flat - 1, flat)  # counted from 1: does the loss know it?
    if not valid.any() or flat[valid].min() < 0 or flat[valid].max() >= classes:
        raise NotExaminedError("the labels do not fit the channels of the output")
    return _Page(
        head=head,
        y=np.asarray(y),
        other_y=_other_labels(np.asarray(y), labels, head, valid),
        weight=weight,
        ids=np.where(valid, flat, 0),
        valid=valid,
        logits=(contract.prediction == "logits")
        or (contract.prediction != "probabilities" and head.kind == "logits"),
    )


def _other_labels(y: Any, labels: LabelFacts, head: HeadFacts, valid: NDArray[np.bool_]) -> Any:
    """The labels as fed with the next class at every valid pixel; None where that is unclear."""
    classes = max(head.channels, 2)
    if labels.kind == "onehot" and head.channels > 1:
        axis = y.ndim - 1 if labels.sums_to_one_over is None else labels.sums_to_one_over
        if y.shape[axis] != head.channels:
            return None
        rows = np.moveaxis(y, axis, -1).copy()
        flat = rows.reshape(-1, rows.shape[-1])
        flat[valid] = np.roll(flat[valid], 1, axis=-1)
        return np.moveaxis(rows, -1, axis)
    if labels.kind not in ("ids", "binary") or y.size != valid.size:
        return None
    flat = y.reshape(-1).copy()
    flat[valid] = (flat[valid] + 1) % classes
    return flat.reshape(y.shape)


def _questions(page: _Page, background: int) -> Iterator[_Question]:
    sure, beyond = (6.0, 100.0) if page.logits else (0.98, 1.0)
    wrong = (page.ids + 1) % max(page.head.channels, 2)
    yield _Question("undecided", page.undecided())
    if page.other_y is not None:
        yield _Question("other labels", page.undecided(), other=True)
    yield _Question("right", page.sure(page.ids, sure))
    yield _Question("wrong", page.sure(wrong, sure))
    yield _Question("background", page.sure(np.full_like(page.ids, background), sure))
    yield _Question("saturated and right", page.sure(page.ids, beyond))
    yield _Question("saturated and wrong", page.sure(wrong, beyond))


def _answering(loss: LossAsInFit, page: _Page) -> Callable[[_Question], Answer]:
    import tensorflow as tf

    def answer(question: _Question) -> Answer:
        y_pred = page.laid_out(question.y_pred)
        y = page.other_y if question.other else page.y
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(y_pred)
                value = tf.reduce_sum(loss(y, Outputs(y_pred, None, None), page.weight))
            gradient = tape.gradient(value, y_pred)
        rows = None if gradient is None else page.rows(gradient)
        if rows is not None and not np.isfinite(rows).all():
            return Answer(question.name, float(value), np.full(1, np.nan))
        wanted = question.name in ("undecided", "other labels")
        return Answer(question.name, float(value), rows if wanted else None)

    return answer


def _broken(answer: Answer) -> bool:
    if answer.error or answer.value is None:
        return False
    gradient = answer.gradient
    return not np.isfinite(answer.value) or (
        gradient is not None and not np.isfinite(np.asarray(gradient)).all()
    )


def _shares(page: _Page, gradient: Float | None) -> tuple[float | None, dict[int, float]]:
    if gradient is None or gradient.shape[0] != page.ids.size:
        return None, {}
    by_pixel = np.abs(gradient).sum(axis=-1, dtype=np.float64)
    total = float(by_pixel.sum())
    valid = float(by_pixel[page.valid].sum())
    if valid == 0.0 or not np.isfinite(total):
        return total, {}
    sums = np.bincount(page.ids[page.valid], weights=by_pixel[page.valid])
    present = np.bincount(page.ids[page.valid])
    return total, {int(k): float(sums[k] / valid) for k in np.flatnonzero(present)}


def _pixel_shares(page: _Page) -> dict[int, float]:
    counts = np.bincount(page.ids[page.valid])
    return {int(k): float(counts[k] / counts.sum()) for k in np.flatnonzero(counts)}


def _agreement(page: _Page, gradients: dict[str, Float]) -> float | None:
    if set(gradients) != {"undecided", "other labels"}:
        return None
    one, two = gradients["undecided"], gradients["other labels"]
    if one.shape != two.shape or one.shape[0] != page.ids.size:
        return None
    other = (page.ids + 1) % max(page.head.channels, 2)
    found = agreement((one - two)[page.valid], page.ids[page.valid], other[page.valid])
    return 0.0 if found is None and one[page.valid].any() else found  # deaf to other labels
