"""A smaller batch of the same run: fewer examples, else a crop, where time or memory is short."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.recorder.smaller import smaller

SMALLEST = 64  # px: below that the deep maps of most nets are a single pixel


def with_fewer(run: Run, ids: Any, count: int) -> tuple[Run, Any]:
    """The run and its ids with the first ``count`` examples."""
    assert run.batch is not None
    batch = run.batch
    weight = batch.sample_weight
    cut = replace(
        batch,
        x=np.asarray(batch.x)[:count],
        y=np.asarray(batch.y)[:count],
        sample_weight=None if weight is None else np.asarray(weight)[:count],
        ids=None if batch.ids is None else np.asarray(batch.ids)[:count],
        names=batch.names[:count],
    )
    return replace(run, batch=cut), np.asarray(ids)[:count]


def with_crop(run: Run, ids: Any, side: int) -> tuple[Run, Any]:
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
        whole = array is None or np.asarray(array).shape[:3] != x.shape[:3]
        return array if whole else np.asarray(array)[:, rows, columns]

    batch: Batch = run.batch
    cut = replace(
        batch,
        x=crop(x),
        y=crop(y),
        ids=crop(batch.ids),
        sample_weight=crop(batch.sample_weight),
    )
    return replace(run, model=model, batch=cut), crop(ids)


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


def halved(run: Run, ids: Any) -> tuple[Run, Any, str]:
    """With half of the examples, or the single one at half of its size; and what was done.

    Raises
    ------
    NotExaminedError
        If the batch cannot be made smaller.
    """
    assert run.batch is not None
    count, side = len(run.batch.x), max(run.batch.x.shape[1:3]) // 2
    if count > 1:
        return (*with_fewer(run, ids, count // 2), f"{count // 2} of {count} examples")
    if side < SMALLEST:
        raise NotExaminedError(f"one example of {2 * side} px cannot be made smaller")
    return (*with_crop(run, ids, side), f"one example at {side} instead of {2 * side} px")
