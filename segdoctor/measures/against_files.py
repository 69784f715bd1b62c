"""Holds examples as they are fed against the files that they were made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.measures.as_fed import FedExample

_SIDE = 32  # of the pictures that are compared
_ALIKE = 0.97  # correlation of two pictures that are one
_APART = 0.02  # by which it must be above that with any other file
_CLEARER = 0.05  # by which labels must agree better under another turn than the image's
_LEAST = 0.8  # agreement that labels have under one turn
_OWN = 0.6  # agreement below which the label is another file's (160 VOC masks beside others: .55)

Array = NDArray[Any]
TURNS = ("as it is", "mirrored", "upside down", "turned by 180°")


def turn(values: Array, how: str) -> Array:
    """An image (H, W, …) turned in one of the four ways."""
    across = -1 if how in ("mirrored", "turned by 180°") else 1
    down = -1 if how in ("upside down", "turned by 180°") else 1
    return values[::down, ::across]


def against_files(
    examples: Sequence[FedExample],
    stems: Sequence[str],
    keys: NDArray[np.float32],
    ids_of: Callable[[int], NDArray[np.integer] | None],
    void: int | None,
) -> AgainstFiles:
    """Find each example's file by its picture, and compare the labels with the file's mask.

    Parameters
    ----------
    stems, keys : of the N files; ``keys`` (N, 32, 32) as :func:`key_of` makes them.
    ids_of : gives the mask of file ``i`` on the common grid, None where it cannot be read.

    The picture must be the whole one, at any size, range or turn of :data:`TURNS`; of crops
    nothing is said. Labels are compared by what becomes of each id of the file: under the right
    turn one id becomes one other nearly everywhere.
    """
    found: dict[int, tuple[int, str]] = {}
    turned_apart = []
    became: dict[int, Counter[int]] = defaultdict(Counter)
    for number, example in enumerate(examples):
        match = _file_of(example.small, keys)
        if match is None:
            continue
        place, how = match
        found[number] = match
        ids = None if example.ids is None else ids_of(place)
        if ids is None or example.ids is None:
            continue
        agreed = {way: agreement(turn(ids, way), example.ids) for way in TURNS}
        best = max(agreed, key=lambda way: agreed[way])
        if agreed[best] >= max(_LEAST, agreed[how] + _CLEARER):
            turned_apart.append(f"{stems[place]} (image {how}, label {best})")
            continue
        if agreed[how] < _OWN:
            continue
        for label, counts in _pairs(turn(ids, how), example.ids).items():
            became[label].update(counts)
    return AgainstFiles(
        examples=len(examples),
        files={number: (stems[place], how) for number, (place, how) in found.items()},
        turned_apart=tuple(turned_apart),
        became={label: dict(counts.most_common(8)) for label, counts in sorted(became.items())},
        void=void,
    )


def key_of(picture: Array) -> NDArray[np.float32]:
    """A grey picture of few pixels, with mean 0 and length 1."""
    grey = np.asarray(picture, np.float32).mean(axis=-1)
    step = len(grey) // _SIDE
    small = grey[: step * _SIDE, : step * _SIDE].reshape(_SIDE, step, _SIDE, step).mean((1, 3))
    small -= small.mean()
    length = float(np.linalg.norm(small))
    key: NDArray[np.float32] = small / length if length > 0 else small
    return key


def _file_of(small: Array, pictures: NDArray[np.float32]) -> tuple[int, str] | None:
    """``(place of the file, turn)`` of the picture, None where it is no file's or not clearly."""
    key = key_of(small)
    if not len(pictures):
        return None
    flat = pictures.reshape(len(pictures), -1)
    scores = np.stack([flat @ turn(key, how).reshape(-1) for how in TURNS])
    by_file = scores.max(axis=0)
    place = int(by_file.argmax())
    others = np.delete(by_file, place)
    if by_file[place] < _ALIKE or others.max(initial=-1.0) > by_file[place] - _APART:
        return None
    # Turning back what was turned: each of the turns is its own inverse.
    return place, TURNS[int(scores[:, place].argmax())]


def _pairs(mask: Array, fed: Array) -> dict[int, Counter[int]]:
    """Id of the file → id as fed → pixels."""
    labels, first = np.unique(mask, return_inverse=True)
    others, second = np.unique(fed, return_inverse=True)
    codes = first.reshape(-1).astype(np.int64) * len(others) + second.reshape(-1)
    found, counts = np.unique(codes, return_counts=True)
    pairs: dict[int, Counter[int]] = defaultdict(Counter)
    for code, count in zip(found.tolist(), counts.tolist(), strict=True):
        pairs[int(labels[code // len(others)])][int(others[code % len(others)])] = count
    return pairs


def agreement(mask: Array, fed: Array) -> float:
    """Share of the pixels at which an id of the file has become what it mostly becomes, less
    what one id everywhere would have."""
    pairs = _pairs(mask, fed)
    total = mask.size
    kept = sum(max(counts.values()) for counts in pairs.values()) / total
    most = max(Counter(fed.reshape(-1).tolist()).values()) / total
    return (kept - most) / (1 - most) if most < 1 else 1.0
