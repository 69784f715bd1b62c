"""The report in the terminal."""

from __future__ import annotations

import io
import subprocess
import sys
import unicodedata
from collections.abc import Callable

import pytest
from rich.console import Console

from segdoctor.report.report import Report
from segdoctor.report.text import as_text, print_report

Make = Callable[[str], Report]
NAMES = ("sick", "healthy", "refused", "scan", "inspect", "many", "hostile")


def _in_order(text: str, *parts: str) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            pytest.fail(f"{part!r} is not where it should be in:\n{text}")
    return True


def test_the_diagnosis_comes_first_and_the_path_last(make_report: Make) -> None:
    report = make_report("sick")
    text = as_text(report, written="reports/deeplab/report.html")
    answers = [outcome.status for outcome in report.outcomes]
    assert _in_order(
        text,
        "segdoctor check",
        "CAUSES FOUND",
        "This run does not learn because void pixels",
        "2 errors · 1 warning · 1 explained by another",
        "1. BN001 frozen-bn-uses-batch-statistics  ERROR  in the diagnosis",
        "12 layers  limit 0",
        "why ",
        "fix ",
        "backbone.trainable = False",
        "confirmed, evidence removed",
        "2. IGN001 void-reaches-loss",
        "because of IGN001: LOSS002",
        "3. BN009",
        "inconclusive: no budget was left",
        "as it is",
        "3.04 → 2.61  0.21 / 0.04 of 0.94  does not learn",
        "IoU per class",
        "Not examined",
        "BN002: the batch size is not known (--batch-size would tell)",
        f"{answers.count('not examined') - 2} codes: this version has no probe for it yet",
        f"{answers.count('clear')} codes clear",
        "seed 7",
        "exit 1",
        "Report written: reports/deeplab/report.html",
    )
    assert text.rstrip().splitlines()[-1] == "Report written: reports/deeplab/report.html"
    assert "                model.compile(optimizer, loss)" in text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [80, 60, 120])
def test_no_line_is_too_long_and_no_control_character_is_shown(
    make_report: Make, name: str, width: int
) -> None:
    text = as_text(make_report(name), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    bad = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")}
    assert not bad


def test_markup_and_hostile_names_are_shown_as_they_are(make_report: Make) -> None:
    text = as_text(make_report("hostile"), width=100)
    assert "<script>alert('1')</script>" in text
    assert "[31mred" in text


def test_colour_is_only_what_is_asked_for(make_report: Make) -> None:
    plain, coloured = as_text(make_report("sick")), as_text(make_report("sick"), colour=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured


def test_many_findings_are_cut_and_counted(make_report: Make) -> None:
    text = as_text(make_report("many"))
    assert f"and {len(make_report('many').findings) - 20} more findings: MDL001 × 1" in text
    assert len(text.splitlines()) < 900
    assert "and 45 more lines" in text
    assert "and 36 more numbers" in text


def test_a_long_path_is_not_broken(make_report: Make) -> None:
    sink = io.StringIO()
    path = "reports/" + "x" * 200 + "/report.html"
    print_report(make_report("healthy"), Console(file=sink, width=80), path)
    assert sink.getvalue().splitlines()[-1] == f"Report written: {path}"


def test_a_healthy_run_is_short(make_report: Make) -> None:
    text = as_text(make_report("healthy"))
    assert _in_order(text, "HEALTHY", "No error stands", "no finding", "learns")
    assert len(text.splitlines()) < 30


def test_the_table_of_inspect_is_shown(make_report: Make) -> None:
    assert _in_order(as_text(make_report("inspect")), "Layers", "stem", "Conv2D", "896")


def test_a_report_prints_itself(make_report: Make) -> None:
    assert str(make_report("refused")) == as_text(make_report("refused"))


def test_the_terminal_and_the_json_need_no_heavy_package() -> None:
    code = (
        "import sys; from segdoctor.report import document, report, text;"
        "r = report.Report('check', 'm', 0); text.as_text(r); document.to_json(r);"
        "heavy = {'numpy', 'pandas', 'matplotlib', 'jinja2', 'tensorflow', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
