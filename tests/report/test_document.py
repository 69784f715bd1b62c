"""The JSON document: valid by its schema, plain, clean, the same for the same report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest

from segdoctor.core.finding import Evidence, Finding
from segdoctor.report.document import plain, schema, to_document, to_frame, to_json
from segdoctor.report.report import Report

Make = Callable[[str], Report]
NAMES = ("sick", "healthy", "refused", "scan", "inspect", "many", "hostile")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def _no_constants(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize("name", NAMES)
def test_every_report_is_valid(
    make_report: Make, validator: jsonschema.Draft202012Validator, name: str
) -> None:
    text = to_json(make_report(name))
    document = json.loads(text, parse_constant=_no_constants)
    validator.validate(document)
    assert text.isascii()
    assert not any(ord(character) < 32 and character != "\n" for character in text)


def test_the_schema_refuses_what_is_not_in_the_contract(
    make_report: Make, validator: jsonschema.Draft202012Validator
) -> None:
    document = to_document(make_report("sick"))
    for change in ({"exit_code": 5}, {"seed": "0"}, {"extra": 1}, {"diagnosis": "BN001"}):
        assert not validator.is_valid({**document, **change})
    del document["outcomes"]
    assert not validator.is_valid(document)


def test_the_findings_say_all_of_it(make_report: Make) -> None:
    document = to_document(make_report("sick"))
    first = document["findings"][0]
    assert (first["code"], first["slug"]) == ("BN001", "frozen-bn-uses-batch-statistics")
    assert first["evidence"][1] == {
        "name": "output gap, training against inference",
        "value": 2.413,
        "limit": 0.25,
        "unit": "",
        "where": "block_0/bn",
    }
    assert first["fix"]["patch"] == {"bn.mode": "inference"}
    assert first["fix"]["code"].splitlines()[3] == "    model.compile(optimizer, loss)  # " + (
        "compile again after freezing"
    )
    assert first["verdict"]["status"] == "confirmed"
    assert document["findings"][2]["because_of"] == "IGN001"
    assert document["diagnosis"] == ["IGN001", "BN001"]
    assert document["trials"][0]["curve"][0] == [0, pytest.approx(3.04), pytest.approx(0.03)]
    assert document["trials"][0]["per_class"].keys() == {"0", "5", "15"}
    assert "pages" not in document["measured"]


def test_not_settled_is_null_and_healthy_is_empty(make_report: Make) -> None:
    assert to_document(make_report("scan"))["diagnosis"] is None
    assert to_document(make_report("healthy"))["diagnosis"] == []


def test_values_become_plain() -> None:
    value: dict[Any, Any] = {
        1: np.float32(0.5),
        "array": np.array([[1.0, math.nan], [math.inf, 2.0]]),
        "ids": np.array([1, 2], dtype=np.uint8),
        "flag": np.bool_(True),
        "set": {"b", "a"},
        "text": "a\x1bb",
        "object": Evidence("n", 1),
        "bytes": b"x",
    }
    assert plain(value) == {
        "1": 0.5,
        "array": [[1.0, None], [None, 2.0]],
        "ids": [1, 2],
        "flag": True,
        "set": ["a", "b"],
        "text": "a·b",
        "object": {"name": "n", "value": 1, "limit": None, "unit": "", "where": ""},
        "bytes": "b'x'",
    }


def test_a_value_that_holds_itself_ends() -> None:
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    assert "…" in json.dumps(plain(ring), ensure_ascii=False)


def test_the_same_report_gives_the_same_text(make_report: Make) -> None:
    assert to_json(make_report("sick")) == to_json(make_report("sick"))


def test_one_row_a_finding(make_report: Make) -> None:
    frame = to_frame(make_report("sick"))
    assert frame["code"].tolist() == ["BN001", "IGN001", "LOSS002", "BN009"]
    assert frame.loc[0, "value"] == 12
    assert frame.loc[1, "effect"] == "decisive"
    assert frame.loc[2, "because_of"] == "IGN001"
    assert to_frame(make_report("healthy")).empty
    assert "verdict" in to_frame(make_report("healthy")).columns


def test_no_cell_is_a_formula(make_report: Make) -> None:
    frame = to_frame(make_report("hostile"))
    cells = [cell for cell in frame.to_numpy().ravel() if isinstance(cell, str)]
    assert any("cmd" in cell for cell in cells)
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
    negative = to_frame(Report("check", "m", 1, (Finding("BN001", "m", (Evidence("n", -1.5),)),)))
    assert negative.loc[0, "value"] == -1.5
