"""Pixels in a row, (B, H·W, C): labels of a folder are fed as the output is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segdoctor.core.measured import HeadFacts
from segdoctor.core.run import Batch
from segdoctor.examination.feeding import _as_the_output

X = np.zeros((2, 4, 6, 3), np.float32)
IDS = np.arange(2 * 4 * 6).reshape(2, 4, 6) % 3


@pytest.mark.parametrize(
    ("output", "y", "shape"),
    [
        ((None, 24, 3), IDS, (2, 24)),
        ((None, None, 3), IDS, (2, 24)),
        ((None, 24, 3), np.eye(3)[IDS], (2, 24, 3)),
        ((None, 24, 1), IDS[..., None], (2, 24, 1)),
        ((None, 4, 6, 3), IDS, (2, 4, 6)),
        ((None, 7, 3), IDS, (2, 4, 6)),
    ],
)
def test_labels_in_a_row(output: tuple[Any, ...], y: Any, shape: tuple[int, ...]) -> None:
    fed = _as_the_output(Batch(X, y), SimpleNamespace(output_shape=output))
    assert fed.y.shape == shape
    np.testing.assert_array_equal(np.asarray(fed.y).reshape(y.shape), y)


@pytest.mark.parametrize("stride", [1, 2])
def test_an_output_of_another_grid_has_no_score(stride: int) -> None:
    keras = pytest.importorskip("keras")
    from segdoctor.examination.as_loaded import score_as_loaded

    model = keras.Sequential([keras.Input(X.shape[1:]), keras.layers.Conv2D(3, 1, stride)])
    head = HeadFacts((2, 4, 6, 3), 3, 3, "logits", -1.0, 1.0, 0.0)
    score = score_as_loaded(model, lambda size, count: Batch(X, IDS, ids=IDS), head, None)
    assert bool(score) is (stride == 1)


@pytest.mark.parametrize("scrambled", [True, False])
def test_the_order_behind_a_sequential_model(scrambled: bool) -> None:
    keras = pytest.importorskip("keras")
    from segdoctor.recorder.live_graph import live_graph
    from segdoctor.recorder.pixel_order import pixel_order

    layers = keras.layers
    tail = (
        [layers.Reshape((3, 24)), layers.Permute((2, 1))]
        if scrambled
        else [layers.Reshape((24, 3))]
    )
    model = keras.Sequential([keras.Input(X.shape[1:]), layers.Conv2D(3, 1), *tail])
    seen = pixel_order(model, live_graph(model, "keras3"))
    assert seen is not None
    assert (seen.place_right < seen.marks) is scrambled
