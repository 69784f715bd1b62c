"""Takes the first batches of the user's data twice over, to hold them against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.errors import UserError
from segdoctor.core.run import Batch
from segdoctor.core.stream_facts import StreamFacts
from segdoctor.measures.stream import stream_facts
from segdoctor.sources.batches import Taken, opened, parts_of, take_batches

BATCHES = 3
OF_GENERATOR = 2  # what is taken of a generator is lost to it
_ONE_PASS = ("generator", "arrays")

Pair = tuple[NDArray[Any], NDArray[Any]]


def watch_batches(data: Any, *, batch_size: int | None = None) -> tuple[Taken, StreamFacts | None]:
    """The first batch, and how the first batches behave beside each other.

    Two are taken of a generator, three of anything else, and of what can be passed over again the
    first ones of a second pass. Arrays have no stream: they are cut up here.

    Raises
    ------
    UserError
        No batch, or arrays that do not fit each other.
    """
    if isinstance(data, (tuple, list)):
        return take_batches(data, 1, batch_size=batch_size), None
    kind, source, length = opened(data)
    count = OF_GENERATOR if kind == "generator" else BATCHES
    held, copies, weight = _take(source, kind, count)
    if not held:
        raise UserError(
            f"The data give no batch: expected (x, y) or (x, y, sample_weight). Received: an empty "
            f"{kind}."
        )
    second: list[Pair] = []
    if kind not in _ONE_PASS:
        second = _take(opened(data)[1], kind, len(copies))[1]
    batch = Batch(x=copies[0][0], y=copies[0][1], sample_weight=weight, source="dataset")
    lost = len(copies) if kind == "generator" and not getattr(data, "gives_back", False) else 0
    notes = (_lost_in_words(lost),) if lost else ()
    taken = Taken((batch,), kind, length, lost, notes)
    return taken, stream_facts(kind, held, copies, second, length)


def _lost_in_words(lost: int) -> str:
    batches, are = ("batch was", "is") if lost == 1 else ("batches were", "are")
    return (
        f"{lost} {batches} read from the generator and {are} lost to it; give a function that "
        "makes it, and nothing is"
    )


def _take(
    source: Iterator[Any], kind: str, count: int
) -> tuple[list[Pair], list[Pair], NDArray[Any] | None]:
    """``(batches as handed out, copies, sample weights of the first)``; a source of our own making
    is closed."""
    held: list[Pair] = []
    copies: list[Pair] = []
    first: NDArray[Any] | None = None
    try:
        for item in islice(source, count):
            x, y, weight = parts_of(item, kind)
            held.append((x, y))
            copies.append((np.array(x), np.array(y)))
            if len(copies) == 1 and weight is not None:
                first = np.array(weight)
    finally:
        close: Callable[[], object] | None = getattr(source, "close", None)
        if kind == "callable" and callable(close):
            close()
    return held, copies, first
