"""One cause leads, its symptoms stand below it, and an independent second fault is never hidden."""

from __future__ import annotations

from segdoctor.core.explain import explained, leader_of, reach
from segdoctor.core.finding import Evidence, Finding, Verdict


def told(*findings: Finding, still=lambda leader, follower: None) -> list[tuple[str, str | None]]:
    return [(f.code, f.because_of) for f in explained(findings, still)]


def test_chains_reach_to_the_end() -> None:
    assert {"LBL003", "OUT008", "IGN003", "LOSS001"} <= reach("LBL005")
    assert {"BN005", "BN003", "TRIAL002"} <= reach("DATA007")


def test_the_leader_is_the_furthest_up() -> None:
    assert leader_of("IGN003", ["LBL003", "LBL005", "OUT008"]) == "LBL005"
    assert leader_of("IGN003", ["BN001"]) is None
    assert leader_of("OUT001", ["MDL005", "GRAD001"]) == "MDL005"  # one-hot of an arg max sums to 1


def test_symptoms_become_information_below_the_cause() -> None:
    result = explained([Finding("IGN003", "void"), Finding("LBL005", "grey")])
    assert [(f.code, f.severity, f.because_of) for f in result] == [
        ("LBL005", "error", None),
        ("IGN003", "info", "LBL005"),
    ]
    assert result[1].measured_severity == "error"


def test_what_is_measured_again_stands() -> None:
    assert told(
        Finding("LBL005", "grey"),
        Finding("IGN003", "void"),
        still=lambda leader, follower: True,
    ) == [("LBL005", None), ("IGN003", None)]


def test_information_and_warnings_explain_no_error() -> None:
    healed = Finding("OUT001", "healed", severity="info")
    assert told(healed, Finding("LOSS002", "wrong"))[0] == ("LOSS002", None)
    assert ("LOSS002", None) in told(
        Finding("IGN001", "void", severity="warning"), Finding("LOSS002", "wrong")
    )


def test_a_file_that_cannot_be_loaded_explains_all_behind_it() -> None:
    result = told(Finding("BN004", "default"), Finding("MDL002", "missing class"))
    assert result == [("MDL002", None), ("BN004", "MDL002")]


def test_what_the_trial_proved_comes_first() -> None:
    decisive = Verdict("confirmed", "decisive", "")
    removed = Verdict("confirmed", "removes the evidence", "")
    refuted = Verdict("refuted", "none", "")
    findings = [
        Finding("LBL009", "", verdict=refuted),
        Finding("OUT002", "", verdict=removed),
        Finding("OPT001", "", verdict=decisive),
        Finding("BN002", "", severity="warning"),
    ]
    assert [f.code for f in explained(findings)] == ["OPT001", "OUT002", "LBL009", "BN002"]


def test_what_the_trial_shows_stands_below_the_part_that_is_named() -> None:
    result = told(
        Finding("TRIAL003", "one class"),
        Finding("BN004", "default", verdict=Verdict("confirmed", "decisive", "")),
        Finding("DATA001", "a pair is missing"),
    )
    assert ("TRIAL003", "BN004") in result
    assert ("TRIAL001", None) in told(Finding("TRIAL001", "stuck"), Finding("DATA001", "missing"))
    assert ("TRIAL002", None) in told(Finding("TRIAL002", "mode"), Finding("OPT001", "small"))


def test_only_images_that_are_no_numbers_make_gradients_that_are_none() -> None:
    none = Finding("DATA010", "NaN", evidence=(Evidence("images with NaN or Inf", 3),))
    assert told(none, Finding("GRAD004", "NaN")) == [("DATA010", None), ("GRAD004", "DATA010")]
    flat = Finding("DATA010", "flat", evidence=(Evidence("images of one colour", 1.0),))
    assert ("GRAD004", None) in told(flat, Finding("GRAD004", "NaN"))


def test_images_of_one_colour_explain_dead_units_only_where_there_are_no_others() -> None:
    dead = Finding("GRAD002", "no kernel has any gradient")
    black = Finding("DATA010", "flat", evidence=(Evidence("images of one colour", 1.0),))
    assert ("GRAD002", "DATA010") in told(black, dead)
    few = Finding("DATA010", "flat", evidence=(Evidence("images of one colour", 0.1),))
    assert ("GRAD002", None) in told(few, dead)
    assert ("GRAD002", None) in told(
        Finding("DATA010", "twice", evidence=(Evidence("repeated", 3),)), dead
    )
