"""Further seeds where they decide, and only there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from segdoctor.core.trial_facts import AS_IT_IS, WITH_FIXES
from segdoctor.trial import seeds
from tests.trial.test_exchange import trial


class FakeBench:
    """Scores by name and seed."""

    def __init__(self, scores: dict[str, list[float]], left: float = 100.0) -> None:
        self.scores, self.left = scores, left
        self.notes: list[str] = []
        self.predictions: dict[str, object] = {}
        self.trials = [trial(name, values[0]) for name, values in scores.items()]
        self.clinic = SimpleNamespace(run=SimpleNamespace(model=None))
        self.taken = 0

    def train(self, name, patch, *, steps, most, seed):
        self.taken += 1
        run = trial(name, self.scores[name][seed])
        self.trials.append(run)
        return run


def decided(monkeypatch, scores, *, noisy: bool = True, left: float = 100.0):
    monkeypatch.setattr(seeds, "_noisy", lambda bench: noisy)
    bench = FakeBench({AS_IT_IS: scores[0], WITH_FIXES: scores[1]}, left)
    return bench, seeds.of_chance(bench, *bench.trials, {})


def test_the_middle_one_speaks_and_the_difference_has_an_interval(monkeypatch) -> None:
    bench, (as_is, fixed, gains) = decided(monkeypatch, ([0.2, 0.3, 0.25], [0.91, 0.87, 0.93]))
    assert (as_is.miou_training, fixed.miou_training) == (0.25, 0.91)
    assert fixed.seeds == (0.91, 0.87, 0.93)
    assert bench.trials == [as_is, fixed]
    assert gains == pytest.approx((0.71, 0.57, 0.68))
    assert seeds.certain(gains)
    assert seeds.in_words(gains).startswith("; with 3 seeds a difference of +0.65 (95 %: +0.4")


def test_a_gain_that_chance_explains_is_not_certain(monkeypatch) -> None:
    _, (_, _, gains) = decided(monkeypatch, ([0.88, 0.93, 0.86], [0.91, 0.89, 0.92]))
    assert not seeds.certain(gains)


@pytest.mark.parametrize(
    ("scores", "noisy", "left", "said"),
    [
        (([0.2], [0.99]), True, 100.0, 0),  # far from the bar
        (([0.2], [0.91]), False, 100.0, 0),  # nothing draws: every seed gives the same
        (([0.2], [0.91]), True, 1.0, 1),  # no time
    ],
)
def test_one_seed_is_enough(monkeypatch, scores, noisy, left, said) -> None:
    bench, (as_is, fixed, gains) = decided(monkeypatch, scores, noisy=noisy, left=left)
    assert (bench.taken, gains, len(bench.notes)) == (0, (), said)
    assert seeds.certain(gains)
    assert seeds.in_words(gains) == ""
    assert replace(as_is) == as_is
    assert fixed.seeds == ()


def test_a_seed_changes_what_dropout_draws_and_nothing_stays_changed() -> None:
    keras = pytest.importorskip("keras", reason="dropout needs Keras")
    import numpy as np

    from segdoctor.recorder.modes import seed_noise
    from segdoctor.recorder.snapshot import preserved

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5, seed=3)])
    x = np.ones((4, 8), np.float32)

    def drawn(seed: int | None):
        with preserved(model):
            if seed is not None:
                seed_noise(model, seed)
            return np.asarray(model(x, training=True))

    own = drawn(None)
    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))
    assert np.array_equal(drawn(None), own)


def test_a_seed_for_which_no_time_was_left_decides_nothing(monkeypatch) -> None:
    monkeypatch.setattr(seeds, "_noisy", lambda bench: True)
    bench = FakeBench({AS_IT_IS: [0.2, 0.3, 0.25], WITH_FIXES: [0.91, float("nan"), 0.93]})
    train = bench.train

    def late(name, patch, **given):
        run = train(name, patch, **given)
        if name == WITH_FIXES:
            run = replace(run, steps=0, note="not begun")
        return run

    bench.train = late  # type: ignore[method-assign]
    as_is, fixed, gains = seeds.of_chance(bench, *bench.trials, {})
    assert (as_is.miou_training, fixed.miou_training, gains) == (0.2, 0.91, ())
    assert bench.notes == ["a score lies at the bar, and with another seed: not begun"]
