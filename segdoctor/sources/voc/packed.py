"""Pairs and facts of very many files, each kept as a few dozen bytes in one long row of bytes, and
made whole when it is looked at."""

from __future__ import annotations

import marshal
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar, overload

from segdoctor.core.data_facts import Pair

Facts = TypeVar("Facts")


class _Rows:
    """Plain values by their place, any of which may be missing."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._starts = array("q")  # -1: there is none
        self._places: array[int] | None = None
        self.count = 0

    def put(self, place: int, value: Any) -> None:
        if place >= len(self._starts):
            self._starts.extend([-1] * (place + 1 - len(self._starts)))
        self.count += self._starts[place] < 0
        self._places = None
        self._starts[place] = len(self._bytes)
        self._bytes += marshal.dumps(value)

    def has(self, place: int) -> bool:
        return 0 <= place < len(self._starts) and self._starts[place] >= 0

    def get(self, place: int) -> Any:
        return marshal.loads(memoryview(self._bytes)[self._starts[place] :])

    def places(self) -> Sequence[int]:
        """Those that are not missing, in order; noted until something is put."""
        if self.count == len(self._starts):
            return range(self.count)
        if self._places is None:
            known = (place for place, start in enumerate(self._starts) if start >= 0)
            self._places = array("q", known)
        return self._places


class Names(Sequence[str]):
    """Stems of a split, in order."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._rows = _Rows()
        for place, name in enumerate(names):
            self._rows.put(place, name)

    def __len__(self) -> int:
        return self._rows.count

    def __iter__(self) -> Iterator[str]:
        return (self._rows.get(place) for place in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return str(self._rows.get(places))
        return tuple(self._rows.get(place) for place in places)

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Names({len(self)})"


class PackedPairs(Sequence[Pair]):
    """Pairs in the order in which they were added. Folders are kept once."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._rows = _Rows()
        self._folders: dict[str, int] = {}
        self._names: list[str] = []
        for pair in pairs:
            self.append(pair)

    def append(self, pair: Pair) -> None:
        row = pair.stem, *self._cut(pair.image), *self._cut(pair.mask)
        self._rows.put(self._rows.count, row)

    def _cut(self, path: str | None) -> tuple[int, str]:
        if path is None:
            return -1, ""
        folder, name = os.path.split(path)
        if os.path.join(folder, name) != path:
            folder, name = "", path
        if folder not in self._folders:
            self._folders[folder] = len(self._names)
            self._names.append(folder)
        return self._folders[folder], name

    def _whole(self, place: int) -> Pair:
        stem, *cut = self._rows.get(place)
        image, mask = (
            None if folder < 0 else os.path.join(self._names[folder], name)
            for folder, name in (cut[:2], cut[2:])
        )
        return Pair(stem, image, mask)

    def __len__(self) -> int:
        return self._rows.count

    def __iter__(self) -> Iterator[Pair]:
        return (self._whole(place) for place in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Pair, ...]: ...
    def __getitem__(self, index: int | slice) -> Pair | tuple[Pair, ...]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return self._whole(places)
        return tuple(self._whole(place) for place in places)

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PackedPairs({len(self)})"


def _equal(mine: Sequence[Any], other: object) -> bool:
    if not isinstance(other, Sequence):
        return False
    return len(mine) == len(other) and all(a == b for a, b in zip(mine, other, strict=True))


class Packed(Sequence[Facts], Generic[Facts]):
    """Facts of one kind by the place of their pair, in its order.

    Parameters
    ----------
    kind : dataclass
        Of plain values. Its first fields are those that ``head`` gives.
    head : callable
        Place of a pair → the first fields of its facts (paths, which the pairs hold anyway).
    """

    def __init__(self, kind: Callable[..., Facts], head: Callable[[int], tuple[Any, ...]]) -> None:
        self._kind, self._head = kind, head
        self._names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
        self._rows = _Rows()

    def add(self, place: int, facts: Facts) -> None:
        """Keep the facts of the pair at ``place``."""
        rest = self._names[len(self._head(place)) :]
        self._rows.put(place, tuple(_plain(getattr(facts, name)) for name in rest))

    def at(self, place: int) -> Facts | None:
        """The facts of the pair at ``place``, None where there are none."""
        return self._whole(place) if self._rows.has(place) else None

    def items(self) -> Iterator[tuple[int, Facts]]:
        """``(place, facts)``, in order."""
        for place in self._rows.places():
            yield place, self._whole(place)

    def __len__(self) -> int:
        return self._rows.count

    def __iter__(self) -> Iterator[Facts]:
        return (facts for _, facts in self.items())

    @overload
    def __getitem__(self, index: int) -> Facts: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Facts, ...]: ...
    def __getitem__(self, index: int | slice) -> Facts | tuple[Facts, ...]:
        if isinstance(index, slice):
            return tuple(self._whole(place) for place in self._rows.places()[index])
        return self._whole(self._rows.places()[index])

    def _whole(self, place: int) -> Facts:
        return self._kind(*self._head(place), *self._rows.get(place))

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({len(self)} {getattr(self._kind, '__name__', '')})"


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def added(packed: Packed[Facts], facts: Iterable[tuple[int, Facts]]) -> None:
    """Keep many."""
    for place, item in facts:
        packed.add(place, item)
