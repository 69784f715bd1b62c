"""The base of every probe, and how a probe says that it could not look."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import ClassVar

from segdoctor.core.catalogue import CATALOGUE, Severity
from segdoctor.core.finding import Evidence, Finding, Fix


class NotExaminedError(Exception):
    """A probe or the recorder could not look; the text completes *not examined, because …*."""


@dataclass(frozen=True)
class Probe:
    """One cause, one code of the catalogue.

    A subclass gives ``code`` and a method ``examine(self, …)`` whose parameters' names are the
    fields of the :class:`~segdoctor.core.trace.Trace` that it needs; a parameter with the
    default ``None`` is optional. ``examine`` is pure: it yields findings and touches nothing. Its
    thresholds are the dataclass fields of the subclass, each with ``metadata={"doc": …}`` and
    printed into the page of the code by ``segdoctor explain``.
    """

    code: ClassVar[str] = ""
    how: ClassVar[str] = ""
    why: ClassVar[str] = ""
    fix: ClassVar[str] = ""
    fine: ClassVar[str] = ""
    sources: ClassVar[str] = ""

    def needs(self) -> tuple[tuple[str, bool], ...]:
        """``(field, required)`` for each field of the trace that ``examine`` reads."""
        signature = inspect.signature(self.examine)  # type: ignore[attr-defined]
        return tuple(
            (name, parameter.default is inspect.Parameter.empty)
            for name, parameter in signature.parameters.items()
        )

    def thresholds(self) -> Iterator[tuple[str, object, str]]:
        """``(name, value, meaning)`` of each threshold, for the page of the code."""
        for item in fields(self):
            yield item.name, getattr(self, item.name), str(item.metadata.get("doc", ""))

    def finding(
        self,
        message: str,
        evidence: Iterable[Evidence] = (),
        fix: Fix | None = None,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this probe's code, at the catalogue's severity unless one was measured."""
        return Finding(
            code=self.code,
            message=message,
            evidence=tuple(evidence),
            fix=fix,
            severity=severity or CATALOGUE[self.code].severity,
        )
