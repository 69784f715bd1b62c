"""The user's map of class ids, such as ``15=1,else=0``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

_ELSE = ("else", "*")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Old id → new id. Ids that are not listed stay, or become ``otherwise`` where it is given;
    the ignore label moves only if it is named."""

    named: Mapping[int, int] = field(default_factory=dict)
    otherwise: int | None = None

    def __bool__(self) -> bool:
        return bool(self.named) or self.otherwise is not None

    def of(self, label: int, void: int | bool | None) -> int:
        """The new id of one label."""
        if label in self.named:
            return self.named[label]
        if self.otherwise is None or (void is not None and void is not False and label == void):
            return label
        return self.otherwise

    def apply(self, ids: NDArray[np.int32], void: int | bool | None) -> NDArray[np.int32]:
        """``ids`` of any shape, mapped."""
        if not self:
            return ids
        values, inverse = np.unique(ids, return_inverse=True)
        new = np.array([self.of(int(value), void) for value in values], dtype=np.int32)
        mapped: NDArray[np.int32] = new[inverse.reshape(ids.shape)]
        return mapped

    def plain(self) -> dict[str, int]:
        """The map as text keys, as it was written."""
        written = {str(old): new for old, new in self.named.items()}
        if self.otherwise is not None:
            written["else"] = self.otherwise
        return written


def parse_label_map(given: str | Mapping[Any, object] | LabelMap | None) -> LabelMap:
    """Read ``"15=1,else=0"`` (``*`` is another word for ``else``), or a mapping of the same.

    Raises
    ------
    UserError
        An entry is not ``old=new`` with whole numbers.
    """
    if given is None:
        return LabelMap()
    if isinstance(given, LabelMap):
        return given
    entries: list[tuple[object, object]]
    if isinstance(given, str):
        entries = []
        for part in filter(str.strip, given.split(",")):
            left, _, right = part.partition("=")
            entries.append((left.strip(), right.strip()))
    else:
        entries = list(given.items())
    named: dict[int, int] = {}
    otherwise: int | None = None
    for old, new in entries:
        try:
            target = int(str(new))
            if str(old).strip().lower() in _ELSE:
                otherwise = target
            else:
                named[int(str(old))] = target
        except ValueError:
            raise UserError(
                "The label map is written OLD=NEW,OLD=NEW,else=NEW with whole numbers, for example "
                f"15=1,else=0. Received: {clean(given, 80)!r}"
            ) from None
    return LabelMap(named, otherwise)
