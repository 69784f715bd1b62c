"""IoU, ceilings and constants against slow, obvious twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdoctor.measures.decoding import label_ids, predicted_ids
from segdoctor.measures.iou import class_iou, constant_miou, grid_ceiling, mean_iou


def slow_iou(prediction, ids, void):
    scores = {}
    pairs = [(p, t) for p, t in zip(prediction.flat, ids.flat, strict=True) if t != void]
    for label in {int(t) for _, t in pairs}:
        hit = sum(p == label and t == label for p, t in pairs)
        either = sum(label in (p, t) for p, t in pairs)
        scores[label] = hit / either
    return scores


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_iou_equals_the_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.choice([0, 1, 2, 255], (2, 5, 4))
    prediction = rng.integers(0, 4, (2, 5, 4))
    assert class_iou(prediction, ids, 255) == pytest.approx(slow_iou(prediction, ids, 255))


def test_void_pixels_do_not_count() -> None:
    ids = np.array([[[0, 1, 255]]])
    assert mean_iou(np.array([[[0, 1, 0]]]), ids, 255) == 1.0
    assert mean_iou(np.array([[[0, 1, 1]]]), ids, 255) == 1.0
    assert mean_iou(np.full((1, 1, 3), 255), np.full((1, 1, 3), 255), 255) == 0.0


def test_the_best_constant_predictor() -> None:
    ids = np.array([[[0, 0, 0, 1, 255]]])
    expected = max(mean_iou(np.full_like(ids, c), ids, 255) for c in (0, 1))
    assert constant_miou(ids, 255) == pytest.approx(expected) == pytest.approx(0.375)


def test_the_ceiling_falls_with_the_grid() -> None:
    rng = np.random.default_rng(0)
    blobs = np.kron(rng.integers(0, 3, (1, 6, 6)), np.ones((8, 8), int))
    blobs[:, 3:9, 5:13] = 2
    ceilings = [grid_ceiling(blobs, (48 // s, 48 // s), None) for s in (1, 4, 8, 16)]
    assert ceilings[0] == 1.0
    assert ceilings == sorted(ceilings, reverse=True)
    assert ceilings[1] > 0.85


def test_a_mask_that_fits_the_grid_has_no_ceiling() -> None:
    half = np.zeros((1, 32, 32), int)
    half[:, :, 16:] = 1
    assert grid_ceiling(half, (4, 4), None) == 1.0


def test_predictions_of_every_shape() -> None:
    ids = np.array([[[0, 2], [1, 0]]])
    onehot = np.eye(3)[ids]
    for output, axis in (
        (onehot, -1),
        (onehot.reshape(1, 4, 3), -1),
        (onehot.transpose(0, 3, 1, 2), 1),
    ):
        assert (predicted_ids(output, ids.shape, kind="softmax", class_axis=axis) == ids).all()
    one = np.array([[[[-2.0], [0.4]], [[0.6], [3.0]]]])
    assert predicted_ids(one, (1, 2, 2), kind="logits").tolist() == [[[0, 1], [1, 1]]]
    assert predicted_ids(one, (1, 2, 2), kind="sigmoid").tolist() == [[[0, 0], [1, 1]]]


def test_labels_of_every_form_say_the_same() -> None:
    ids = np.array([[[0, 2], [1, 255]]])
    onehot = np.eye(3)[np.where(ids == 255, 0, ids)]
    for fill in (0.0, 255.0, 1 / 3):
        rows = onehot.copy()
        rows[ids == 255] = fill
        assert (label_ids(rows, (2, 2), onehot=True, void=255) == ids).all()
    smoothed = onehot * 0.9 + 0.1 / 3
    smoothed[ids == 255] = 0
    assert (label_ids(smoothed, (2, 2), onehot=True, void=255) == ids).all()
    weight = (ids != 255).astype(float)
    plain = np.where(ids == 255, 0, ids)[..., None]
    found = label_ids(plain, (2, 2), onehot=False, void=255, sample_weight=weight)
    assert (found == ids).all()


def test_rows_that_say_several_classes_are_no_void() -> None:
    rows = np.array([[[[0, 1, 1.0], [0.5, 0.5, 0]], [[0, 0, 0], [0, 0, 1]]]])
    assert label_ids(rows, (2, 2), onehot=True, void=None).tolist() == [[[1, 0], [-1, 2]]]
