"""Trials on new draws: pairs that change, augmentation that does not matter, data that stay."""

from __future__ import annotations

import numpy as np
import pytest

import segdoctor
from segdoctor.core.run import Batch
from segdoctor.sources.batches import draws_of

SIDE = 16


def pair(seed: int, examples: int = 2):
    rng = np.random.default_rng(seed)
    ids = (rng.uniform(size=(examples, 4, 4)) > 0.5).repeat(4, 1).repeat(4, 2).astype(np.int32)
    x = ids[..., None] - 0.5 + rng.normal(0, 0.1, (examples, SIDE, SIDE, 3))
    return x.astype(np.float32), ids


class Indexed:
    """As a PyDataset: the same index gives the same examples, changed by ``change``."""

    def __init__(self, change=lambda x, y, drawn: (x, y), batches: int = 3) -> None:
        self.change, self.batches, self.drawn = change, batches, 0

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int):
        self.drawn += 1
        return self.change(*pair(index), self.drawn)


def brightened(x, y, drawn):
    return x + 0.05 * (-1) ** drawn, y


def labels_turned_over(x, y, drawn):
    return x, y if drawn % 2 else 1 - y


def test_what_is_indexed_gives_its_examples_again_and_a_stream_goes_on() -> None:
    indexed = draws_of(Indexed())
    assert indexed is not None
    assert indexed.same
    assert np.array_equal(indexed.draw().x, indexed.draw().x)
    stream = draws_of(lambda: (pair(i) for i in range(2)))
    assert stream is not None
    assert not stream.same
    drawn: list[Batch] = [stream.draw() for _ in range(3)]
    assert np.array_equal(drawn[0].x, drawn[2].x)  # the next pass
    assert not np.array_equal(drawn[0].x, drawn[1].x)


def test_arrays_never_change_and_a_generator_loses_nothing() -> None:
    assert draws_of(pair(0)) is None
    assert draws_of(pair(i) for i in range(2)) is None


@pytest.fixture(scope="module")
def net():
    keras = pytest.importorskip("keras", reason="a trial needs Keras")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2, 1),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-2), loss)
    return model


TRIAL = segdoctor.Trial(steps=40, batch=2, budget_s=60)


def names(report) -> list[str]:
    return [run.name for run in report.trials]


def test_the_same_examples_without_a_change_are_not_tried_again(net) -> None:
    assert names(segdoctor.check(net, Indexed(), trial=TRIAL)) == ["as it is"]


def test_augmentation_is_tried_and_found_to_be_learnt(net) -> None:
    report = segdoctor.check(net, Indexed(brightened), trial=TRIAL)
    assert report.diagnosis == ()
    assert report.trials[1].name == "the same examples, drawn anew at each step"
    assert report.trials[1].verdict == "learns"
    assert any("drawn anew at each step" in note for note in report.notes)


def test_labels_drawn_anew_are_learnt_only_while_the_batch_is_held_still(net) -> None:
    report = segdoctor.check(net, Indexed(labels_turned_over), trial=TRIAL)
    assert report.findings[0].code == "DATA016"
    assert report.findings[0].verdict.status == "confirmed"
    assert report.findings[0].verdict.effect == "decisive"
    assert report.diagnosis[0] == "DATA016"


def test_other_examples_at_each_step_blame_nothing(net) -> None:
    report = segdoctor.check(net, lambda: (pair(i) for i in range(50)), trial=TRIAL)
    assert report.diagnosis == ()
    assert report.trials[1].name == "other examples at each step"
    assert report.trials[1].verdict in ("learns", "slow", "cannot tell")
