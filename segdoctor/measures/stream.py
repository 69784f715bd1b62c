"""Compares batches with each other: overwritten, repeated, scaled anew, labelled anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.stream_facts import BatchScale, StreamFacts
from segdoctor.measures.as_fed import FedExample, fed_example
from segdoctor.measures.digests import digest
from segdoctor.measures.drawn_again import drawn_again
from segdoctor.measures.stream_order import sorted_by

_MOST_VALUES = 4096  # of one batch; of more, the images were resized or augmented
_SAMPLED = 200_000
_OFF = 0.1  # of a step, by which values of one scale lie off its steps
_LOOKED_AT = 16  # examples of each batch whose draws are compared
Array = NDArray[Any]
Example = tuple[str, str]  # digest of the image, digest of its label


def stream_facts(
    kind: str,
    held: Sequence[tuple[Array, Array]],
    copies: Sequence[tuple[Array, Array]],
    second: Sequence[tuple[Array, Array]],
    length: int | None,
    examples: Sequence[FedExample] = (),
) -> StreamFacts:
    """Compare the first batches of a stream.

    Parameters
    ----------
    held : sequence of (x, y)
        Batches as they were handed out, looked at after all were taken.
    copies : sequence of (x, y)
        The same batches, each copied when it came: x (B, H, W, channels).
    second : sequence of (x, y)
        Copies of the first batches of a second pass; empty where there was none.
    examples : sequence of FedExample
        The first examples, in their order.
    """
    again = drawn_again(
        [
            (number, fed_example(x[i], y[i]))
            for number, (x, y) in enumerate((*copies, *second))
            for i in range(min(len(x), _LOOKED_AT))
        ]
    )
    first = [_examples(batch) for batch in copies]
    later = [_examples(batch) for batch in second]
    overwritten = [
        name
        for place, name in enumerate("xy")
        if any(
            not np.array_equal(now[place], then[place])
            for now, then in zip(held, copies, strict=True)
        )
    ]
    images: dict[str, set[str]] = defaultdict(set)
    times: dict[str, int] = defaultdict(int)
    for batch in (*first, *later):
        for image, label in batch:
            images[image].add(label)
            times[image] += 1
    known = {image for image, _ in first[0]} if first else set()
    return StreamFacts(
        kind=kind,
        batches=len(copies),
        examples=sum(len(batch) for batch in first),
        scales=tuple(_scale(x) for x, _ in copies),
        overwritten=tuple(overwritten),
        again=sum(count > 1 for count in times.values()),
        other_label=max(sum(len(labels) > 1 for labels in images.values()), again.other_label),
        turned_image=_turned([*copies, *second]),
        same_order=(first[: len(later)] == later) if later else None,
        alike=sum({image for image, _ in batch} <= known for batch in first[1:]),
        length=length,
        sorted_by=sorted_by(examples),
        turned_apart=again.turned_apart,
        rescaled=again.rescaled,
    )


def _examples(batch: tuple[Array, Array]) -> list[Example]:
    x, y = batch
    return [(digest(x[i]), digest(y[i])) for i in range(len(x))]


def _turns(image: Array) -> Iterator[Array]:
    yield image[:, ::-1]
    yield image[::-1]
    yield image[::-1, ::-1]


def _turned(batches: Sequence[tuple[Array, Array]]) -> int:
    """Labels of two regions or more that came again, the same, with the image turned."""
    by_label: dict[str, dict[str, Array]] = defaultdict(dict)
    for x, y in batches:
        for i in range(len(x)):
            if not np.array_equal(y[i], np.broadcast_to(y[i].flat[0], y[i].shape)):
                by_label[digest(y[i])][digest(x[i])] = x[i]
    return sum(
        any(digest(turn) in drawn for image in drawn.values() for turn in _turns(image)
            if not np.array_equal(turn, image))
        for drawn in by_label.values()
        if len(drawn) > 1
    )  # fmt: skip


def _scale(x: Array) -> BatchScale:
    values = np.asarray(x, dtype=np.float64)
    means = values.reshape(len(values), -1).mean(axis=1)
    flat = values.reshape(-1)
    found = np.unique(flat[:: max(1, flat.size // _SAMPLED)])
    step = float(np.diff(found).min()) if 1 < found.size <= _MOST_VALUES else 0.0
    if step > 0:
        counted = (found - found[0]) / step
        if np.abs(counted - np.rint(counted)).max() > _OFF:  # each image has steps of its own
            step = 0.0
    return BatchScale(
        low=float(flat.min()),
        high=float(flat.max()),
        mean=float(flat.mean()),
        deviation=float(flat.std()),
        means_apart=float(means.std()),
        step=step,
    )
