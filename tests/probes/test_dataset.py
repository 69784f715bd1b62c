"""Broken files become findings: one a code, with the files."""

from __future__ import annotations

import pytest

from segdoctor.core.data_facts import FileProblem, Pair, ScanFacts
from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.probes.dataset import FileUnreadable, PairMissing, PairSizeDiffers

BY_CODE = {probe.code: probe for probe in (PairMissing(), FileUnreadable(), PairSizeDiffers())}


def facts(*problems: FileProblem) -> ScanFacts:
    pairs = tuple(Pair(str(i), f"i/{i}", f"m/{i}") for i in range(20))
    return ScanFacts(folder="data", layout="folders", pairs=pairs, problems=problems)


@pytest.mark.parametrize("code", sorted(BY_CODE))
@pytest.mark.parametrize("count", [1, 3, 40])
def test_each_code_names_its_files(code: str, count: int) -> None:
    mine = tuple(FileProblem(code, f"data/{i}.png", "reason") for i in range(count))
    other = tuple(FileProblem(c, "data/other.png", "x") for c in BY_CODE if c != code)
    outcome = examine(BY_CODE[code], Trace({"scan": facts(*mine, *other)}))
    (finding,) = outcome.findings
    assert finding.code == code
    assert finding.severity == "error"
    assert finding.evidence[0].value == count
    assert finding.evidence[0].limit == 0
    assert len(finding.evidence) == 1 + min(count, 10)
    assert "0.png (reason)" in finding.message
    assert ("more" in finding.message) == (count > 1)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_sound_folders_and_none_at_all(code: str) -> None:
    assert examine(BY_CODE[code], Trace({"scan": facts()})).status == "clear"
    assert examine(BY_CODE[code], Trace()).status == "not examined"
