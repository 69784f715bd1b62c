"""The report in the order in which a person reads it. Nothing is computed; strings are cleaned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.clean import clean
from segdoctor.core.finding import Finding
from segdoctor.report.report import EXAMINED, Report
from segdoctor.report.wording import beside, counted, lines_of, listed, number, verdict_words

_NARROW = 24  # characters of a column of numbers


@dataclass(frozen=True, slots=True)
class Measure:
    """One number beside its limit, and where it was measured, as text."""

    name: str
    value: str
    limit: str
    where: str

    @property
    def is_said(self) -> bool:
        """Whether the value is words, such as an error's, that a narrow column would tear."""
        return len(self.value) > _NARROW and " " in self.value


@dataclass(frozen=True, slots=True)
class Card:
    """A finding as it is shown. ``explained`` are the findings that this one explains, deepest
    explanation last; ``depth`` is their indentation."""

    code: str
    slug: str
    severity: str
    message: str
    measures: tuple[Measure, ...]
    why: str
    fine: str
    how: str
    limits: str
    remedy: str
    sources: str
    fix: str
    fix_code: tuple[str, ...]
    verdict: str
    verdict_status: str
    verdict_reason: str
    in_diagnosis: bool
    place: str = ""
    known: bool = False
    because_of: str = ""
    depth: int = 0
    explained: tuple[Card, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether a verdict is told: of an error also that there is none, since one is expected."""
        return bool(self.verdict_status) or (bool(self.fix) and self.severity == "error")


@dataclass(frozen=True, slots=True)
class Reason:
    """Codes that share one reason for not having been examined."""

    reason: str
    codes: tuple[str, ...]


def cards(report: Report) -> tuple[Card, ...]:
    """One card a finding that stands by itself, the findings it explains below it."""
    parents = _parents(report.findings)
    below: dict[int, list[int]] = {}
    for index, parent in enumerate(parents):
        if parent is not None:
            below.setdefault(parent, []).append(index)

    def gather(index: int, depth: int) -> list[Card]:
        found = []
        for child in below.get(index, []):
            found.append(_card(report, report.findings[child], depth))
            found.extend(gather(child, depth + 1))
        return found

    return tuple(
        _card(report, finding, 0, tuple(gather(index, 1)))
        for index, finding in enumerate(report.findings)
        if parents[index] is None
    )


def _parents(findings: tuple[Finding, ...]) -> list[int | None]:
    """For each finding the index of the one that explains it; explanations never run in a ring."""
    first: dict[str, int] = {}
    for index, finding in enumerate(findings):
        first.setdefault(finding.code, index)
    parents = [first.get(finding.because_of or "") for finding in findings]
    for index in range(len(findings)):
        above, seen = parents[index], {index}
        while above is not None and above not in seen:
            seen.add(above)
            above = parents[above]
        if above == index:
            parents[index] = None
    return parents


def _card(report: Report, finding: Finding, depth: int, explained: tuple[Card, ...] = ()) -> Card:
    page = {
        key: " ".join(str(text).split())
        for key, text in ((report.measured.get("pages") or {}).get(finding.code) or {}).items()
    }
    cause = CATALOGUE[finding.code].cause.replace("*", "")
    label, reason = verdict_words(finding.verdict)
    measures = []
    for item in finding.evidence:
        value, limit = beside(item.value, item.limit, item.unit)
        measures.append(Measure(clean(item.name, 120), value, limit, clean(item.where, 200)))
    return Card(
        code=finding.code,
        slug=finding.slug,
        severity=finding.severity,
        message=clean(finding.message, 1200),
        measures=tuple(measures),
        why=clean(page.get("why") or cause[:1].upper() + cause[1:] + ".", 2000),
        fine=clean(page.get("fine") or "", 2000),
        how=clean(page.get("how") or "", 2000),
        limits=clean(page.get("limits") or "", 2000),
        remedy=clean(page.get("remedy") or "", 2000),
        sources=clean(page.get("sources") or "", 800),
        fix=clean(finding.fix.words, 800) if finding.fix else "",
        fix_code=lines_of(finding.fix.code) if finding.fix else (),
        verdict=label,
        verdict_status=finding.verdict.status if finding.verdict else "",
        verdict_reason=reason,
        in_diagnosis=finding.code in (report.diagnosis or ()) and not finding.because_of,
        place=_place(finding),
        known=finding.known,
        because_of=clean(finding.because_of or "", 16),
        depth=depth,
        explained=explained,
    )


def _place(finding: Finding) -> str:
    place = finding.place
    if place is None:
        return ""
    words = f", {clean(place.words, 60)}" if place.words else ""
    return f"{clean(place.file, 200)}:{place.line}{words}"


def state(report: Report) -> tuple[str, str]:
    """``(tone, words)``: the state of the examination in two or three words.

    ``tone`` is ``"error"``, ``"warning"``, ``"ok"`` or ``"info"``.
    """
    by_exit = {
        2: ("error", "nothing to examine"),
        3: ("warning", "incomplete"),
        4: ("error", "refused"),
        130: ("warning", "interrupted"),
    }
    if report.exit_code in by_exit:
        return by_exit[report.exit_code]
    severities = {finding.severity for finding in report.findings if not finding.because_of}
    if report.diagnosis:
        return "error", "cause found" if len(report.diagnosis) == 1 else "causes found"
    if "error" in severities:
        return "error", "faults found"
    if report.diagnosis == () and report.kind in EXAMINED and not severities & {"warning"}:
        return "ok", "healthy"
    if "warning" in severities:
        return "warning", "warnings"
    not_run = report.kind in EXAMINED and report.headline.startswith("The model was not run")
    return ("warning", "model not run") if not_run else ("ok", "no fault found")


def headline(report: Report) -> str:
    """The diagnosis in words: the report's own headline, or one made of the codes."""
    if report.headline:
        return clean(report.headline, 800)
    if report.diagnosis:
        named = [f"{c} ({CATALOGUE[c].slug})" for c in report.diagnosis if c in CATALOGUE]
        return f"This run does not learn because of {listed(named)}."
    if report.exit_code == 4:
        return "The file was refused: it carries code that opening it would run."
    if report.diagnosis == ():
        return "No error stands against what was examined."
    errors = sum(finding.severity == "error" for finding in report.findings)
    if not errors:
        return "No error was found in what was examined."
    if report.kind not in EXAMINED:
        return next(clean(f.message, 400) for f in report.findings if f.severity == "error")
    return f"The cause is not settled: {counted(errors, 'error')} found, none confirmed by a trial."


def counts(report: Report) -> dict[str, int]:
    """How many findings stand by themselves, by severity, and how many another one explains."""
    total = {"error": 0, "warning": 0, "info": 0, "explained": 0}
    for finding in report.findings:
        total["explained" if finding.because_of else finding.severity] += 1
    return total


def summary(report: Report) -> tuple[str, ...]:
    """The counts of the findings in words."""
    total = counts(report)
    parts = [
        counted(total[severity], noun, plural)
        for severity, noun, plural in (
            ("error", "error", ""),
            ("warning", "warning", ""),
            ("info", "note", ""),
        )
        if total[severity]
    ] or ["no finding"]
    if total["explained"]:
        parts.append(f"{total['explained']} explained by another")
    return tuple(parts)


def coverage(report: Report) -> tuple[str, ...]:
    """How many codes were clear, not examined, left out or crashed, in words."""
    names = {
        "clear": "clear",
        "not examined": "not examined",
        "ignored": "left out by select/ignore",
        "crashed": "crashed",
    }
    answers = [outcome.status for outcome in report.outcomes]
    return tuple(
        f"{counted(answers.count(status), 'code')} {words}"
        for status, words in names.items()
        if status in answers
    )


def unexamined(report: Report) -> tuple[Reason, ...]:
    """Codes that were not examined, by reason; the reason with the most codes last."""
    return _by_reason(report, "not examined")


def crashed(report: Report) -> tuple[Reason, ...]:
    """Probes that crashed, by reason. Each is a defect of segdoctor."""
    return _by_reason(report, "crashed")


def _by_reason(report: Report, status: str) -> tuple[Reason, ...]:
    groups: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        if outcome.status == status:
            groups.setdefault(clean(outcome.reason, 300) or "no reason given", []).append(
                clean(outcome.code, 16)
            )
    reasons = [Reason(reason, tuple(codes)) for reason, codes in groups.items()]
    return tuple(sorted(reasons, key=lambda group: len(group.codes)))


def with_status(report: Report, status: str) -> tuple[str, ...]:
    """The codes whose probe gave this answer."""
    return tuple(clean(o.code, 16) for o in report.outcomes if o.status == status)


def flat(values: Mapping[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Plain nested values as ``(name, text)`` pairs; what is empty is left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{clean(key, 60).replace('_', ' ')}"
        if isinstance(value, Mapping):
            pairs.extend(flat(value, f"{name}: ") if len(prefix) < 60 else ())
        elif isinstance(value, (list, tuple)):
            words = ", ".join(number(item) for item in value[:12])
            pairs.append((name, f"{words} …" if len(value) > 12 else words))
        elif value is not None and value != "":
            pairs.append((name, number(value)))
    return tuple((name, text) for name, text in pairs if text)


def class_name(report: Report, identifier: object) -> str:
    """The name of a class where ``measured["class_names"]`` has it, else its id."""
    names = report.measured.get("class_names") or {}
    if isinstance(names, Mapping):
        given = names.get(identifier, names.get(str(identifier)))
    else:
        index = int(str(identifier))
        given = names[index] if 0 <= index < len(names) else None
    return clean(given, 40) if given else clean(identifier, 12)
