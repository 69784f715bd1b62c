"""From outcomes and trials to what the report says first: diagnosis, headline, exit status."""

from __future__ import annotations

from collections.abc import Sequence

from segdoctor.core.catalogue import CATALOGUE, SEVERITIES
from segdoctor.core.engine import Outcome
from segdoctor.core.finding import Finding
from segdoctor.core.probe import Probe
from segdoctor.core.trial_facts import AS_IT_IS, TrialRun

_EXCHANGED = ("TRIAL004", "TRIAL005", "TRIAL006", "TRIAL007")

# Shown by exact arithmetic or by the bytes of the files: no trial can add to it.
EXACT = frozenset(
    (
        *("MDL001", "MDL002", "MDL004", "MDL005", "BN010", "BN011", "OUT003", "OUT004", "OUT008"),
        *("LOSS005", "LOSS006", "LOSS007", "LOSS010"),
        *("LOSS001", "LOSS003", "IGN001", "IGN002", "IGN003", "LBL001", "LBL002", "LBL003"),
        *("LBL004", "LBL005", "LBL007", "LBL009", "LBL011", "DATA001", "DATA002", "DATA003"),
        *("DATA016", "GRAD001", "GRAD004", "GRAD007", "MET001", "MET002", "OPT008"),
        *("HIST004", "HIST005", "HIST006"),
        # Shown by the trials themselves.
        *("TRIAL002", *_EXCHANGED),
    )
)


def leading_errors(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors that no other finding explains."""
    return tuple(f for f in findings if f.severity == "error" and f.because_of is None)


def diagnosis_of(
    findings: Sequence[Finding], decisive: Sequence[str], *, complete: bool
) -> tuple[str, ...] | None:
    """The minimal decisive set, then the errors proven by measurement or confirmed by removed
    evidence; ``()`` only if no error stands; None if it is not settled."""
    errors = leading_errors(findings)
    if not errors:
        return () if complete else None
    exchanged = {f.because_of for f in findings if f.code in _EXCHANGED}
    proven = [
        f.code
        for f in errors
        if (f.verdict is not None and f.verdict.status == "confirmed")
        or (f.code in EXACT and (f.verdict is None or f.verdict.status != "refuted"))
        # No fix could be tried, but the run learns with that part exchanged.
        or (f.code in exchanged and f.verdict is None)
    ]
    return tuple(dict.fromkeys([*decisive, *proven])) or None


def headline_of(
    findings: Sequence[Finding],
    diagnosis: Sequence[str] | None,
    trials: Sequence[TrialRun],
    subject: str,
) -> str:
    """One or two sentences that stand at the top of the report."""
    errors = leading_errors(findings)
    as_is = next((run for run in trials if run.name == AS_IT_IS), None)
    learns = ""
    if as_is is not None:
        cut = f", {as_is.note}" if as_is.verdict == "slow" and as_is.note else ""
        learns = f" The trial on one batch: {as_is.verdict}{cut}."
    if not errors and as_is is not None and as_is.verdict == "cannot run":
        return f"The {subject} could not be trained, and no probe says why: {as_is.note}"
    if not errors:
        warnings = sum(f.severity == "warning" for f in findings)
        rest = f" {_count(warnings, 'warning')} below." if warnings else ""
        return f"No error was found in this {subject}.{learns}{rest}"
    first = errors[0]
    told = first.message if first.message.endswith(".") else first.message + "."
    more = f" {_count(len(errors) - 1, 'further error')} below." if len(errors) > 1 else ""
    proof = ""
    if first.verdict is not None and first.verdict.status == "confirmed":
        proof = (
            " With the fix the run learns, without it it does not."
            if first.verdict.effect == "decisive"
            else " The fix was applied and the fault was gone."
        )
    elif diagnosis is None:
        proof = " This is not yet proven by a trial."
    else:
        shown = (f for f in findings if f.code in _EXCHANGED and f.because_of == first.code)
        proof = "".join(f" {f.message}" for f in shown)
    return f"{told}{proof}{more}"


def exit_code_of(
    findings: Sequence[Finding],
    outcomes: Sequence[Outcome],
    *,
    fail_on: str,
    interrupted: bool,
    refused: bool,
    incomplete: bool,
) -> int:
    """Precedence 130 > 4 > 3 > 1 > 0; usage errors (2) never come this far."""
    if interrupted:
        return 130
    if refused:
        return 4
    if incomplete or any(outcome.status == "crashed" for outcome in outcomes):
        return 3
    if fail_on == "never":
        return 0
    limit = SEVERITIES.index("error" if fail_on == "error" else "warning")
    found = any(SEVERITIES.index(f.severity) <= limit for f in findings if f.because_of is None)
    return 1 if found else 0


def pages(codes: Sequence[str], probes: Sequence[object]) -> dict[str, dict[str, str]]:
    """The page of each code, for the cards of the report."""
    by_code = {getattr(probe, "code", ""): probe for probe in probes}
    return {
        code: {
            "cause": CATALOGUE[code].cause,
            "how": getattr(by_code.get(code), "how", ""),
            "why": getattr(by_code.get(code), "why", ""),
            "fine": getattr(by_code.get(code), "fine", ""),
            "remedy": getattr(by_code.get(code), "fix", ""),
            "limits": _limits(by_code.get(code)),
            "sources": getattr(by_code.get(code), "sources", ""),
        }
        for code in codes
    }


def _limits(probe: object) -> str:
    if not isinstance(probe, Probe):
        return ""
    return "; ".join(f"{name} = {value}: {words}" for name, value, words in probe.thresholds())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
