"""What is said of a fix after the trials."""

from __future__ import annotations

from segdoctor.core.finding import Finding
from segdoctor.core.trial_facts import TrialRun
from segdoctor.trial.prove import _verdict


def run(scores: list[float], verdict: str) -> TrialRun:
    curve = tuple((i, 1.0, score) for i, score in enumerate(scores))
    last = scores[-1]
    return TrialRun("", {}, len(scores), 1.0, 3.0, 1.0, last, last, 1.0, 0.1, verdict, curve=curve)


def test_a_run_that_went_on_longer_is_compared_at_the_same_step() -> None:
    as_is, longer = run([0.1, 0.2, 0.4], "slow"), run([0.1, 0.2, 0.41, 0.6, 0.8], "slow")
    said = _verdict(Finding("LOSS004", ""), (), frozenset(), as_is, longer, "")
    assert said.effect == "removes the evidence"
    assert "mIoU 0.40 as it is, 0.41 with the fix after 3 steps" in said.reason
    worse = run([0.1, 0.1, 0.2, 0.6, 0.8], "slow")
    said = _verdict(Finding("LOSS004", ""), (), frozenset(), as_is, worse, "")
    assert said.status == "inconclusive"
    learnt = run([0.1, 0.95], "learns")  # ended since it had learnt
    said = _verdict(Finding("LOSS004", ""), (), frozenset(), as_is, learnt, "")
    assert "0.95 with the fix, 0.90 counts as learnt" in said.reason
