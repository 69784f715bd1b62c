"""Do neighbours in a stream belong together: class after class, film after film?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.against_files import key_of
from segdoctor.measures.as_fed import FedExample

_FEWEST = 24
_DRAWS = 2000
_EQUAL = 0.65  # share of neighbours of one class, at least
_ALIKE = 0.3  # by which neighbours' pictures are more alike than others', at least
_VOID = 255


def sorted_by(examples: Sequence[FedExample], seed: int = 0) -> str:
    """``"class"``, ``"picture"`` or ``""``: what neighbours share that ones drawn at random do not
    (a permutation test: none of 2,000 random orders comes near)."""
    if len(examples) < _FEWEST:
        return ""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(examples)) for _ in range(_DRAWS)]
    labels = _main_classes(examples)
    if labels is not None:
        equal = float((labels[1:] == labels[:-1]).mean())
        drawn = max(float((labels[o][1:] == labels[o][:-1]).mean()) for o in orders)
        if equal >= _EQUAL and equal > drawn:
            return "class"
    keys = np.stack([key_of(example.small) for example in examples]).reshape(len(examples), -1)
    likeness = keys @ keys.T
    near = float(np.diagonal(likeness, 1).mean())
    drawn = max(float(likeness[o[1:], o[:-1]].mean()) for o in orders)
    others = (likeness.sum() - len(keys)) / (len(keys) * (len(keys) - 1))
    return "picture" if near > drawn and near - others >= _ALIKE else ""


def _main_classes(examples: Sequence[FedExample]) -> NDArray[np.int64] | None:
    """The most frequent id of each example beside the one that is most frequent of all (the
    background) and void; None where they are not known of all."""
    counts: list[Counter[int]] = []
    for example in examples:
        if example.ids is None:
            return None
        values, pixels = np.unique(example.ids, return_counts=True)
        counts.append(Counter(dict(zip(values.tolist(), pixels.tolist(), strict=True))))
    whole: Counter[int] = Counter()
    for count in counts:
        whole.update(count)
    ground = whole.most_common(1)[0][0]
    main = [
        max((n, label) for label, n in count.items() if label not in (ground, _VOID))[1]
        if set(count) - {ground, _VOID}
        else ground
        for count in counts
    ]
    return np.array(main)
