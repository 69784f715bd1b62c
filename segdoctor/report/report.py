"""The result of an examination: everything, serialisable. The renderers only draw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segdoctor.core.engine import Outcome
from segdoctor.core.finding import Finding

if TYPE_CHECKING:
    from segdoctor.core.trial_facts import Picture, TrialRun

SCHEMA_VERSION = "1"
EXAMINED = ("check", "run")
"""Kinds of reports on a training run; the others read files alone."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. ``diagnosis`` is the smallest confirmed set of causes, ``()`` if the run is
    healthy and None if it is not settled."""

    kind: str  # "check", "run", "inspect" or "scan"
    subject: str
    exit_code: int
    findings: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    diagnosis: tuple[str, ...] | None = None
    headline: str = ""
    trials: tuple[TrialRun, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)  # plain values: what was examined
    measured: Mapping[str, Any] = field(default_factory=dict)  # plain tables for the figures
    pictures: tuple[Picture, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seed: int = 0
    raw: Any = field(default=None, repr=False, compare=False)  # ModelFacts or ScanFacts, for tables

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the findings, those explained by another one included."""
        return frozenset(finding.code for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values: the document of ``--format json``."""
        from segdoctor.report.document import to_document

        return to_document(self)

    def frame(self) -> Any:
        """One row a finding, as a pandas DataFrame."""
        from segdoctor.report.document import to_frame

        return to_frame(self)

    def plot(self, name: str) -> Any:
        """A figure of the report as a matplotlib ``Figure``, to restyle or to save:
        ``report.plot("gradients")``. An unknown name is answered with those that there are.

        Raises
        ------
        UserError
            If there is no such figure, or if what it shows was not measured; one line says why.
        """
        from segdoctor.report.figures import plot

        return plot(self, name)

    def save(self, folder: str) -> tuple[str, ...]:
        """Write ``report.html``, ``report.json`` and ``report.png``; each whole or not at all.
        Returns their paths."""
        from segdoctor.report.files import save

        return save(self, folder)

    def _repr_html_(self) -> str:
        from segdoctor.report.html import notebook_html

        return notebook_html(self)

    def __str__(self) -> str:
        from segdoctor.report.text import as_text

        return as_text(self)
