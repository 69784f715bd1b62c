"""A smaller batch of the same run: fewer examples, else a crop, where time or memory is short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.recorder.smaller import smaller

SMALLEST = 64  # px: below that the deep maps of most nets are a single pixel


@dataclass(frozen=True, slots=True)
class Cut:
    """What became of a run: the smaller run, its ids, the same cut for another batch of these
    examples, and what was done in words."""

    run: Run
    ids: Any
    again: Callable[[Batch], Batch]
    words: str


def with_fewer(run: Run, ids: Any, count: int) -> Cut:
    """The run and its ids with the first ``count`` examples."""
    assert run.batch is not None
    words = f"{count} of {len(run.batch.x)} examples"
    fewer = replace(run, batch=run.batch.first(count))
    return Cut(fewer, np.asarray(ids)[:count], lambda batch: batch.first(count), words)


def with_crop(run: Run, ids: Any, side: int) -> Cut:
    """The run and its ids on a crop of about ``side`` × ``side`` px, where most classes are.

    Raises
    ------
    NotExaminedError
        If the labels are not maps of the images' size, or the model cannot be made smaller.
    """
    assert run.batch is not None
    x, y = np.asarray(run.batch.x), np.asarray(run.batch.y)
    if x.shape[1:3] != np.asarray(ids).shape[1:3] or y.shape[:3] != x.shape[:3]:
        raise NotExaminedError("the labels are no maps of the images' size, so no crop is taken")
    model = smaller(run.model, side)
    height, width = (int(n or side) for n in model.input_shape[1:3])
    rows, columns = _richest(np.asarray(ids), min(height, x.shape[1]), min(width, x.shape[2]))

    def crop(array: Any) -> Any:
        whole = np.asarray(array).shape[1:3] != x.shape[1:3]
        return array if whole else np.asarray(array)[:, rows, columns]

    def cropped(batch: Batch) -> Batch:
        held = {
            name: crop(array)
            for name in ("x", "y", "ids", "sample_weight")
            if (array := getattr(batch, name)) is not None
        }
        return replace(batch, **held)

    words = f"{side} instead of {max(x.shape[1:3])} px"
    return Cut(replace(run, model=model, batch=cropped(run.batch)), crop(ids), cropped, words)


def _richest(ids: Any, height: int, width: int) -> tuple[slice, slice]:
    """Of nine places, the one whose crop holds the most classes in its examples together."""
    best, found = -1, (slice(0, height), slice(0, width))
    for top in np.linspace(0, ids.shape[1] - height, 3).astype(int):
        for left in np.linspace(0, ids.shape[2] - width, 3).astype(int):
            place = (slice(int(top), int(top) + height), slice(int(left), int(left) + width))
            classes = sum(np.unique(one[place]).size for one in ids)
            if classes > best:
                best, found = classes, place
    return found


def halved(run: Run, ids: Any, fewest: int = 1, smallest: int = SMALLEST) -> Cut:
    """With half of the examples, but at least ``fewest``; then at half of its size, but at least
    ``smallest`` px.

    Raises
    ------
    NotExaminedError
        If the batch cannot be made smaller.
    """
    assert run.batch is not None
    count, side = len(run.batch.x), max(run.batch.x.shape[1:3]) // 2
    if count > fewest:
        return with_fewer(run, ids, max(count // 2, fewest))
    if side < smallest:
        raise NotExaminedError(f"a batch of {count} at {2 * side} px cannot be made smaller")
    return with_crop(run, ids, side)
