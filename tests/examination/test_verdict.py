"""The diagnosis: what the fixes, the measurements and the exchange of parts have shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from segdoctor.core.finding import Finding, Verdict, VerdictStatus
from segdoctor.examination.verdict import diagnosis_of, headline_of

BROKEN = Finding("DATA010", "1 of 4 images holds NaN", severity="error")
BLAMED = Finding(
    "TRIAL005",
    "Only exchanging the data made the run learn.",
    severity="info",
    because_of="DATA010",
)


def test_an_error_without_a_fix_is_shown_by_the_exchange_of_its_part() -> None:
    found = diagnosis_of((BROKEN, BROKEN, BLAMED), (), complete=True)
    assert found == ("DATA010",)
    assert headline_of((BROKEN, BLAMED), found, (), "run") == (
        "1 of 4 images holds NaN. Only exchanging the data made the run learn."
    )


@pytest.mark.parametrize("status", ["refuted", "inconclusive"])
def test_an_error_whose_fix_did_not_help_is_not(status: VerdictStatus) -> None:
    tried = replace(BROKEN, verdict=Verdict(status, "none", ""))
    assert diagnosis_of((tried, BLAMED), (), complete=True) is None


def test_without_an_exchange_it_is_not_settled() -> None:
    assert diagnosis_of((BROKEN,), (), complete=True) is None
    assert "not yet proven" in headline_of((BROKEN,), None, (), "run")


def test_another_part_shows_nothing_of_it() -> None:
    other = replace(BLAMED, code="TRIAL007", because_of="OPT004")
    assert diagnosis_of((BROKEN, other), (), complete=True) is None


@pytest.mark.parametrize("code", ["HIST006", "MET002", "OPT008"])
def test_what_no_trial_can_add_to_is_settled(code: str) -> None:
    assert diagnosis_of((Finding(code, "…", severity="error"),), (), complete=True) == (code,)
