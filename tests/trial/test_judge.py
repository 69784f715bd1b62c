"""Curves and scores to words: never an absolute number."""

from __future__ import annotations

import math

import pytest

from segdoctor.core.trial_facts import TrialRun
from segdoctor.trial.judge import CUT_SHORT, settles, verdict_of

FALLING = [3.0 * 0.9**i for i in range(30)]
FLAT = [3.0 + 0.01 * (-1) ** i for i in range(30)]
TO_PRIOR = [3.0, 2.0, 1.5, 1.2] + [1.1 + 0.001 * (-1) ** i for i in range(26)]


@pytest.mark.parametrize(
    ("losses", "training", "inference", "verdict"),
    [
        (FALLING, 0.82, 0.80, "learns"),
        (FALLING, 0.82, 0.10, "learns in training mode only"),
        (FALLING, 0.30, 0.30, "slow"),
        (FALLING, 0.16, 0.16, "slow"),
        (FLAT, 0.15, 0.15, "does not learn"),
        (FLAT, 0.60, 0.15, "slow"),
        (TO_PRIOR, 0.15, 0.15, "learns the prior only"),
        ([3.0, math.nan], 0.15, 0.15, "diverges"),
        ([3.0] * 10 + [3.0 + i for i in range(20)], 0.15, 0.15, "diverges"),
        ([3.0, 2.9], 0.15, 0.15, "cannot tell"),
        ([], 0.0, 0.0, "cannot tell"),
        ([0.1], 0.85, 0.85, "learns"),
    ],
)
def test_verdicts(losses, training, inference, verdict) -> None:
    assert verdict_of(losses, training, inference, ceiling=0.88, constant=0.15) == verdict


@pytest.mark.parametrize(
    ("verdict", "miou", "note", "settled"),
    [
        ("learns", 0.9, "", True),
        ("slow", 0.1, "", True),
        ("slow", 0.5, CUT_SHORT, True),
        ("slow", 0.1, CUT_SHORT, False),  # nothing of the image was learnt yet
        ("does not learn", 0.1, "", False),
    ],
)
def test_a_run_that_was_cut_short_before_it_learnt_settles_nothing(
    verdict: str, miou: float, note: str, settled: bool
) -> None:
    run = TrialRun("as it is", {}, 20, 1.0, 3.0, 2.0, miou, miou, 1.0, 0.15, verdict, note=note)
    assert settles(run) == settled
