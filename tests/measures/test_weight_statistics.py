"""Streamed statistics beside NumPy's over the whole array."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdoctor.measures.weight_statistics import (
    block_slices,
    statistics_of,
    statistics_of_each,
    total_of,
)


@given(
    arrays.arrays(
        "float32",
        arrays.array_shapes(max_dims=4, max_side=7),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(math.nan) | st.just(math.inf),
    ),
    st.integers(1, 60),
)
def test_blocks_merge_to_the_whole(values: np.ndarray, limit: int) -> None:
    slices = list(block_slices(values.shape, limit))
    blocks = [values[piece] for piece in slices]
    assert sum(block.size for block in blocks) == values.size
    assert max(block.size for block in blocks) <= limit
    total = total_of(blocks)
    finite = values[np.isfinite(values)].astype("float64")
    assert (total.count, total.not_finite) == (values.size, values.size - finite.size)
    if finite.size:
        assert total.zeros == (finite == 0).sum()
        assert (total.minimum, total.maximum) == (finite.min(), finite.max())
        assert total.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-6)
        assert total.std == pytest.approx(finite.std(), rel=1e-5, abs=1e-5)
    else:
        assert math.isnan(total.mean)
        assert math.isnan(total.std)


@pytest.mark.parametrize(
    "values", [np.float32(3), np.array([True, False]), np.arange(4, dtype="i8")]
)
def test_other_types(values: np.ndarray) -> None:
    total = total_of(np.asarray(values)[piece] for piece in block_slices(np.shape(values), 9))
    assert total.mean == np.mean(values)


def test_a_large_offset_does_not_eat_the_deviation() -> None:
    values = np.array([1e8, 1e8 + 8, 1e8 + 16], "float32")
    assert statistics_of(values).std == pytest.approx(values.astype("float64").std())


def test_small_arrays_together_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    arrays = [
        *(rng.normal(3.0, 0.1, n).astype("float32") for n in (1, 7, 300, 5000, 40_000)),
        np.zeros(16, "float32"),
        np.full(9, 1e8, "float32"),
        np.array([1.0, np.nan, 2.0], "float32"),
        np.array([np.inf], "float32"),
        np.array([], "float32"),
        rng.normal(size=64).astype("float16"),
    ]
    for one, each in zip(map(statistics_of, arrays), statistics_of_each(arrays), strict=True):
        assert (one.count, one.not_finite, one.zeros) == (each.count, each.not_finite, each.zeros)
        for name in ("mean", "std", "minimum", "maximum"):
            wanted = getattr(one, name)
            assert getattr(each, name) == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
