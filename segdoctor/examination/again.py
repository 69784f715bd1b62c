"""Measures a treated run again: is the fault gone, is a symptom still there, what was hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from segdoctor.core.engine import examine_all
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing
from segdoctor.examination import recording, verdict
from segdoctor.probes.registry import PROBES
from segdoctor.trial.clinic import Clinic
from segdoctor.trial.clock import Clock

# Of the budget, what is left for training whatever is measured again before.
_FOR_TRAINING = 0.5


class Again:
    """Records treated runs within the trial's budget; each patch is measured once.

    Parameters
    ----------
    seconds : what one recording takes.
    """

    def __init__(
        self,
        clinic: Clinic,
        known: recording.Knowledge,
        selected: Callable[[str], bool],
        clock: Clock,
        seconds: float,
    ) -> None:
        self.clinic = clinic
        self._known = known
        self._selected = selected
        self._clock = clock
        self._seconds = seconds
        self._found: dict[frozenset[tuple[str, Any]], tuple[Finding, ...]] = {}

    def errors(self, patch: Mapping[str, Any]) -> frozenset[str] | None:
        """Codes of the errors that are measured under ``patch``; None if there is no time."""
        if not self._clock.allows(0.8 * self._seconds):
            return None
        return frozenset(f.code for f in self._errors(patch))

    def _errors(self, patch: Mapping[str, Any]) -> tuple[Finding, ...]:
        key = frozenset(patch.items())
        if key not in self._found:
            run = self.clinic.treat(patch)
            trace = recording.record(run, _as_treated(run, self._known))
            outcomes = examine_all(PROBES, trace, self._selected)
            found = [f for o in outcomes for f in o.findings if f.severity == "error"]
            self._found[key] = tuple(found)
        return self._found[key]

    def independent(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Findings whose explanation was tested: each leader's patch is applied alone, and a
        symptom that is still measured then is a fault of its own."""
        originals = {f.code: f for f in findings}
        remain: dict[str, frozenset[str]] = {}
        for code in {f.because_of for f in findings if f.because_of}:
            leader = originals.get(code)
            if leader is None or leader.fix is None or not leader.fix.patch:
                continue
            if not self._clock.allows(self._seconds, keep=_FOR_TRAINING):
                continue
            try:
                remain[code] = frozenset(f.code for f in self._errors(leader.fix.patch))
            except NotExaminedError:
                continue
        if not remain:
            return tuple(findings)
        return explained(
            [_unexplained(f) for f in findings],
            lambda leader, follower: follower in remain[leader] if leader in remain else None,
        )

    def uncovered(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Findings and those that show only when the run can take a step: a loss that raises
        hides what the gradients and the optimizer would have said."""
        patch: dict[str, Any] = {}
        for finding in verdict.leading_errors(findings):
            if finding.fix is not None:
                patch = {**finding.fix.patch, **patch}
        if not patch or not self._clock.allows(self._seconds, keep=_FOR_TRAINING):
            return tuple(findings)
        try:
            found = self._errors(patch)
        except NotExaminedError:
            return tuple(findings)
        codes = {finding.code for finding in findings}
        behind = [
            replace(f, message=f"Once the run can take a step: {f.message}")
            for f in found
            if f.code not in codes
        ]
        return explained([*findings, *behind]) if behind else tuple(findings)


def _as_treated(treated_run: Run, known: recording.Knowledge) -> recording.Knowledge:
    """A treated run's batch is judged like one that a user feeds, the optimizer included; where
    its labels were changed, the masks on disk no longer say what is fed."""
    fields = dict(known.fields)
    declared = known.declared
    if any(name.startswith("labels.") for name in treated_run.patches):
        fields["scan"] = Missing("the treated labels are not those on disk")
        declared = replace(declared, encoding_declared=True)
    compiled = fields.get("compiled")
    if isinstance(compiled, CompileFacts):
        if any(name.startswith("loss.") for name in treated_run.patches):
            compiled = replace(compiled, loss=None, from_logits=None, ignore_class=None)
        if any(name.startswith("optimizer.") for name in treated_run.patches):
            compiled = replace(compiled, optimizer=None, learning_rate=None, schedule={})
        fields["compiled"] = compiled
    return replace(known, fields=fields, declared=declared, optimizer_known=True)


def _unexplained(finding: Finding) -> Finding:
    if finding.because_of is None:
        return finding
    return replace(finding, severity=finding.measured_severity, because_of=None)
