"""Counts pairs and masks as they come, so that the sums are there whenever a scan ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import TypeVar

from segdoctor.core.data_facts import ImageFacts, MaskFacts
from segdoctor.core.data_sums import DataSums
from segdoctor.sources.voc.index import Collected
from segdoctor.sources.voc.label_map import LabelMap

Key = TypeVar("Key", float, tuple[int, int])

_MOST_TOGETHER = 64  # ids in one mask: of more it is a picture
_PAIRS_TOGETHER = 10_000
_FRACTIONS = 512  # values that are no whole numbers, of all masks together


class Tally:
    """The sums over a data set, its ids after the label map.

    The examples are counted at once; images and masks as they are given, in any order.
    """

    def __init__(self, found: Collected, mapping: LabelMap, void: int | bool | None) -> None:
        self.sums = DataSums()
        self._mapping, self._void = mapping, void
        self._new: dict[int, int] = {}
        self._pixels: Counter[int] = Counter()
        self._presence: Counter[int] = Counter()
        self._together: Counter[tuple[int, int]] = Counter()
        self._fractions: Counter[float] = Counter()
        self._in_splits = {name: Counter[int]() for name in found.splits}
        self._splits_of = self._counted(found)

    def _counted(self, found: Collected) -> list[tuple[Counter[int], ...]]:
        """For each example the counts of the splits that it is in."""
        members: dict[str, tuple[Counter[int], ...]] = {}
        seen: dict[
            tuple[int, ...], tuple[Counter[int], ...]
        ] = {}  # one tuple for all that share it
        for name, stems in found.splits.items():
            for stem in dict.fromkeys(stems):
                mine = (*members.get(stem, ()), self._in_splits[name])
                members[stem] = seen.setdefault(tuple(map(id, mine)), mine)
        trained = self._in_splits.get(found.split)
        places = []
        for pair in found.pairs:
            mine = members.get(pair.stem, ())
            here = trained is None or any(counts is trained for counts in mine)
            self.sums.pair(pair.stem, complete=bool(pair.image and pair.mask), trained=here)
            places.append(mine)
        return places

    def image(self, image: ImageFacts) -> None:
        self.sums.image(image)

    def mask(self, place: int, mask: MaskFacts) -> None:
        """Count the mask of the example at ``place``."""
        self.sums.mask(mask)
        there = set()
        for label, count in mask.histogram.items():
            target = self._new.get(label)
            if target is None:
                target = self._new[label] = self._mapping.of(label, self._void)
            self._pixels[target] += count
            there.add(target)
        self._presence.update(there)
        for counts in self._splits_of[place]:
            counts.update(there)
        if mask.fractions:
            self._fractions.update(mask.fractions)
        if self._void is not None and self._void is not False:
            there.discard(self._void)
        if len(there) <= _MOST_TOGETHER:
            self._together.update(combinations(sorted(there), 2))

    def histogram(self) -> dict[int, int]:
        """Pixels of each id."""
        return dict(sorted(self._pixels.items()))

    def presence(self) -> dict[int, int]:
        """Masks that hold each id."""
        return dict(sorted(self._presence.items()))

    def split_presence(self) -> dict[str, dict[int, int]]:
        """Split → id → masks that hold it."""
        return {name: dict(sorted(counts.items())) for name, counts in self._in_splits.items()}

    def together(self) -> dict[tuple[int, int], int]:
        """Two ids → masks that hold both, void aside; of the most frequent ids alone."""
        return _most(self._together, _PAIRS_TOGETHER)

    def fractions(self) -> dict[float, int]:
        """Pixels of each value that is no whole number."""
        return _most(self._fractions, _FRACTIONS)


def _most(counted: Mapping[Key, int], count: int) -> dict[Key, int]:
    """The most frequent; of the same number in order of their keys, whatever came first."""
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:count])
