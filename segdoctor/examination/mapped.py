"""The user's data, item by item in another form, whatever holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

ItemOf = Callable[[Any], Any]


def mapped(data: Any, item_of: ItemOf) -> Any:
    """``data`` with ``item_of`` applied to each item ``(x, y)`` or ``(x, y, sample_weight)``."""
    if isinstance(data, list | tuple):
        return item_of(data)
    if hasattr(data, "element_spec"):
        return data.map(lambda *item: item_of(item))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "dtype"):
        return _Mapped(data, item_of)
    if hasattr(data, "__next__"):
        return (item_of(item) for item in data)
    if callable(data):
        return lambda: _each(data(), item_of)
    return data


def _each(items: Any, item_of: ItemOf) -> Iterator[Any]:
    for item in items:
        yield item_of(item)


class _Mapped:
    """A PyDataset whose batches are in another form."""

    def __init__(self, data: Any, item_of: ItemOf) -> None:
        self._data, self._item_of = data, item_of

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        return self._item_of(self._data[index])
