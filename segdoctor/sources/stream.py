"""Takes the first batches of the user's data twice over, to hold them against each other, and
looks at some of the examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.errors import UserError
from segdoctor.core.fed_facts import FedFacts
from segdoctor.core.run import Batch
from segdoctor.core.stream_facts import StreamFacts
from segdoctor.measures.as_fed import FedExample, fed_example, fed_facts
from segdoctor.measures.stream import stream_facts
from segdoctor.sources.batches import Taken, opened, parts_of

BATCHES = 3
OF_GENERATOR = 2  # what is taken of a generator is lost to it
_ONE_PASS = ("generator", "arrays")
_EXAMPLES = 64  # that are looked at; of a stream no more batches are taken once there are so many
_MOST_BATCHES = 16
_SECONDS = 5.0  # after which a slow stream is not read further
_MORE = 16  # further examples of arrays that are handed on
_ARRAY_BATCH = 32  # as Keras cuts arrays up

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(slots=True)
class _Passed:
    """What one pass over a stream gave: batches as handed out, copies of them, the sample weights
    of the first, and the examples that were looked at."""

    held: list[Pair]
    copies: list[Pair]
    examples: list[FedExample]
    weight: NDArray[Any] | None = None


def watch_batches(
    data: Any, *, batch_size: int | None = None
) -> tuple[Taken, StreamFacts | None, FedFacts]:
    """:func:`watch_examples` without the examples themselves."""
    return watch_examples(data, batch_size=batch_size)[:3]


def watch_examples(
    data: Any, *, batch_size: int | None = None
) -> tuple[Taken, StreamFacts | None, FedFacts, list[FedExample]]:
    """The first batch, how the first batches behave beside each other, what their examples hold,
    and these.

    Two are taken of a generator, three and what makes 64 examples of anything else, and of what
    can be passed over again the first ones of a second pass. Arrays have no stream: they are cut
    up here.

    Raises
    ------
    UserError
        No batch, or arrays that do not fit each other.
    """
    if isinstance(data, (tuple, list)):
        taken, examples = _of_arrays(data, batch_size or _ARRAY_BATCH)
        return taken, None, fed_facts(examples, whole=True), examples
    kind, source, length = opened(data)
    count = OF_GENERATOR if kind == "generator" else BATCHES
    first = _passed(source, kind, count, count if kind == "generator" else _MOST_BATCHES)
    copies = first.copies
    if not copies:
        raise UserError(
            f"The data give no batch: expected (x, y) or (x, y, sample_weight). Received: an empty "
            f"{kind}."
        )
    second: list[Pair] = []
    if kind not in _ONE_PASS:
        second = _passed(opened(data)[1], kind, len(copies), len(copies)).copies
    batches = [Batch(x=x, y=y, source="dataset") for x, y in copies]
    batches[0] = replace(batches[0], sample_weight=first.weight)
    lost = len(copies) if kind == "generator" and not getattr(data, "gives_back", False) else 0
    notes = (_lost_in_words(lost),) if lost else ()
    taken = Taken(tuple(batches), kind, length, lost, notes)
    stream = stream_facts(kind, first.held, copies, second, length, first.examples)
    return taken, stream, fed_facts(first.examples, whole=False), first.examples


def _of_arrays(data: Any, batch_size: int) -> tuple[Taken, list[FedExample]]:
    """The batch, and some of the examples, evenly drawn.

    The batch is the first one, but for two examples where others hold the largest and the least
    label: ``fit`` shuffles arrays, so they come together some time, and 255 in one mask of a
    hundred is what a loss stumbles over.
    """
    x, y, weight = parts_of(data, "arrays")
    chosen = np.arange(min(batch_size, len(x)))
    if y.dtype.kind in "biuf" and len(x) > len(chosen) > 2:
        flat = y.reshape(len(y), -1)
        for place, (label, found) in enumerate(
            ((flat.max(axis=1), np.argmax), (flat.min(axis=1), np.argmin)), start=1
        ):
            extreme = int(found(label))
            if label[extreme] != label[chosen[int(found(label[chosen]))]]:
                chosen[-place] = extreme
    batch = Batch(
        x=np.array(x[chosen]),
        y=np.array(y[chosen]),
        sample_weight=None if weight is None else np.array(weight[chosen]),
        source="arrays",
    )
    drawn = np.unique(np.linspace(0, len(x) - 1, min(len(x), _EXAMPLES)).astype(int))
    examples = [fed_example(x[i], y[i]) for i in drawn.tolist()]
    few = drawn[:: -(-len(drawn) // _MORE)]
    more = Batch(x=np.array(x[few]), y=np.array(y[few]), source="arrays")
    return Taken((batch, more), "arrays", -(-len(x) // batch_size)), examples


def _lost_in_words(lost: int) -> str:
    batches, are = ("batch was", "is") if lost == 1 else ("batches were", "are")
    return (
        f"{lost} {batches} read from the generator and {are} lost to it; give a function that "
        "makes it, and nothing is"
    )


def _passed(source: Iterator[Any], kind: str, count: int, most: int) -> _Passed:
    """``count`` batches kept, and of up to ``most`` the examples looked at; a source of our own
    making is closed."""
    passed = _Passed([], [], [])
    end = time.monotonic() + _SECONDS
    try:
        for number, item in enumerate(islice(source, most)):
            x, y, weight = parts_of(item, kind)
            if number < count:
                passed.held.append((x, y))
                passed.copies.append((np.array(x), np.array(y)))
            if number == 0 and weight is not None:
                passed.weight = np.array(weight)
            if most > count or kind == "generator":
                left = _EXAMPLES - len(passed.examples)
                passed.examples += [fed_example(x[i], y[i]) for i in range(min(len(x), left))]
                full = len(passed.examples) >= _EXAMPLES or time.monotonic() > end
                if number + 1 >= count and full:
                    break
    finally:
        close: Callable[[], object] | None = getattr(source, "close", None)
        if kind == "callable" and callable(close):
            close()
    return passed
