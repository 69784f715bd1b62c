"""Live Keras losses, asked: what they take is found without their source."""

from __future__ import annotations

import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
import tensorflow as tf
from keras import losses

from segdoctor.recorder.loss_answers import ask_loss

Sparse = losses.SparseCategoricalCrossentropy

KERAS_LOSSES: list[tuple[Any, str, str, tuple[int, ...]]] = [
    (Sparse(from_logits=True), "ids", "logits", ()),
    (Sparse(from_logits=True, ignore_class=255), "ids", "logits", (255,)),
    (Sparse(ignore_class=-1), "ids", "probabilities", (-1,)),
    (Sparse(), "ids", "probabilities", ()),
    ("crossentropy", "either", "probabilities", ()),
    (losses.CategoricalCrossentropy(label_smoothing=0.1), "onehot", "probabilities", ()),
    (losses.CategoricalFocalCrossentropy(from_logits=True), "onehot", "logits", ()),
    (losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), "onehot", "logits", ()),
    (losses.BinaryFocalCrossentropy(), "onehot", "probabilities", ()),
    (losses.KLDivergence(), "onehot", "probabilities", ()),
    (losses.Dice(axis=(0, 1, 2)), "onehot", "probabilities", ()),
    (losses.Tversky(alpha=0.3, beta=0.7), "onehot", "probabilities", ()),
    (losses.MeanAbsoluteError(), "onehot", "either", ()),
    ([Sparse(from_logits=True)], "ids", "logits", ()),
]


@pytest.mark.parametrize("channels", [2, 21])
def test_losses_of_keras(channels: int) -> None:
    for loss, labels, scale, ignores in KERAS_LOSSES:
        found = ask_loss(loss, channels)
        assert (found.labels, found.prediction, found.ignores) == (labels, scale, ignores), found
        assert found.facts["best_is_label"], found.name
        assert "not_finite" not in found.facts, found.name
        assert "raises_at" not in found.facts, found.name


def test_a_loss_that_never_returns() -> None:
    ended = []

    def slow(y_true: Any, y_pred: Any) -> Any:
        ended.append(time.sleep(3))
        return tf.reduce_mean(y_pred)

    found = ask_loss(slow, 3, limit_s=0.3)
    assert not ended  # it was not waited for
    assert "no answer within 0.3 s" in found.raises


def test_a_metric_in_the_place_of_a_loss_keeps_its_state() -> None:
    metric = keras.metrics.MeanIoU(3)
    metric.update_state([0, 1, 2], [0, 1, 1])
    before = float(metric.result())
    found = ask_loss(metric, 3)
    assert found.facts["has_gradient"] is False
    assert float(metric.result()) == before


def test_a_loss_that_looks_at_a_neighbourhood_gets_larger_arrays() -> None:
    def ssim(y_true: Any, y_pred: Any) -> Any:
        return 1 - tf.image.ssim(y_true, y_pred, max_val=1.0)

    found = ask_loss(ssim, 3)
    assert found.raises == ""
    assert found.labels == "onehot"


def test_an_equal_loss_of_keras_is_asked_once_and_any_other_each_time() -> None:
    keras = pytest.importorskip("keras")
    from segdoctor.recorder.loss_answers import equal_for

    def own(y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    class Own(keras.losses.SparseCategoricalCrossentropy):
        pass

    sparse = keras.losses.SparseCategoricalCrossentropy
    one = ask_loss(sparse(from_logits=True, ignore_class=255), 5)
    assert ask_loss(sparse(from_logits=True, ignore_class=255), 5) is one
    for other in (sparse(from_logits=True), sparse(ignore_class=255)):
        assert ask_loss(other, 5) is not one
    assert ask_loss(sparse(from_logits=True, ignore_class=255), 6) is not one
    changed = sparse(from_logits=True)
    changed.call = own
    for strange in (own, Own(), changed, "my_loss"):
        assert equal_for(strange) is None


def test_settings_that_are_not_in_the_configuration_count() -> None:
    from segdoctor.recorder.loss_answers import equal_for

    one, other = losses.CosineSimilarity(axis=-1), losses.CosineSimilarity(axis=1)
    assert equal_for(one) == equal_for(losses.CosineSimilarity())
    assert equal_for(one) != equal_for(other)
