"""Losses of a few NumPy lines are asked; the contract must say what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdoctor.core.measured import Answer, LossContract
from segdoctor.measures.loss_questions import interview, loss_questions
from segdoctor.measures.loss_sheet import Question, Sheet

Array = NDArray[Any]
Loss = Callable[[Array, Array], float]


def answer(loss: Loss) -> Callable[[Question], Answer]:
    """Value and gradient by central differences: exactly 0 where the loss does not move."""

    def ask(question: Question) -> Answer:
        y_true = question.y_true
        y_pred = question.y_pred.astype(np.float64)
        with np.errstate(all="ignore"):
            try:
                value = float(loss(y_true, y_pred))
            except (ValueError, IndexError, TypeError) as error:
                return Answer(question.name, None, error=f"{type(error).__name__}: {error}")
            gradient = np.zeros_like(y_pred)
            for place in np.ndindex(*y_pred.shape):
                near = y_pred.copy()
                near[place] += 1e-5
                above = loss(y_true, near)
                near[place] -= 2e-5
                gradient[place] = (above - loss(y_true, near)) / 2e-5
        return Answer(question.name, value, gradient)

    return ask


def contract(loss: Loss, channels: int = 3, **settings: Any) -> LossContract:
    return interview(answer(loss), loss_questions(channels, spatial=(2, 3), **settings))


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(z: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(z / 2.0)))


def log_softmax(z: Array) -> Array:
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def clipped(p: Array) -> Array:
    return np.clip(p, 1e-7, 1 - 1e-7)


def sparse(y: Array, p: Array) -> tuple[Array, Array]:
    """Ids without channel axis, checked as a strict framework does."""
    if y.ndim == p.ndim and y.shape[-1] == 1:
        y = y[..., 0]
    if y.shape != p.shape[:-1]:
        raise ValueError(f"rank of labels {y.ndim}, of predictions {p.ndim}")
    return y.astype(int), p


def same(y: Array, p: Array) -> tuple[Array, Array]:
    if y.shape != p.shape:
        raise ValueError(f"shapes {y.shape} and {p.shape} do not fit")
    return y, p


def pick(y: Array, values: Array) -> Array:
    if y.min() < 0 or y.max() >= values.shape[-1]:
        raise ValueError(f"label outside [0, {values.shape[-1]})")
    return np.take_along_axis(values, y[..., None], axis=-1)[..., 0]


def sparse_ce(y: Array, p: Array) -> float:
    y, p = sparse(y, p)
    return float(-pick(y, np.log(clipped(p))).mean())


def sparse_ce_logits(y: Array, z: Array) -> float:
    y, z = sparse(y, z)
    return float(-pick(y, log_softmax(z)).mean())


def sparse_ce_ignoring(y: Array, z: Array) -> float:
    y, z = sparse(y, z)
    valid = y != 255
    terms = -pick(np.where(valid, y, 0), log_softmax(np.where(valid[..., None], z, 0)))
    return float((terms * valid).sum() / valid.sum()) if valid.any() else 0.0


def ce_probabilities(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(-(y * np.log(clipped(p))).sum(axis=-1).mean())


def ce_normalising(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(-(y * np.log(clipped(p / p.sum(axis=-1, keepdims=True)))).sum(axis=-1).mean())


def ce_unclipped(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(-(y * np.log(p)).sum(axis=-1).mean())


def ce_logits(y: Array, z: Array) -> float:
    y, z = same(y, z)
    return float(-(y * log_softmax(z)).sum(axis=-1).mean())


def ce_smoothed(y: Array, z: Array) -> float:
    y, z = same(y, z)
    return ce_logits(0.8 * y + 0.2 / z.shape[-1], z)


def ce_smoothed_probabilities(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return ce_probabilities(0.8 * y + 0.2 / p.shape[-1], p)


def focal_probabilities(y: Array, p: Array) -> float:
    y, p = same(y, p)
    p = clipped(p)
    return float(-(y * (1 - p) ** 2 * np.log(p)).sum(axis=-1).mean())


def focal_logits(y: Array, z: Array) -> float:
    y, z = same(y, z)
    p = softmax(z)
    return float(-(y * (1 - p) ** 2 * log_softmax(z)).sum(axis=-1).mean())


def dice(y: Array, p: Array) -> float:
    y, p = same(y, p)
    axes = tuple(range(p.ndim - 1))
    overlap = 2 * (y * p).sum(axis=axes) + 1e-6
    return float(1 - (overlap / ((y + p).sum(axis=axes) + 1e-6)).mean())


def dice_squared(y: Array, p: Array) -> float:
    y, p = same(y, p)
    axes = tuple(range(p.ndim - 1))
    return float(1 - (2 * (y * p).sum(axis=axes) / ((y * y + p * p).sum(axis=axes) + 1e-6)).mean())


def minus_dice(y: Array, p: Array) -> float:
    return dice(y, p) - 1


def log_dice(y: Array, p: Array) -> float:
    return float(-np.log(np.maximum(1 - dice(y, p), 1e-3)))


def dice_logits(y: Array, z: Array) -> float:
    return dice(same(y, z)[0], softmax(z))


def dice_sigmoid_logits(y: Array, z: Array) -> float:
    return dice(same(y, z)[0], sigmoid(z))


def tversky(y: Array, p: Array) -> float:
    y, p = same(y, p)
    hit = (y * p).sum()
    return float(1 - (hit + 1e-6) / (hit + 0.3 * ((1 - y) * p).sum() + 0.7 * (y * (1 - p)).sum()))


def jaccard(y: Array, p: Array) -> float:
    y, p = same(y, p)
    hit = (y * p).sum()
    return float(1 - (hit + 1e-6) / ((y + p).sum() - hit + 1e-6))


def lovasz(y: Array, p: Array) -> float:
    y, p = same(y, p)
    terms = []
    for c in range(p.shape[-1]):
        truth, errors = y[..., c].ravel(), np.abs(y[..., c] - p[..., c]).ravel()
        order = np.argsort(-errors)
        truth = truth[order]
        union = truth.sum() + np.cumsum(1 - truth)
        jaccards = 1 - (truth.sum() - np.cumsum(truth)) / np.maximum(union, 1e-9)
        steps = np.diff(jaccards, prepend=0.0)
        terms.append(float(errors[order] @ steps))
    return float(np.mean(terms))


def ce_and_dice(y: Array, p: Array) -> float:
    return ce_probabilities(y, p) + dice(y, p)


def ce_and_dice_logits(y: Array, z: Array) -> float:
    return ce_logits(y, z) + dice_logits(y, z)


def bce(y: Array, p: Array) -> float:
    y, p = same(y, p)
    p = clipped(p)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def bce_logits(y: Array, z: Array) -> float:
    y, z = same(y, z)
    return float((np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean())


def bce_logits_smoothed(y: Array, z: Array) -> float:
    return bce_logits(0.9 * same(y, z)[0] + 0.05, z)


def hinge(y: Array, z: Array) -> float:
    y, z = same(y, z)
    return float(np.maximum(0, 1 - (2 * y - 1) * z).mean())


def mse(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(((y - p) ** 2).mean())


def mae(y: Array, p: Array) -> float:
    y, p = same(y, p)
    return float(np.abs(y - p).mean())


def kld(y: Array, p: Array) -> float:
    y, p = same(y, p)
    y, p = np.clip(y, 1e-7, 1), np.clip(p, 1e-7, 1)
    return float((y * np.log(y / p)).sum(axis=-1).mean())


def boundary_weighted(y: Array, p: Array) -> float:
    y, p = same(y, p)
    ids = y.argmax(axis=-1)
    edge = 1.0 + 4.0 * (ids != np.roll(ids, 1, axis=1))
    return float((edge * -(y * np.log(clipped(p))).sum(axis=-1)).mean())


def class_weighted(y: Array, z: Array) -> float:
    y, z = sparse(y, z)
    return float((-pick(y, log_softmax(z)) * np.array([0.1, 1.0, 5.0])[y]).mean())


def named(value: Any) -> str:
    return str(getattr(value, "__name__", value))


SOUND = [
    (sparse_ce, "ids", "probabilities"),
    (sparse_ce_logits, "ids", "logits"),
    (sparse_ce_ignoring, "ids", "logits"),
    (class_weighted, "ids", "logits"),
    (ce_probabilities, "onehot", "probabilities"),
    (ce_normalising, "onehot", "probabilities"),
    (ce_logits, "onehot", "logits"),
    (ce_smoothed, "onehot", "logits"),
    (ce_smoothed_probabilities, "onehot", "probabilities"),
    (focal_probabilities, "onehot", "probabilities"),
    (focal_logits, "onehot", "logits"),
    (dice, "onehot", "probabilities"),
    (dice_squared, "onehot", "probabilities"),
    (minus_dice, "onehot", "probabilities"),
    (log_dice, "onehot", "probabilities"),
    (dice_logits, "onehot", "logits"),
    (dice_sigmoid_logits, "onehot", "logits"),
    (tversky, "onehot", "probabilities"),
    (jaccard, "onehot", "probabilities"),
    (lovasz, "onehot", "probabilities"),
    (ce_and_dice, "onehot", "probabilities"),
    (ce_and_dice_logits, "onehot", "logits"),
    (bce, "onehot", "probabilities"),
    (bce_logits, "onehot", "logits"),
    (bce_logits_smoothed, "onehot", "logits"),
    (hinge, "onehot", "logits"),
    (mse, "onehot", "either"),
    (mae, "onehot", "either"),
    (kld, "onehot", "probabilities"),
    (boundary_weighted, "onehot", "probabilities"),
]


@pytest.mark.parametrize(
    ("loss", "labels", "scale"), SOUND, ids=lambda p: getattr(p, "__name__", p)
)
def test_a_sound_loss_is_known_by_its_answers(loss: Loss, labels: str, scale: str) -> None:
    found = contract(loss)
    assert found.raises == ""
    assert (found.labels, found.prediction) == (labels, scale)
    assert found.facts["best_is_label"], found.facts
    assert found.facts["has_gradient"]
    assert found.facts["deterministic"]
    assert "not_finite" not in found.facts


@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        (bce, "probabilities"),
        (bce_logits, "logits"),
        (bce_logits_smoothed, "logits"),
        (dice, "probabilities"),
        (dice_squared, "probabilities"),
        (dice_sigmoid_logits, "logits"),
        (tversky, "probabilities"),
        (jaccard, "probabilities"),
        (hinge, "logits"),
        (mse, "either"),
    ],
    ids=named,
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_yes_no_losses_at_any_number_of_channels(loss: Loss, scale: str, channels: int) -> None:
    def squeezing(y: Array, p: Array) -> float:
        return loss(y[..., None] if y.ndim < p.ndim and channels == 1 else y, p)

    found = contract(squeezing, channels)
    assert found.prediction == scale
    assert found.facts["best_is_label"]
    assert found.labels == ("either" if channels == 1 else "onehot")


def test_which_label_value_is_ignored() -> None:
    assert contract(sparse_ce_ignoring).ignores == (255,)
    assert contract(sparse_ce_ignoring).facts["value_-1"] == "raises"
    assert contract(sparse_ce_logits).ignores == ()
    assert contract(sparse_ce_logits).facts["value_255"] == "raises"


def test_void_in_one_hot_rows() -> None:
    def masked(y: Array, z: Array) -> float:
        y, z = same(y, z)
        valid = (y != 255).all(axis=-1)
        terms = -(y * log_softmax(z)).sum(axis=-1)
        return float(np.where(valid, terms, 0).sum() / max(valid.sum(), 1))

    assert contract(masked).ignores == (255,)
    plain = contract(ce_probabilities)
    assert plain.ignores == ()
    assert plain.facts["zero_rows"] == "ignored"
    assert plain.facts["rows_255"] == "gradient"
    # Zero rows have no overlap, but they stand in Dice's denominator.
    assert contract(dice).facts["zero_rows"] == "gradient"


def test_background_left_out_is_seen() -> None:
    def objects_only(y: Array, z: Array) -> float:
        y, z = sparse(y, z)
        return float((-pick(y, log_softmax(z)) * (y != 0)).sum() / max((y != 0).sum(), 1))

    assert contract(objects_only).ignores == (0,)


def test_reduction() -> None:
    assert contract(sparse_ce).reduction == "mean"
    assert contract(dice).reduction == "whole batch"
    assert contract(lambda y, p: sparse_ce(y, p) * p[..., 0].size).reduction == "sum"


def test_a_loss_that_takes_both_encodings() -> None:
    def either(y: Array, z: Array) -> float:
        if y.shape == z.shape:
            y = y.argmax(axis=-1)
        return sparse_ce_logits(y, z)

    found = contract(either)
    assert found.labels == "either"
    assert found.forms == ("BHWC", "BHW", "BHW1")


def test_ids_that_merely_broadcast_are_not_taken_for_accepted() -> None:
    def careless_mse(y: Array, p: Array) -> float:
        return float(((y - p) ** 2).mean())

    def careless_dice(y: Array, p: Array) -> float:
        axes = (0, 1, 2)
        return float(1 - (2 * (y * p).sum(axis=axes) / (y + p).sum(axis=axes)).mean())

    def careless_ce(y: Array, z: Array) -> float:
        return float(-(y * log_softmax(z)).sum(axis=-1).mean())

    for loss in (careless_mse, careless_dice, careless_ce):
        for channels in (2, 3, 21):
            found = contract(loss, channels)
            assert found.labels == "onehot"
            assert found.forms == ("BHWC",)


def test_a_score_in_the_place_of_a_loss() -> None:
    found = contract(lambda y, p: 1 - dice(y, p))
    assert found.facts["best_is_label"] is False
    assert found.facts["lowest_wrong"] < found.facts["lowest_right"]  # type: ignore[operator]


def test_no_gradient() -> None:
    def accuracy_loss(y: Array, p: Array) -> float:
        y, p = same(y, p)
        return float(np.mean(y.argmax(axis=-1) != p.argmax(axis=-1)))

    found = contract(accuracy_loss)
    assert found.facts["has_gradient"] is False
    assert found.facts["gradient"] == "zero everywhere"
    assert found.prediction == "unknown"


def test_not_finite_at_the_edges() -> None:
    assert contract(ce_unclipped).facts["not_finite"] == "saturated and right"
    assert contract(ce_unclipped).prediction == "probabilities"

    def dice_of_the_absent(y: Array, p: Array) -> float:
        y, p = same(y, p)
        axes = tuple(range(p.ndim - 1))
        return float(1 - (2 * (y * p).sum(axis=axes) / (y + p).sum(axis=axes)).mean())

    assert contract(dice_of_the_absent).facts["not_finite"] == "one class only, right"

    def mean_over_nothing(y: Array, z: Array) -> float:
        y, z = sparse(y, z)
        valid = y != 255
        return float((-pick(np.where(valid, y, 0), log_softmax(z)) * valid).sum() / valid.sum())

    assert contract(mean_over_nothing).facts["not_finite"] == "nothing but void"


def test_a_loss_that_always_raises() -> None:
    def printed_dice(y: Array, p: Array) -> float:
        valid = y != 255
        return float(np.sum(y[valid] * p[valid], axis=1))

    found = contract(printed_dice)
    assert "axis" in found.raises or "boolean index" in found.raises
    assert found.labels == "unknown"
    assert found.forms == ()


def test_a_loss_with_hidden_state_is_not_judged() -> None:
    rng = np.random.default_rng(0)
    found = contract(lambda y, p: bce(y, p) + rng.normal())
    assert found.facts["deterministic"] is False
    assert found.prediction == "unknown"


def test_always_nan() -> None:
    found = contract(lambda y, p: float("nan"))
    assert found.raises == ""
    assert found.facts["not_finite"] == "soft predictions (BHWC)"
    assert found.labels == "unknown"


def test_yes_no_and_competing_channels() -> None:
    assert contract(bce).facts["yes_no_per_channel"] is True
    assert contract(ce_normalising).facts["channels_compete"] is True
    for loss in (mse, dice, ce_probabilities):
        assert contract(loss).facts["yes_no_per_channel"] is False


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 21])
def test_the_sheet(channels: int) -> None:
    sheet = Sheet.draw(channels, (4, 6), 0)
    assert np.all(sheet.ids != sheet.wrong)
    assert channels not in sheet.ids.shape
    assert sheet.void.any(axis=(1, 2)).all()
    assert not sheet.void.all(axis=(1, 2)).any()
    assert len(np.unique(sheet.ids)) == max(channels, 2)
    if channels > 1:
        np.testing.assert_allclose(sheet.near(1.3).sum(axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(sheet.soft().sum(axis=-1), 1.0, rtol=1e-5)
