"""A generator of the user's from which batches can be read without being lost to it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np


class GivesBack:
    """Reads from ``source`` and keeps copies; :meth:`whole` gives all of it, from the beginning.

    Copies, because a generator may hand out the same buffer again.
    """

    gives_back = True

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._read: list[Any] = []

    def __iter__(self) -> GivesBack:
        return self

    def __next__(self) -> Any:
        item = next(self._source)
        self._read.append(_copied(item))
        return item

    def whole(self) -> Generator[Any, None, None]:
        """What was read, then the rest; a real generator, which is what Keras asks for."""
        yield from self._read
        yield from self._source


def _copied(item: Any) -> Any:
    if isinstance(item, tuple | list):
        return type(item)(_copied(part) for part in item)
    if isinstance(item, dict):
        return {key: _copied(part) for key, part in item.items()}
    return np.array(item) if isinstance(item, np.ndarray) else item
