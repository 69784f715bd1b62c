"""The labels as fed are told apart: ids, one-hot in every form, and what no loss takes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segdoctor.measures.drawing import voc_palette
from segdoctor.measures.labels import count_values, label_facts

IDS = np.random.default_rng(0).choice([0, 1, 15, 255], (2, 16, 16), p=[0.6, 0.2, 0.1, 0.1])


def onehot(ids: NDArray[np.integer], classes: int = 21, void: str = "zero") -> NDArray[np.float32]:
    y = (ids[..., None] == np.arange(classes)).astype(np.float32)
    if void == "255":
        y[ids == 255] = 255
    if void == "one":
        y[ids == 255, -1] = 255
    return y


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("axis", [False, True])
def test_ids(dtype: str, axis: bool) -> None:
    y = IDS.astype(dtype)
    facts = label_facts(y[..., None] if axis else y, 21, 255)
    assert facts.kind == "ids"
    assert facts.histogram == {value: int((value == IDS).sum()) for value in (0, 1, 15, 255)}
    assert facts.classes_present == 3
    assert (facts.fractional, facts.not_finite) == (0, 0)
    assert label_facts(y).classes_present == 4  # nothing is void unless it is declared


def test_binary() -> None:
    y = (IDS[..., None] == 1).astype(np.float32)
    assert label_facts(y, 1).kind == "binary"
    assert label_facts(y).kind == "binary"
    assert label_facts(y, 2).kind == "ids"
    assert label_facts(y * 255, 1).kind == "ids"
    assert label_facts(y > 0, 1).kind == "binary"


def test_fractions_and_what_is_not_finite() -> None:
    y = IDS / 255
    y[0, 0, :3] = np.nan, np.inf, 0.5
    facts = label_facts(y)
    assert facts.not_finite == 2
    assert facts.fractional == int((y[np.isfinite(y)] % 1 != 0).sum())
    assert sum(facts.histogram.values()) == y.size - 2


@pytest.mark.parametrize(
    ("void", "form"), [("zero", "zero"), ("255", "255"), ("one", "one channel 255")]
)
def test_onehot_and_its_void_rows(void: str, form: str) -> None:
    facts = label_facts(onehot(IDS, void=void), 21, 255)
    count = int((IDS == 255).sum())
    assert facts.kind == "onehot"
    assert facts.void_rows == {form: count}
    assert facts.histogram == {value: int((value == IDS).sum()) for value in (0, 1, 15)}
    assert facts.classes_present == 3
    assert facts.row_sums[1.0] == IDS.size - count
    assert facts.sums_to_one_over is None


def test_onehot_on_another_axis() -> None:
    facts = label_facts(np.moveaxis(onehot(IDS % 3, 3), -1, 1))
    assert (facts.kind, facts.sums_to_one_over) == ("onehot", 1)
    assert facts.classes_present == 1 + len(set((IDS % 3).ravel().tolist()) - {0})
    facts = label_facts(np.moveaxis(onehot(IDS, 21), -1, 1), 21)
    assert (facts.kind, facts.sums_to_one_over) == ("onehot", 1)


def test_flattened_labels() -> None:
    flat = onehot(IDS).reshape(2, -1, 21)
    assert label_facts(flat, 21).kind == "onehot"
    assert label_facts(IDS.reshape(2, -1), 21).kind == "ids"
    assert label_facts(flat).kind == "ids"  # (B, H, W) for all that is known


def test_soft_labels_are_onehot() -> None:
    facts = label_facts(onehot(IDS % 3, 3) * 0.9 + 0.1 / 3, 3)
    assert facts.kind == "onehot"
    assert facts.fractional == facts.shape[0] * facts.shape[1] * facts.shape[2] * 3
    assert facts.void_rows == {}


def test_several_classes_at_once() -> None:
    y = onehot(IDS % 5, 5)
    y[..., 4] = 1
    facts = label_facts(y, 5)
    assert facts.kind == "onehot"
    assert facts.row_sums[2.0] > 0


def test_colours_are_unclear_and_counted() -> None:
    ids = np.where(IDS == 255, 2, IDS)
    facts = label_facts(voc_palette()[ids], 21)
    assert facts.kind == "unclear"
    assert set(facts.colours) == {"0,0,0", "128,0,0", "0,128,0", "192,128,128"}
    scaled = label_facts(voc_palette()[ids] / np.float32(255), 21)
    assert scaled.colours == facts.colours


def test_three_classes_are_no_colours() -> None:
    for y in (onehot(IDS % 3, 3), onehot(np.where(IDS == 255, 255, IDS % 3), 3, "255")):
        facts = label_facts(y, 3)
        assert (facts.kind, facts.colours) == ("onehot", {})


def test_black_and_white_pictures_are_no_onehot() -> None:
    facts = label_facts(np.repeat((IDS[..., None] == 1) * 255, 3, axis=-1))
    assert facts.kind == "unclear"
    assert set(facts.colours) == {"0,0,0", "255,255,255"}


def test_nothing_but_void_rows_is_onehot() -> None:
    facts = label_facts(np.zeros((1, 4, 4, 21), np.float32), 21, 255)
    assert (facts.kind, facts.void_rows, facts.classes_present) == ("onehot", {"zero": 16}, 0)


def test_at_most_512_values_are_kept() -> None:
    y = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    histogram, fractional, _ = count_values(y)
    assert len(histogram) <= 512
    assert fractional == y.size
    assert max(histogram) == pytest.approx(float(y.max()))
