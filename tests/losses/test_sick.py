"""Each faulty loss is named by the right code, and first."""

from __future__ import annotations

import pytest

from tests.losses import more_sick, posted_sick, sick
from tests.losses.sick import Case
from tests.losses.ward import told

CASES = [*sick.CASES, *more_sick.CASES, *posted_sick.CASES]


def test_there_are_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_fault_is_named_first(case: Case) -> None:
    found = told(case.loss, **case.settings)
    assert found, "nothing was found"
    assert (found[0].code, found[0].severity) == (case.code, case.severity), [
        (f.code, f.severity, f.because_of, f.message) for f in found
    ]
    assert found[0].evidence
    assert found[0].fix is not None
    assert found[0].fix.code
