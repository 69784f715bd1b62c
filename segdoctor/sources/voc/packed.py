"""Facts of very many files, each kept as a few dozen bytes and made whole when it is looked at."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar, overload

Facts = TypeVar("Facts")


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
        self._rows: dict[int, bytes] = {}
        self._order: list[int] | None = None

    def add(self, place: int, facts: Facts) -> None:
        """Keep the facts of the pair at ``place``."""
        rest = self._names[len(self._head(place)) :]
        self._rows[place] = marshal.dumps(tuple(_plain(getattr(facts, name)) for name in rest))
        self._order = None

    def at(self, place: int) -> Facts | None:
        """The facts of the pair at ``place``, None where there are none."""
        row = self._rows.get(place)
        return None if row is None else self._kind(*self._head(place), *marshal.loads(row))

    def items(self) -> Iterator[tuple[int, Facts]]:
        """``(place, facts)``, in order."""
        for place in self._places():
            yield place, self._kind(*self._head(place), *marshal.loads(self._rows[place]))

    def _places(self) -> list[int]:
        if self._order is None:
            self._order = sorted(self._rows)
        return self._order

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Facts]:
        return (facts for _, facts in self.items())

    @overload
    def __getitem__(self, index: int) -> Facts: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Facts, ...]: ...
    def __getitem__(self, index: int | slice) -> Facts | tuple[Facts, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        place = self._places()[index]
        return self._kind(*self._head(place), *marshal.loads(self._rows[place]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({len(self)} {getattr(self._kind, '__name__', '')})"


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def added(packed: Packed[Facts], facts: Iterable[tuple[int, Facts]]) -> None:
    """Keep many."""
    for place, item in facts:
        packed.add(place, item)
