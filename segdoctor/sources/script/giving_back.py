"""A generator of the user's from which batches can be read without being lost to it."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np


class GivesBack:
    """Reads from ``source`` and keeps copies; :meth:`whole` gives all of it, from the beginning.

    Copies, because a generator may hand out the same buffer again. The generator keeps its place in
    the random numbers of Python and NumPy, whatever is drawn or put back between two batches, and
    the rest of the script goes on from there.
    """

    gives_back = True

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._read: list[Any] = []
        self._state: Any = None

    def __iter__(self) -> GivesBack:
        return self

    def __next__(self) -> Any:
        outside = _random_state()
        if self._state is not None:
            _set_random_state(self._state)
        try:
            item = next(self._source)
        finally:
            self._state = _random_state()
            _set_random_state(outside)
        self._read.append(_copied(item))
        return item

    def whole(self) -> Generator[Any, None, None]:
        """What was read, then the rest; a real generator, which is what Keras asks for."""
        if self._state is not None:
            _set_random_state(self._state)
        return self._all()

    def _all(self) -> Generator[Any, None, None]:
        yield from self._read
        yield from self._source


def _random_state() -> Any:
    return random.getstate(), np.random.get_state()


def _set_random_state(state: Any) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])


def _copied(item: Any) -> Any:
    if isinstance(item, tuple | list):
        return type(item)(_copied(part) for part in item)
    if isinstance(item, dict):
        return {key: _copied(part) for key, part in item.items()}
    return np.array(item) if isinstance(item, np.ndarray) else item
