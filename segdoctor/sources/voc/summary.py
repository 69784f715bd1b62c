"""What was seen of some pairs, as a value that adds: one thread, a pool or a cluster gives the
same sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import chain
from operator import itemgetter
from typing import Any

from segdoctor.core.data_facts import FileProblem, ImageFacts, MaskFacts, PixelFacts, ShapeFacts
from segdoctor.measures.pairing import SmallPair

_COUNTS = ("pairs", "decoded", "not_decoded")


@dataclass(frozen=True, slots=True)
class Summary:
    """What was seen of some pairs. ``a + b`` is associative, and the empty summary is its zero.

    The entries carry the place of their pair in the data set, so that :meth:`ordered` gives the
    same value whatever came first.
    """

    pairs: int = 0
    decoded: int = 0
    not_decoded: int = 0
    masks: tuple[tuple[int, MaskFacts], ...] = ()
    images: tuple[tuple[int, ImageFacts], ...] = ()
    problems: tuple[tuple[int, FileProblem], ...] = ()
    pixels: tuple[tuple[int, PixelFacts], ...] = ()  # of the sample, as the two below
    shapes: tuple[tuple[int, ShapeFacts], ...] = ()
    small: tuple[tuple[int, SmallPair], ...] = ()

    def __add__(self, other: Summary) -> Summary:
        return joined((self, other))

    def ordered(self) -> Summary:
        """The same with its entries in the order of the pairs."""
        entries: dict[str, Any] = {
            item.name: tuple(sorted(getattr(self, item.name), key=itemgetter(0)))
            for item in fields(self)
            if item.name not in _COUNTS
        }
        return replace(self, **entries)


def joined(parts: Iterable[Summary]) -> Summary:
    """The sum of many summaries, without copying the first ones again and again."""
    summaries = list(parts)
    sums: list[Any] = []
    for item in fields(Summary):
        values = [getattr(summary, item.name) for summary in summaries]
        sums.append(sum(values) if item.name in _COUNTS else tuple(chain.from_iterable(values)))
    return Summary(*sums)
