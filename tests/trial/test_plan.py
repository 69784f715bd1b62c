"""The size of a trial: from what a step takes and what the budget holds."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.trial import plan
from segdoctor.trial.bench import Bench
from segdoctor.trial.clock import Clock
from segdoctor.trial.overfit import Exam, Length, _Course, not_run


class FakeClinic:
    """A batch that can be halved as the real one is; nothing is trained."""

    def __init__(self, count: int, side: int, fixed: bool = False) -> None:
        self.fixed = fixed
        self._set(count, side)

    def _set(self, count: int, side: int) -> None:
        x = np.zeros((count, side, side, 3), np.uint8)
        self.run = Run(SimpleNamespace(), Batch(x=x, y=x[..., 0]))
        self.ids = x[..., 0]

    def halve(self, fewest: int, smallest: int) -> str:
        count, side = self.run.batch.x.shape[:2]
        if count > fewest:
            self._set(max(count // 2, fewest), side)
        elif side // 2 < smallest or self.fixed:
            raise NotExaminedError("as small as it gets")
        else:
            self._set(count, side // 2)
        return "smaller"


def size(clinic: FakeClinic) -> tuple[int, int]:
    return clinic.run.batch.x.shape[:2]


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch):
    def takes(one: float | None, whole: float = 0.0) -> None:
        monkeypatch.setattr(plan, "_passes", lambda run: None if one is None else (one, whole))

    return takes


def test_where_there_is_room_nothing_is_measured_or_made_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "_passes", lambda run: pytest.fail("measured"))
    clinic = FakeClinic(4, 128)
    assert plan.planned(clinic, budget=60, recorded=2.0, runs=2) == (None, ())
    assert size(clinic) == (4, 128)


def test_fewer_examples_first_then_a_crop(forward) -> None:
    forward(0.25, 1.0)  # a step of 3 s: 2 × 15 steps would take over a minute
    clinic = FakeClinic(4, 512)
    pace, notes = plan.planned(clinic, budget=60, recorded=12.0, runs=2)
    assert size(clinic) == (2, 512)
    assert pace.compute == pytest.approx(1.5)
    assert notes == (
        "trial on 2 examples of 512 px: a step of 4 of 512 px takes about 3.0 s, too long for "
        "2 × 15 steps in 60 s",
    )
    forward(0.5, 4.0)
    clinic = FakeClinic(8, 512)
    pace, _ = plan.planned(clinic, budget=60, recorded=60.0, runs=2)
    assert size(clinic) == (2, 256)
    assert 2 * pace.seconds(plan.ENOUGH) <= 60


def test_what_a_graph_saves_is_not_counted_as_a_step(forward) -> None:
    forward(0.19, 0.2)  # nearly all of it is the overhead of many small operations
    clinic = FakeClinic(4, 96)
    pace, notes = plan.planned(clinic, budget=20, recorded=4.0, runs=2)
    assert (size(clinic), notes, pace.eager) == ((4, 96), (), False)


def test_what_cannot_be_made_smaller_is_tried_without_a_graph(forward) -> None:
    forward(0.2, 0.3)
    clinic = FakeClinic(2, 128, fixed=True)
    pace, notes = plan.planned(clinic, budget=20, recorded=60.0, runs=1)
    assert size(clinic) == (2, 128)
    assert pace.eager
    assert notes == ("trial without a graph, of which tracing takes about 56 s",)
    pace, _ = plan.planned(clinic, budget=20, recorded=12.0, runs=1)
    assert not pace.eager


def test_a_model_that_raises_is_not_planned_for(forward) -> None:
    forward(None)
    clinic = FakeClinic(4, 512)
    assert plan.planned(clinic, budget=1, recorded=60.0, runs=2) == (None, ())
    assert size(clinic) == (4, 512)


def test_a_run_that_would_go_far_beyond_the_budget_is_not_begun() -> None:
    ids = np.zeros((2, 8, 8), int)
    exam = Exam(ids=ids, void=None, kind="logits", class_axis=-1, grid=(8, 8))
    bench = Bench(FakeClinic(2, 8), exam, Clock(10), None, lambda *told: None)
    bench.treat = lambda patch: bench.clinic.run  # type: ignore[method-assign]
    bench.pace = plan.Pace(compute=8.0, overhead=4.0, trace=14.0)
    trial = bench.train("as it is", {})
    assert (trial.steps, trial.verdict) == (0, "cannot tell")
    assert "not begun: 2 steps and their scores take about 42 s, and 10 s of" in trial.note


def test_a_further_run_is_begun_only_for_as_many_steps_as_tell_something() -> None:
    ids = np.zeros((2, 8, 8), int)
    exam = Exam(ids=ids, void=None, kind="logits", class_axis=-1, grid=(8, 8))
    bench = Bench(FakeClinic(2, 8), exam, Clock(10), None, lambda *told: None)
    bench.pace = plan.Pace(compute=2.0, overhead=1.0, trace=4.0)
    assert bench._no_room(bench.clinic.run) == ""
    bench.trials.append(not_run(exam, "cannot run", ""))
    assert "not begun: 6 steps and" in bench._no_room(bench.clinic.run)


@pytest.mark.parametrize(
    ("fall", "patient", "over"), [(0.9, 20.0, False), (1.0, 20.0, True), (0.9, 0.0, True)]
)
def test_a_run_that_gets_better_may_use_what_nothing_else_needs(
    fall: float, patient: float, over: bool
) -> None:
    course = object.__new__(_Course)
    course._length = Length(60, 10.0, patient=patient)
    course._start, course._traced = time.monotonic() - 12.0, 2.0
    course.losses, course.scores = [3.0 * fall**i for i in range(20)], [0.15] * 20
    course.ceiling, course.constant = 1.0, 0.15
    assert course._time_is_up() == over


def test_what_the_user_sized_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from segdoctor.trial import bench as room

    monkeypatch.setattr(room, "planned", lambda *given, **named: pytest.fail("planned"))
    ids = np.zeros((2, 8, 8), int)
    exam = Exam(ids=ids, void=None, kind="logits", class_axis=-1, grid=(8, 8))
    for steps, sized in ((5, False), (None, True)):
        bench = Bench(FakeClinic(2, 8), exam, Clock(1), steps, lambda *told: None, sized=sized)
        bench.plan(recorded=100.0, runs=2)
        assert bench.pace is None
