"""The catalogue, the probes and the pages say the same."""

from __future__ import annotations

import dataclasses

import pytest

from segdoctor.core.catalogue import CATALOGUE, FAMILIES, codes_matching
from segdoctor.core.errors import UserError
from segdoctor.pages import listing, page_of
from segdoctor.probes.registry import PROBES, SECOND_PASS

ALL = (*PROBES, *SECOND_PASS)


def test_codes_are_unique_and_belong_to_a_family() -> None:
    assert len(CATALOGUE) == 112
    assert {entry.family for entry in CATALOGUE.values()} == set(FAMILIES)
    assert len({entry.slug for entry in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_probe_is_listed_once_and_has_a_code_of_the_catalogue() -> None:
    codes = [probe.code for probe in ALL]
    assert len(codes) == len(set(codes))
    assert set(codes) <= set(CATALOGUE)


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.code)
def test_every_probe_has_a_whole_page(probe) -> None:
    page = page_of(probe.code)
    for text in (probe.how, probe.why, probe.fix, probe.fine, probe.sources):
        assert len(text) > 10
    for name, value, doc in probe.thresholds():
        assert doc, f"threshold {name} of {probe.code} has no doc"
        assert f"{name} = {value}" in page


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.code)
def test_thresholds_are_fields_with_a_default(probe) -> None:
    assert type(probe)() == probe
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(probe))
    assert probe.needs()


def test_every_code_is_listed_and_explained() -> None:
    shown = listing()
    for code, entry in CATALOGUE.items():
        assert code in shown
        assert entry.slug in page_of(code)


def test_codes_families_and_slugs_are_taken() -> None:
    assert codes_matching(("bn001",)) == {"BN001"}
    assert codes_matching(("void-lost",)) == {"IGN007"}
    assert len(codes_matching(("BN",))) == 11


@pytest.mark.parametrize("wrong", ["BN999", "nonsense", ""])
def test_an_unknown_code_is_one_clear_line(wrong: str) -> None:
    with pytest.raises(UserError) as caught:
        codes_matching((wrong,))
    assert "\n" not in str(caught.value)
    assert "expected a code such as BN001" in str(caught.value)
