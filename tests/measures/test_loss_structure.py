"""What a loss couples, told from its answers alone: losses of a few NumPy lines, no TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.measured import Answer
from segdoctor.measures.metric_questions import Fed, Question, hold, metric_questions
from tests.measures.test_loss_questions import (
    Array,
    ce_logits,
    ce_probabilities,
    clipped,
    contract,
    dice,
    mse,
    same,
    softmax,
)


def dice_over(*axes: int) -> Any:
    def loss(y: Array, p: Array) -> float:
        y, p = same(y, p)
        overlap = 2 * (y * p).sum(axis=axes) + 1e-3
        return float(1 - (overlap / ((y + p).sum(axis=axes) + 1e-3)).mean())

    return loss


def micro_dice(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(1 - (2 * (y * p).sum() + 1) / (y.sum() + p.sum() + 1))


def softmax_over_pixels(y: Array, z: Array) -> float:
    y, z = same(y, z)
    p = softmax(z.reshape(len(z), -1, z.shape[-1]).swapaxes(1, 2)).swapaxes(1, 2)
    return float(-(y * np.log(clipped(p.reshape(z.shape)))).sum(axis=-1).mean())


@pytest.mark.parametrize(
    ("loss", "depends_on", "wrong"),
    [
        (ce_probabilities, "pixel", None),
        (dice_over(1, 2), "image", None),
        (dice_over(0, 1, 2), "batch", None),
        (dice_over(1), "column", "1"),
        (dice_over(2), "row", "2"),
        (dice_over(0), "other images", "0"),
        (dice_over(0, 2), "row of every image", "0, 2"),
    ],
)
def test_which_pixels_a_pixel_depends_on(loss: Any, depends_on: str, wrong: str | None) -> None:
    facts = contract(loss).facts
    assert facts["depends_on"] == depends_on
    assert facts.get("wrong_axes") == wrong


def test_whether_classes_are_compared() -> None:
    assert contract(softmax_over_pixels).facts["classes_compared"] is False
    for loss in (ce_logits, ce_probabilities, dice, mse):
        assert contract(loss).facts["classes_compared"] is True


def test_which_losses_forget_the_classes() -> None:
    assert contract(micro_dice).facts["forgets_classes"] is True
    assert contract(mse).facts["per_entry"] is True
    for loss in (ce_probabilities, dice, mse):
        assert contract(loss).facts["forgets_classes"] is False


def test_a_mean_over_all_pixels_is_told_from_one_over_the_valid() -> None:
    def masked(y: Array, p: Array, *, valid_only: bool) -> float:
        y, p = same(y, p)
        valid = (y <= 1).all(axis=-1)
        terms = np.where(valid, -(np.where(valid[..., None], y, 0) * np.log(clipped(p))).sum(-1), 0)
        return float(terms.sum() / max(valid.sum(), 1) if valid_only else terms.mean())

    diluted = contract(lambda y, p: masked(y, p, valid_only=False))
    assert diluted.facts["dilutes_rows_255"] is True
    assert diluted.facts["ratio_rows_255"] < 1  # type: ignore[operator]
    assert contract(lambda y, p: masked(y, p, valid_only=True)).facts["dilutes_rows_255"] is False


def test_a_score() -> None:
    facts = contract(lambda y, p: 1 - dice(y, p)).facts
    assert facts["rises_with_quality"] is True
    assert contract(dice).facts["rises_with_quality"] is False


def metric(function: Any) -> Any:
    """A metric as the mean over batches of a function."""

    def answer(question: Question) -> Answer:
        return Answer(
            question.name, float(np.mean([function(y, p) for y, p, _ in question.batches]))
        )

    return answer


def test_a_metric_is_asked_without_keras() -> None:
    def iou(y: Array, p: Array) -> float:
        hit = ((y.argmax(-1) == 1) & (p.argmax(-1) == 1)).sum()
        return float(hit / max(((y.argmax(-1) == 1) | (p.argmax(-1) == 1)).sum(), 1))

    found = hold(metric(iou), metric_questions(3, Fed("softmax", "BHWC")))
    assert found.facts["works_as_fed"] is True
    assert found.facts["batches_apart"] != found.facts["batches_together"]

    def of_ids(y: Array, p: Array) -> float:
        return float((y == p.astype(int)).mean()) if y.shape == p.shape else float("nan")

    found = hold(metric(of_ids), metric_questions(3, Fed("softmax", "BHW")))
    assert found.arranged == "arg max"
