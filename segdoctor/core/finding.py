"""What a probe says: a finding, the numbers that show it, and the fix that is proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from segdoctor.core.catalogue import CATALOGUE, Severity

Plain = str | int | float | bool | None
VerdictStatus = Literal["confirmed", "refuted", "inconclusive"]
Effect = Literal["decisive", "removes the evidence", "none"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number beside its limit.

    Parameters
    ----------
    name : what was measured, in words.
    value : what came out.
    limit : what a sound run has; None where there is no such number.
    unit : unit of ``value`` and ``limit`` (``"share"``, ``"px"``, ``"ids"``); "" for none.
    where : the layer, file, class or pixel it was measured at.
    """

    name: str
    value: Plain
    limit: Plain = None
    unit: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A remedy: words, code to paste, and where possible a patch that a trial can apply.

    ``patch`` is declarative: names of parts of the run to their new value, for example
    ``{"loss.ignore_class": 255}``. The names are listed in :mod:`segdoctor.core.patches`.
    """

    words: str
    code: str = ""
    patch: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the trial said of a fix. A fix is a hypothesis until then."""

    status: VerdictStatus
    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's code: ``file`` as the user writes it, ``line`` counted from 1, and what
    stands there in words (``"the compile"``)."""

    file: str
    line: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause, with the numbers that show it.

    ``because_of`` names the code of the finding that explains this one (it is then kept as
    information below that finding); ``severity`` is the measured severity, which may differ from
    the catalogue's default. ``measured_severity`` is what it was before another finding explained
    this one. ``place`` is the line of the user's script that it speaks of, where one is known, and
    ``known`` that it stands in the baseline.
    """

    code: str
    message: str
    evidence: tuple[Evidence, ...] = ()
    fix: Fix | None = None
    severity: Severity = "error"
    verdict: Verdict | None = None
    because_of: str | None = None
    measured_severity: Severity = "error"
    place: Place | None = None
    known: bool = False

    def __post_init__(self) -> None:
        if self.because_of is None:
            object.__setattr__(self, "measured_severity", self.severity)

    @property
    def slug(self) -> str:
        return CATALOGUE[self.code].slug

    def explained_by(self, code: str) -> Finding:
        """The same finding as information below the one that explains it."""
        return replace(
            self, severity="info", because_of=code, measured_severity=self.measured_severity
        )

    def with_verdict(self, verdict: Verdict) -> Finding:
        return replace(self, verdict=verdict)
