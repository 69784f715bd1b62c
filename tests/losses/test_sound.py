"""No right loss is called an error, and nothing is said of most of them."""

from __future__ import annotations

import pytest

from tests.losses import more_sound, posted_sound, sound
from tests.losses.sound import Sound
from tests.losses.ward import told

CASES = [*sound.CASES, *more_sound.CASES, *posted_sound.CASES]


def test_there_are_enough() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_wrong(case: Sound) -> None:
    found = told(case.loss, **case.settings)
    assert not [(f.code, f.message) for f in found if f.severity == "error"]
    assert {f.code for f in found} <= case.may, [f.message for f in found]
