"""Examples that a stream hands out twice: is the second draw the first one, but for one
augmentation of image and label alike?

Images are found again by their small pictures, so that noise, colours and turns do not hide them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.against_files import TURNS, agreement, key_of, turn
from segdoctor.measures.as_fed import FedExample

_SAME = 0.995  # correlation of two small pictures that are one example, as it is
_TURNED = 0.98  # … and turned
_CLEARER = 0.05  # by which the turn must fit better than the image as it is
_NEARER = 0.05  # of the distance that the others have (median): in a set of pictures that are all
# alike, only what is far more alike is one example
_EXACT = 0.9995  # correlation of one picture in two scales
_OTHER = 0.5  # agreement below which two labels are not one
_SHIFTS = (-2, -1, 0, 1, 2)  # cells by which labels of one picture may be displaced
_REGION = 0.02  # share of the label that is not its most frequent id, at least
_RESCALED = 0.01  # by which the scale of one picture changes, at least
_FEWEST = 4  # pictures by which a change of scale is judged
_MOST = 96  # draws that are compared
_COARSER = 2  # labels are compared on every second cell
_LABELS = 48  # pairs of draws whose labels are compared

Draw = tuple[int, FedExample]  # number of the batch, over both passes


@dataclass(frozen=True, slots=True)
class DrawnAgain:
    """Counts of images that came again: ``other_label`` with another label, ``turned_apart``
    turned in another way than their label. ``rescaled``: the largest change of scale of a picture
    from one batch to another, where all that came again are the same picture in two scales (0
    where they are not, or it is the same)."""

    other_label: int = 0
    turned_apart: int = 0
    rescaled: float = 0.0


def drawn_again(draws: Sequence[Draw]) -> DrawnAgain:
    """Compare every two draws of different batches."""
    draws = draws[:_MOST]
    keys = np.stack([key_of(example.small) for _, example in draws])
    flat = keys.reshape(len(keys), -1)
    scores = np.stack([flat @ np.stack([turn(k, how) for k in keys]).reshape(flat.shape).T
                       for how in TURNS])  # fmt: skip
    other, apart = set(), set()
    scales: dict[tuple[int, int], list[float]] = defaultdict(list)
    exact = True
    ids = [None if e.ids is None else e.ids[::_COARSER, ::_COARSER] for _, e in draws]
    batches = [batch for batch, _ in draws]
    for number, (i, j) in enumerate(_pairs(scores, batches)):
        how = int(scores[:, i, j].argmax())
        if how and scores[how, i, j] - scores[0, i, j] < _CLEARER:
            how = 0
        if not how:
            exact &= bool(scores[0, i, j] >= _EXACT)
            scales[batches[i], batches[j]].append(_scale(draws[i][1], draws[j][1]))
        told = _labels(ids[i], ids[j], how) if number < _LABELS else ""
        if told == "other" and not how:
            other.add(i)
        elif told == "apart":
            apart.add(i)
    return DrawnAgain(len(other), len(apart), _rescaled(list(scales.values())) if exact else 0.0)


def _rescaled(groups: list[list[float]]) -> float:
    """The largest change of scale, where it is one and the same for all pictures that went from
    one batch to another; a change for each picture by itself is augmentation."""
    several = [group for group in groups if len(group) > 1]
    if sum(map(len, groups)) < _FEWEST or not several:
        return 0.0
    if any(max(group) > (1 + _RESCALED / 2) * min(group) for group in several):
        return 0.0
    change = max(abs(scale - 1) for group in several for scale in group)
    return change if change > _RESCALED else 0.0


def _pairs(scores: NDArray[np.float32], batches: list[int]) -> Iterator[tuple[int, int]]:
    """Draws of different batches that show one picture, as it is or turned."""
    best = scores[1:].max(axis=0)
    far = 1 - np.median(scores[0], axis=1, keepdims=True)
    alike = (scores[0] >= np.maximum(_SAME, 1 - _NEARER * far)) | (
        best >= np.maximum(_TURNED, 1 - _NEARER * far)
    )
    for i, j in np.argwhere(np.triu(alike, 1)).tolist():
        if batches[i] != batches[j]:
            yield i, j


def _scale(first: FedExample, second: FedExample) -> float:
    """Deviation of the second picture over that of the first."""
    deviation = float(np.std(first.small))
    return float(np.std(second.small)) / deviation if deviation > 0 else 1.0


def _labels(first: NDArray[np.integer] | None, second: NDArray[np.integer] | None, how: int) -> str:
    """``"other"``, ``"apart"`` (turned in another way than the image), or ``""``."""
    if first is None or second is None:
        return ""
    counts = np.unique(first, return_counts=True)[1]
    if 1 - counts.max() / counts.sum() < _REGION:
        return ""
    # The image is the second one turned, so the label must be its label turned alike.
    agreed = [agreement(turn(second, way), first) for way in TURNS]
    best = int(np.argmax(agreed))
    if agreed[best] > 0.9 and agreed[best] - agreed[how] > _CLEARER * 2:
        return "apart"
    if agreed[best] < _OTHER and _displaced(first, second) < _OTHER:
        return "other"
    return ""


def _displaced(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Agreement of two labels at the displacement at which it is best."""
    edge = max(_SHIFTS)
    inner = first[edge:-edge, edge:-edge]
    return max(
        agreement(np.roll(second, shift, (0, 1))[edge:-edge, edge:-edge], inner)
        for shift in product(_SHIFTS, _SHIFTS)
    )
