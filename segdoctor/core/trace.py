"""What was measured: named fields, each either a value or the reason why it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a field was not measured. ``reason`` completes *not examined, because …*; ``flag``
    names the flag or argument that would tell."""

    reason: str
    flag: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.flag} would tell)" if self.flag else self.reason


@dataclass(frozen=True, slots=True)
class Trace:
    """The measured values of one run, by name. Frozen: a new measurement makes a new trace."""

    values: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def get(self, name: str) -> object:
        """The value of ``name``, or the :class:`Missing` that says why there is none."""
        return self.values.get(name, Missing(f"{name.replace('_', ' ')} was not recorded"))

    def having(self, **values: object) -> Trace:
        """A trace with these fields added or replaced."""
        return Trace({**self.values, **values})

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)
