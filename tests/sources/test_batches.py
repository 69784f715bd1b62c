"""Batches of the user's own, without TensorFlow: objects that walk like its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from segdoctor.core.errors import UserError
from segdoctor.sources.batches import batch_from_arrays, take_batches

X = np.arange(10 * 4 * 4 * 3, dtype=np.float32).reshape(10, 4, 4, 3)
Y = np.zeros((10, 4, 4), dtype=np.uint8)


class Tensor:
    """Has ``numpy()`` like an eager tensor."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def numpy(self) -> np.ndarray[Any, Any]:
        return self._array


class Dataset:
    """``tf.data``: an element spec, a length that may be unknown."""

    element_spec = None

    def __init__(self, length: int | None = 5) -> None:
        self._length = length

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("The dataset length is unknown.")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter((Tensor(X[i : i + 2]), Tensor(Y[i : i + 2])) for i in range(0, 10, 2))


class Sequence:
    """``PyDataset``."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> Any:
        return X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2], np.ones((2, 4, 4))


def generator() -> Iterator[Any]:
    for i in range(0, 10, 2):
        yield X[i : i + 2], Y[i : i + 2]


def test_arrays_are_cut_as_keras_does() -> None:
    taken = take_batches((X, Y), 2, batch_size=4)
    assert [len(batch.x) for batch in taken.batches] == [4, 4]
    assert (taken.kind, taken.length, taken.lost) == ("arrays", 3, 0)
    assert len(take_batches((X, Y)).batches[0].x) == 10  # 32 at most
    batch, notes = batch_from_arrays((X, Y, np.ones(10)))
    assert batch.sample_weight.shape == (10,)
    assert (batch.source, notes) == ("arrays", ())


@pytest.mark.parametrize(
    ("data", "kind", "length"),
    [
        (Dataset(), "tf.data", 5),
        (Dataset(None), "tf.data", None),
        (Sequence(), "PyDataset", 5),
        (generator, "callable", None),
        ({0: 1}.__class__, None, None),
    ],
)
def test_nothing_is_lost(data: Any, kind: str | None, length: int | None) -> None:
    if kind is None:
        with pytest.raises(UserError, match="no batch"):
            take_batches(data)
        return
    taken = take_batches(data, 2)
    assert (taken.kind, taken.length, taken.lost, taken.notes) == (kind, length, 0, ())
    assert len(taken.batches) == 2
    np.testing.assert_array_equal(taken.batches[1].x, X[2:4])
    assert taken.batches[0].source == "dataset"


@pytest.mark.parametrize("count", [1, 2])
def test_a_generator_loses_what_was_read_and_it_is_said(count: int) -> None:
    data = generator()
    taken = take_batches(data, count)
    assert taken.lost == count
    assert f"{count} batch" in taken.notes[0]
    np.testing.assert_array_equal(next(data)[0], X[2 * count : 2 * count + 2])


def test_a_buffer_that_is_used_again_is_copied() -> None:
    def reusing() -> Iterator[Any]:
        x, y = np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4))
        for i in range(3):
            x[:] = i
            yield x, y

    taken = take_batches(reusing(), 3)
    assert [batch.x.max() for batch in taken.batches] == [0, 1, 2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((X[0], Y), r"x\.shape=\(4, 4, 3\)"),
        ((X, Y[:9]), "same number of examples"),
        ((X, Y, np.ones(9)), "sample_weight.shape"),
        ((X, np.zeros(10)), "y must be masks"),
        ((X,), "1 parts"),
        ((X[:0], Y[:0]), "must hold an example"),
        (({"image": X}, Y), "dict with image"),
        ((X, np.array(["a"] * 10)), "must hold numbers"),
        (([np.zeros((2, 2, 3)), np.zeros((3, 2, 3))], Y[:2]), "no array"),
        (iter([]), "empty generator"),
        (iter([X]), "ndarray"),
        (X, "ndarray"),
        (5, "int"),
        (lambda: 5, "make a generator"),
        (lambda n: n, "no argument"),
    ],
)
def test_what_does_not_fit_is_one_line(data: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        batch_from_arrays(data)
    assert "\n" not in str(caught.value)
