"""Streams of batches: sick ones, their healthy twins, and what only looks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdoctor.core.engine import examine
from segdoctor.core.errors import UserError
from segdoctor.core.stream_facts import StreamFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.stream import BufferReused, NormalisationPerBatch, NotShuffled, PairChanges
from segdoctor.sources.stream import watch_batches

PROBES = (NotShuffled(), NormalisationPerBatch(), BufferReused(), PairChanges())
RNG = np.random.default_rng(0)
COUNT, SIZE = 12, 2
Array = NDArray[Any]

# Bright and dark pictures of 8 bits, each with a mask of two regions of its own.
PIXELS = (
    RNG.integers(0, 240, (COUNT, 8, 8, 3)) * np.linspace(0.2, 1, COUNT)[:, None, None, None]
).astype(np.uint8)
MASKS = RNG.integers(0, 3, (COUNT, 8, 8)).astype(np.uint8)


class Stream:
    """Passes over the examples again and again, like a data set; ``make`` gives a batch."""

    element_spec = None

    def __init__(
        self, make: Callable[[Array], Any], *, shuffle: bool = True, size: int = SIZE
    ) -> None:
        self._make, self._shuffle, self._size = make, shuffle, size
        self._rng = np.random.default_rng(1)

    def __len__(self) -> int:
        return COUNT // self._size

    def __iter__(self) -> Iterator[Any]:
        order = self._rng.permutation(COUNT) if self._shuffle else np.arange(COUNT)
        for start in range(0, COUNT, self._size):
            yield self._make(order[start : start + self._size])


def scaled(chosen: Array) -> Array:
    return (PIXELS[chosen] / 127.5 - 1).astype(np.float32)


def sound(chosen: Array) -> tuple[Array, Array]:
    return scaled(chosen), MASKS[chosen]


def facts_of(data: Any) -> StreamFacts:
    found = watch_batches(data)[1]
    assert found is not None
    return found


def codes(data: Any) -> list[str]:
    trace = Trace({"stream": facts_of(data)})
    return [probe.code for probe in PROBES if examine(probe, trace).findings]


def by_largest(chosen: Array) -> tuple[Array, Array]:
    x = PIXELS[chosen].astype(np.float32)
    return x / x.max(), MASKS[chosen]


def standardised(chosen: Array) -> tuple[Array, Array]:
    x = PIXELS[chosen].astype(np.float32)
    return (x - x.mean()) / x.std(), MASKS[chosen]


def each_standardised(chosen: Array) -> tuple[Array, Array]:
    x = PIXELS[chosen].astype(np.float32)
    mean, deviation = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return (x - mean) / deviation, MASKS[chosen]


class ByMaximum:
    """Scales a batch only where it is bright: ``if x.max() > 100``."""

    def __call__(self, chosen: Array) -> tuple[Array, Array]:
        x = PIXELS[chosen].astype(np.float32)
        return (x / 255 if chosen[0] % 2 else x), MASKS[chosen]


class Augmented:
    def __init__(self, flip_mask: bool) -> None:
        self._rng, self._flip_mask = np.random.default_rng(4), flip_mask

    def __call__(self, chosen: Array) -> tuple[Array, Array]:
        x, y = scaled(chosen), MASKS[chosen].copy()
        for i in range(len(x)):
            if self._rng.random() < 0.5:
                x[i] = x[i][:, ::-1].copy()
                if self._flip_mask:
                    y[i] = y[i][:, ::-1].copy()
        return x, y


class LabelsShuffled:
    def __init__(self) -> None:
        self._rng = np.random.default_rng(5)

    def __call__(self, chosen: Array) -> tuple[Array, Array]:
        return scaled(chosen), MASKS[self._rng.permutation(COUNT)[: len(chosen)]]


def blurred(chosen: Array) -> tuple[Array, Array]:
    """Resized, so that there are no steps between values; then each batch to 0 … 1."""
    x = PIXELS[chosen].astype(np.float32)
    x = (x + np.roll(x, 1, 1) * 0.37 + np.roll(x, 1, 2) * 0.21) / 1.58
    return (x - x.min()) / (x.max() - x.min()), MASKS[chosen]


def brighter(chosen: Array) -> tuple[Array, Array]:
    """Each image by an amount of its own, and clipped."""
    change = RNG.uniform(-0.3, 0.3, (len(chosen), 1, 1, 1))
    return np.clip(scaled(chosen) + change, -1, 0.6).astype(np.float32), MASKS[chosen]


def noisy(chosen: Array) -> tuple[Array, Array]:
    x = scaled(chosen)
    return x + RNG.normal(0, 0.05, x.shape).astype(np.float32), MASKS[chosen]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (sound, []),
        (noisy, []),
        (brighter, []),
        (each_standardised, []),
        (Augmented(flip_mask=True), []),
        (lambda chosen: (PIXELS[chosen] / 255.0, MASKS[chosen]), []),
        (by_largest, ["DATA014"]),
        (standardised, ["DATA014"]),
        (ByMaximum(), ["DATA014"]),
        (LabelsShuffled(), ["DATA016"]),
    ],
    ids=["sound", "noise", "brighter and clipped", "each image standardised", "both flipped",
         "x/255", "x/max", "batch standardised", "branch on max", "labels shuffled"],
)  # fmt: skip
def test_streams(make: Callable[[Array], Any], expected: list[str]) -> None:
    assert codes(Stream(make)) == expected


def test_resized_images_scaled_by_their_batch() -> None:
    assert codes(Stream(blurred, size=4)) == ["DATA014"]
    sound_twin = Stream(
        lambda chosen: (blurred(np.arange(COUNT))[0][chosen], MASKS[chosen]), size=4
    )
    assert codes(sound_twin) == []


def test_an_image_flipped_alone() -> None:
    data = Stream(Augmented(flip_mask=False), shuffle=False)
    assert codes(data) == ["DATA016"]
    assert facts_of(data).turned_image > 0
    both = Stream(Augmented(flip_mask=True), shuffle=False)
    assert "DATA016" not in codes(both)


def test_the_same_order_in_every_epoch() -> None:
    assert codes(Stream(sound, shuffle=False)) == ["DATA012"]
    assert facts_of(Stream(sound)).same_order is False


def test_one_slice_over_and_over() -> None:
    same = Stream(lambda chosen: sound(np.array([1, 2])))
    assert codes(same) == ["DATA012"]
    assert facts_of(same).alike == 2


class Sequence:
    """A PyDataset, which ``fit`` shuffles; with ``reuse`` it fills one buffer."""

    def __init__(self, *, reuse: bool) -> None:
        self._reuse = reuse
        self._x = np.zeros((SIZE, 8, 8, 3), np.float32)
        self._y = np.zeros((SIZE, 8, 8), np.uint8)

    def __len__(self) -> int:
        return COUNT // SIZE

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        x, y = sound(np.arange(index * SIZE, (index + 1) * SIZE))
        if not self._reuse:
            return x, y
        self._x[:], self._y[:] = x, y
        return self._x, self._y


def test_a_buffer_that_is_written_into() -> None:
    assert codes(Sequence(reuse=False)) == []
    data = Sequence(reuse=True)
    assert codes(data) == ["DATA015"]
    assert facts_of(data).overwritten == ("x", "y")
    batch = watch_batches(data)[0].batches[0]
    np.testing.assert_array_equal(batch.x, scaled(np.arange(SIZE)))


def test_a_generator_loses_two_and_says_so() -> None:
    def generate() -> Iterator[Any]:
        yield from Stream(sound)

    source = generate()
    taken, facts, _ = watch_batches(source)
    assert facts is not None
    assert (taken.lost, facts.batches, facts.same_order) == (2, 2, None)
    assert "2 batches were read" in taken.notes[0]
    assert len(list(source)) == COUNT // SIZE - 2
    taken, facts, _ = watch_batches(generate)
    assert facts is not None
    assert (taken.lost, taken.notes, facts.batches) == (0, (), 3)


def test_arrays_are_no_stream() -> None:
    taken, facts, _ = watch_batches((scaled(np.arange(COUNT)), MASKS), batch_size=4)
    assert facts is None
    assert len(taken.batches[0].x) == 4


def test_an_empty_stream_is_one_line() -> None:
    with pytest.raises(UserError, match="no batch"):
        watch_batches(iter([]))


def test_sample_weights_come_with_the_batch() -> None:
    weighted = Stream(lambda chosen: (*sound(chosen), np.ones((SIZE, 8, 8), np.float32)))
    assert watch_batches(weighted)[0].batches[0].sample_weight.shape == (SIZE, 8, 8)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.code)
def test_without_a_stream_nothing_is_examined(probe: Any) -> None:
    assert examine(probe, Trace()).status == "not examined"
