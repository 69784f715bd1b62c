"""JUnit XML: each code is a test case, so that a pipeline counts and shows them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.clean import clean
from segdoctor.core.finding import Finding
from segdoctor.report.report import Report
from segdoctor.report.sarif import message, where

_NOT_XML = re.compile("[\ufffe\uffff]")


def to_junit(report: Report) -> str:
    """A failure for each code with an error or a warning that stands by itself and is not in the
    baseline; *skipped* for what was not examined, *error* for a probe that crashed."""
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if not finding.because_of and not finding.known and finding.severity != "info":
            found.setdefault(finding.code, []).append(finding)
    outcomes = {outcome.code: outcome for outcome in report.outcomes}
    cases, counts = [], {"failures": 0, "errors": 0, "skipped": 0}
    for code in dict.fromkeys((*outcomes, *found)):
        outcome = outcomes.get(code)
        case = ET.Element(
            "testcase",
            name=f"{code} {CATALOGUE[code].slug}",
            classname=f"segdoctor.{CATALOGUE[code].family}",
            time=f"{outcome.seconds if outcome else 0.0:.3f}",
        )
        for finding in found.get(code, [])[:1]:
            counts["failures"] += 1
            failure = ET.SubElement(
                case, "failure", message=_text(finding.message), type=finding.severity
            )
            failure.text = "\n".join(_line(report, one) for one in found[code])
        if outcome is not None and outcome.status == "crashed":
            counts["errors"] += 1
            ET.SubElement(case, "error", message=_text(outcome.reason), type="crashed")
        elif outcome and outcome.status in ("not examined", "ignored") and code not in found:
            counts["skipped"] += 1
            ET.SubElement(case, "skipped", message=_text(outcome.reason))
        cases.append(case)
    told = {
        "name": f"segdoctor {report.kind}",
        "tests": str(len(cases)),
        "time": f"{report.timings.get('total', 0.0):.3f}",
        **{name: str(count) for name, count in counts.items()},
    }
    suite = ET.Element("testsuite", told)
    properties = ET.SubElement(suite, "properties")
    for name, value in (("subject", report.subject), ("headline", report.headline)):
        ET.SubElement(properties, "property", name=name, value=_text(value))
    suite.extend(cases)
    suites = ET.Element("testsuites", name="segdoctor")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode")


def _line(report: Report, finding: Finding) -> str:
    file, line = where(report, finding)
    return _text(f"{file}:{line}: {message(finding)}" if line else message(finding))


def _text(value: str) -> str:
    """What XML can hold; :func:`clean` has taken out the control characters."""
    return _NOT_XML.sub("", clean(value, 2000))
