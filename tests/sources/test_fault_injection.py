"""Every kind of fault, put into a copy of genuine VOC pairs: found, named, and nothing else.

One seed a kind here; ``benchmarks/scan_faults.py`` runs all of them with more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdoctor.api import scan
from segdoctor.report.report import Report

from .injected import KINDS, copy_of

VOC = Path(__file__).parents[2] / ".." / "shared" / "data" / "voc"
pytestmark = pytest.mark.skipif(not VOC.is_dir(), reason="real VOC pairs are not at hand")
EACH = 20  # pairs of train and of val


def other_errors(report: Report, code: str) -> list[str]:
    return [
        f"{finding.code}: {finding.message}"
        for finding in report.findings
        if finding.code != code and finding.severity == "error" and not finding.because_of
    ]


def text_of(report: Report, code: str) -> str:
    """All that the findings of a code say."""
    return " ".join(
        f"{finding.message} {evidence.name} {evidence.value} {evidence.where}"
        for finding in report.findings
        if finding.code == code
        for evidence in finding.evidence
    )


def test_the_copy_is_sound(tmp_path: Path) -> None:
    report = scan(copy_of(VOC, tmp_path / "voc", EACH).root, num_classes=21)
    assert other_errors(report, "") == []
    assert report.exit_code == 0


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_fault_is_found_and_named(name: str, tmp_path: Path) -> None:
    folder = copy_of(VOC, tmp_path / "voc", EACH + 10 * (name == "class_only_in_val"))
    seed = sum(name.encode()) % 100
    code, files = KINDS[name](folder, np.random.default_rng(seed))
    report = scan(folder.root, num_classes=21)
    assert code in report.codes
    assert any(file in text_of(report, code) for file in files), text_of(report, code)
    assert other_errors(report, code) == []
    assert [outcome.reason for outcome in report.outcomes if outcome.status == "crashed"] == []
