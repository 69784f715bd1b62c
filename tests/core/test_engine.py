"""Every probe answers: fired, clear, not examined (and why), ignored, crashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.engine import examine, examine_all
from segdoctor.core.finding import Finding
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.core.trace import Missing, Trace


@dataclass(frozen=True)
class Above(Probe):
    code = "GRAD005"
    limit: float = 1.0

    def examine(self, level: float, note: str | None = None) -> Iterator[Finding]:
        if level < 0:
            raise NotExaminedError("a level below zero means nothing")
        if level > 100:
            raise ZeroDivisionError("of ours")
        if level > self.limit:
            yield self.finding(f"too high{note or ''}")


def test_fired_and_clear() -> None:
    fired = examine(Above(), Trace({"level": 2.0}))
    assert fired.status == "fired"
    assert fired.findings[0].severity == CATALOGUE["GRAD005"].severity
    assert examine(Above(), Trace({"level": 1.0})).status == "clear"


def test_a_missing_need_says_why_and_which_flag_tells() -> None:
    outcome = examine(Above(), Trace({"level": Missing("no data was given", "--data")}))
    assert (outcome.status, outcome.reason) == (
        "not examined",
        "no data was given (--data would tell)",
    )
    assert examine(Above(), Trace()).status == "not examined"


def test_an_optional_need_may_be_missing() -> None:
    assert examine(Above(), Trace({"level": 2.0, "note": Missing("-")})).status == "fired"


def test_a_probe_may_say_that_it_cannot_tell() -> None:
    outcome = examine(Above(), Trace({"level": -1.0}))
    assert outcome.status == "not examined"
    assert "below zero" in outcome.reason


def test_a_crash_is_reported_with_its_place() -> None:
    outcome = examine(Above(), Trace({"level": 101.0}))
    assert outcome.status == "crashed"
    assert "ZeroDivisionError: of ours in examine:" in outcome.reason


def test_every_code_of_the_catalogue_answers() -> None:
    outcomes = examine_all([Above()], Trace({"level": 0.0}), lambda code: code != "BN001")
    by_code = {outcome.code: outcome.status for outcome in outcomes}
    assert list(by_code) == list(CATALOGUE)
    assert by_code["GRAD005"] == "clear"
    assert by_code["BN001"] == "ignored"
    assert by_code["BN002"] == "not examined"
