"""One run of the benchmark: what ``check`` is given, and what it has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """``causes``: for each planted fault the codes that name it; none for a healthy run.
    ``unknown``: no probe knows the fault, so that the exchange of parts has to name the part.
    ``symptoms``: further codes that are true of the run and no wrong alarm."""

    name: str
    make: Callable[[], dict[str, Any]]
    causes: tuple[tuple[str, ...], ...] = ()
    unknown: bool = False
    symptoms: tuple[str, ...] = ()
    net: str = "small"


@dataclass
class Answer:
    case: Case
    report: Any
    seconds: float
    covered: int = 0
    wrong: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        told = set(self.report.diagnosis or ())
        self.covered = sum(bool(told & set(codes)) for codes in self.case.causes)
        planted = {code for codes in self.case.causes for code in codes}
        planted |= set(self.case.symptoms)
        confirmed = {
            finding.code
            for finding in self.report.findings
            if finding.severity == "error"
            and finding.because_of is None
            and finding.verdict is not None
            and finding.verdict.status == "confirmed"
        }
        self.wrong = tuple(sorted((told | confirmed) - planted))

    @property
    def errors(self) -> list[str]:
        return [
            finding.code
            for finding in self.report.findings
            if finding.severity == "error" and finding.because_of is None
        ]

    @property
    def right(self) -> bool:
        if not self.case.causes:
            return not self.errors and self.report.diagnosis == ()
        return self.covered == len(self.case.causes) and not self.wrong
