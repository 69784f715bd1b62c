"""Which of a report's findings are mended, and where each part of their fixes belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segdoctor.core.finding import Finding
from segdoctor.report.report import Report

MASKS = ("labels.restore", "labels.decode", "labels.scale", "labels.shift")
"""In the order in which they are applied to the ids of a mask."""

MODEL = (
    *("head.activation", "head.channels", "head.trainable", "freeze"),
    *("bn.unwire", "bn.training", "bn.freeze", "bn.recalibrate"),
    *("loss.from_logits", "loss.ignore_class", "optimizer.learning_rate"),
)
"""What a model file can be given; the last three are its compile settings."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``confirmed`` findings, whose fixes together are ``patch``; ``left``: the other findings that
    lead, each with the reason why its fix is not applied."""

    confirmed: tuple[Finding, ...]
    left: tuple[tuple[Finding, str], ...]
    patch: Mapping[str, Any]

    def of(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self.patch[name] for name in names if name in self.patch}


def plan_of(report: Report) -> Plan:
    """What of ``report`` a trial has confirmed."""
    confirmed, left = [], []
    patch: dict[str, Any] = {}
    for finding in report.findings:
        if finding.because_of is not None or finding.severity == "info":
            continue
        if finding.verdict is None or finding.verdict.status != "confirmed":
            left.append((finding, _why_not(finding)))
            continue
        confirmed.append(finding)
        if finding.fix is not None:
            patch = {**finding.fix.patch, **patch}  # the first one's word stands, as in the trial
    return Plan(tuple(confirmed), tuple(left), patch)


def _why_not(finding: Finding) -> str:
    if finding.verdict is not None:
        return f"its fix is {finding.verdict.status}: {finding.verdict.reason}"
    if finding.severity != "error":
        return "a warning: its fix was not tried"
    if finding.fix is None or not finding.fix.patch:
        return "no trial can apply its fix"
    return "its fix was not tried"
