"""Examples that come again, and streams in an order: sick ones, healthy twins, look-alikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segdoctor.measures.as_fed import FedExample, fed_example
from segdoctor.measures.drawn_again import DrawnAgain, drawn_again
from segdoctor.measures.stream_order import sorted_by

Array = NDArray[Any]
SIDE, COUNT = 64, 8
RNG = np.random.default_rng(0)


def blob(seed: int) -> tuple[Array, Array]:
    """A picture of smooth colours with one bright object, and its mask."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 160, (6, 6, 3)).astype(np.uint8))
    picture = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255.0
    y, x = rng.integers(8, 40, 2)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[y : y + 18, x : x + 14] = 1 + seed % 3
    return np.where(mask[..., None] > 0, 0.9, picture), mask


PAIRS = [blob(seed) for seed in range(COUNT)]


def compared(second: Callable[[int, Array, Array], tuple[Array, Array]]) -> DrawnAgain:
    """A first pass as it is, and a second one, in batches of four."""
    draws = [(i // 4, fed_example(*pair)) for i, pair in enumerate(PAIRS)]
    again = [(2 + i // 4, fed_example(*second(i, *pair))) for i, pair in enumerate(PAIRS)]
    return drawn_again([*draws, *again])


def noisy(x: Array) -> Array:
    return np.asarray(x * RNG.uniform(0.9, 1.15) + RNG.normal(0, 0.02, x.shape))


SOUND: dict[str, Callable[[int, Array, Array], tuple[Array, Array]]] = {
    "the same": lambda i, x, y: (x, y),
    "noise and brighter": lambda i, x, y: (noisy(x), y),
    "both mirrored, with noise": lambda i, x, y: (noisy(x)[:, ::-1], y[:, ::-1]),
    "both moved a little": lambda i, x, y: (np.roll(x, 2, 1), np.roll(y, 2, 1)),
    "each image brighter by itself": lambda i, x, y: (np.clip(x * (1 + i / 20), 0, 1), y),
    "other examples": lambda i, x, y: blob(100 + i),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_draws(name: str) -> None:
    found = compared(SOUND[name])
    assert (found.other_label, found.turned_apart, found.rescaled) == (0, 0, 0.0)


def test_pictures_that_are_all_alike_are_no_example_drawn_again() -> None:
    """Eyes: one bright disc, and vessels that are drawn differently in each."""
    yy, xx = np.mgrid[:SIDE, :SIDE]
    disc = ((yy - 32) ** 2 + (xx - 32) ** 2 < 900) * np.linspace(0.4, 0.9, SIDE)

    def eye(seed: int) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for row in rng.integers(8, 56, 3):
            mask[row : row + 2, 10:54] = 1
        picture = disc - 0.03 * mask + rng.normal(0, 0.01, disc.shape)
        return np.repeat(picture[..., None], 3, -1), mask

    draws = [(i // 4, fed_example(*eye(i))) for i in range(16)]
    assert drawn_again(draws) == DrawnAgain()


def test_labels_of_others() -> None:
    found = compared(lambda i, x, y: (noisy(x), PAIRS[(i + 3) % COUNT][1]))
    assert found.other_label >= COUNT // 2


def test_labels_that_are_lost() -> None:
    assert compared(lambda i, x, y: (x, y * 0)).other_label == COUNT


@pytest.mark.parametrize("turn", [(slice(None), slice(None, None, -1)), (slice(None, None, -1),)])
def test_one_of_the_two_turned(turn: tuple[slice, ...]) -> None:
    assert compared(lambda i, x, y: (noisy(x)[turn], y)).turned_apart >= COUNT // 2
    assert compared(lambda i, x, y: (noisy(x), y[turn])).turned_apart >= COUNT // 2


def test_a_scale_of_each_batch() -> None:
    assert compared(lambda i, x, y: (x * (1.3 if i < 4 else 1.1), y)).rescaled == pytest.approx(
        0.3, abs=0.01
    )
    assert compared(lambda i, x, y: (x, y)).rescaled == 0


def examples(order: Any) -> list[FedExample]:
    return [fed_example(*blob(int(i))) for i in order]


def test_neighbours_of_one_class() -> None:
    order = np.arange(36)
    by_class = sorted(order, key=lambda i: i % 3)
    assert sorted_by(examples(by_class)) == "class"
    assert sorted_by(examples(RNG.permutation(36))) == ""
    assert sorted_by(examples(by_class[:12])) == ""
    assert sorted_by(examples(order - order % 3)) == "picture"  # all of one class, three by three
