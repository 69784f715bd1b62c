"""Order, explanation and state of what is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from segdoctor.core.finding import Finding
from segdoctor.report.arrangement import (
    cards,
    counts,
    coverage,
    flat,
    headline,
    state,
    summary,
    unexamined,
)
from segdoctor.report.report import Report

Make = Callable[[str], Report]


def test_what_is_explained_stands_below_its_leader(make_report: Make) -> None:
    arranged = cards(make_report("sick"))
    assert [card.code for card in arranged] == ["BN001", "IGN001", "BN009"]
    assert [below.code for below in arranged[1].explained] == ["LOSS002"]
    assert [card.in_diagnosis for card in arranged] == [True, True, False]


def test_chains_are_deeper_and_orphans_stand_alone() -> None:
    findings = (
        Finding("LBL003", "a"),
        Finding("OUT008", "b", because_of="LBL003"),
        Finding("IGN003", "c", because_of="OUT008"),
        Finding("GRAD001", "d", because_of="MDL005"),
    )
    arranged = cards(Report("check", "m", 1, findings))
    assert [card.code for card in arranged] == ["LBL003", "GRAD001"]
    assert [(b.code, b.depth) for b in arranged[0].explained] == [("OUT008", 1), ("IGN003", 2)]


def test_a_ring_of_explanations_loses_no_finding() -> None:
    findings = (
        Finding("OUT001", "a", because_of="OUT002"),
        Finding("OUT002", "b", because_of="OUT001"),
        Finding("BN003", "c", because_of="BN003"),
    )
    arranged = cards(Report("check", "m", 1, findings))
    assert sum(1 + len(card.explained) for card in arranged) == 3


def test_why_is_the_probes_page_or_the_catalogues_cause(make_report: Make) -> None:
    first, second, _ = cards(make_report("sick"))
    assert first.why.startswith("A layer that is frozen and yet")
    assert first.fine.startswith("A trainable BN")
    assert second.why == "Void pixels change the loss or have a gradient."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sick", ("error", "causes found")),
        ("healthy", ("ok", "healthy")),
        ("refused", ("error", "refused")),
        ("scan", ("error", "faults found")),
        ("inspect", ("ok", "no fault found")),
        ("hostile", ("warning", "incomplete")),
    ],
)
def test_the_state_in_two_words(make_report: Make, name: str, words: tuple[str, str]) -> None:
    assert state(make_report(name)) == words


def test_healthy_is_said_only_where_nothing_stands() -> None:
    warned = Report("check", "m", 0, (Finding("BN009", "w", severity="warning"),), diagnosis=())
    assert state(warned) == ("warning", "warnings")
    unsettled = Report("check", "m", 1, (Finding("BN001", "e"),), diagnosis=None)
    assert "not settled" in headline(unsettled)


def test_a_headline_is_made_of_the_codes_where_none_was_given() -> None:
    report = Report("check", "m", 1, (Finding("BN001", "e"),), diagnosis=("BN001", "IGN001"))
    assert headline(report) == (
        "This run does not learn because of BN001 (frozen-bn-uses-batch-statistics) and "
        "IGN001 (void-reaches-loss)."
    )


def test_counts_and_coverage(make_report: Make) -> None:
    report = make_report("sick")
    assert counts(report) == {"error": 2, "warning": 1, "info": 0, "explained": 1}
    assert summary(report) == ("2 errors", "1 warning", "1 explained by another")
    assert coverage(report)[0].endswith("codes clear")


def test_reasons_are_grouped_and_the_largest_group_is_last(make_report: Make) -> None:
    groups = unexamined(make_report("sick"))
    assert [group.codes for group in groups[:2]] == [("BN002",), ("BN007",)]
    assert len(groups) == 3
    assert groups[-1].reason == "this version has no probe for it yet"


def test_nested_facts_become_pairs() -> None:
    assert flat({"model": {"layers": 3}, "none": None, "sizes": [1, 2], "ignore_label": 255}) == (
        ("model: layers", "3"),
        ("sizes", "1, 2"),
        ("ignore label", "255"),
    )
