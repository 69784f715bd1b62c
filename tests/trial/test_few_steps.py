"""A run that was asked to take few steps is given enough of them before a part is blamed."""

from __future__ import annotations

import pytest

from segdoctor.trial.judge import BAR
from segdoctor.trial.prove import _given_enough
from tests.trial.test_exchange import trial


class FakeBench:
    def __init__(self, steps: int, later: float) -> None:
        self.steps, self.later = steps, later
        self.notes: list[str] = []
        self.trials = [trial("as it is", 0.1)]

    @property
    def planned(self) -> int:
        return self.steps

    def train(self, name, patch, *, most):
        self.trials.append(trial(name, self.later))
        return self.trials[-1]


@pytest.mark.parametrize("later", [0.95, 0.1])
def test_few_steps_are_not_held_against_a_part(later: float) -> None:
    bench = FakeBench(20, later)
    run = _given_enough(bench, bench.trials[0], {})
    assert run.miou_training == later
    assert bench.trials == [run]
    assert bench.planned == BAR.steps  # of the exchanges that come after it too
    assert "20 steps are too few to blame a part" in bench.notes[0]


def test_enough_steps_are_left_as_they_are() -> None:
    bench = FakeBench(BAR.steps, 0.95)
    assert _given_enough(bench, bench.trials[0], {}) is bench.trials[0]
    assert bench.notes == []
