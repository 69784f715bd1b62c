"""Which part is blamed, for faults that no probe knows; the judge and the parts without TensorFlow
where that will do."""

from __future__ import annotations

import numpy as np
import pytest

from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding, Verdict
from segdoctor.core.measured import LabelFacts
from segdoctor.core.trial_facts import TrialRun, exchanged_name
from segdoctor.measures.drawn_batch import drawn_batch
from segdoctor.trial.exchange import Exchange
from segdoctor.trial.parts import PARTS, part_of


class FakeBench:
    """A bench on which a run learns when the faulty parts are exchanged."""

    def __init__(self, faulty: tuple[str, ...], *, left: float = 100.0, slow: float = 0.1) -> None:
        self.faulty, self.left, self.slow = set(faulty), left, slow
        self.trials = [trial("as it is", 0.1)]
        self.notes: list[str] = []

    def train(self, name, patch, *, steps=None, most=None, exchanged=()):
        # A net or data that stand in are of no use beside a part that is still faulty.
        learns = self.faulty <= set(exchanged)
        self.trials.append(trial(name, 0.95 if learns else self.slow, exchanged))
        return self.trials[-1]


def trial(name: str, miou: float, exchanged=(), seconds: float = 1.0) -> TrialRun:
    verdict = "learns" if miou >= 0.9 else "does not learn"
    curve = tuple((i, 1.0, miou) for i in range(60))
    return TrialRun(
        name,
        {},
        60,
        seconds,
        1.0,
        1.0,
        miou,
        miou,
        1.0,
        0.1,
        verdict,
        curve=curve,
        exchanged=tuple(exchanged),
    )


@pytest.mark.parametrize(
    "faulty",
    [
        ("model",),
        ("data",),
        ("loss",),
        ("optimizer",),
        ("loss", "optimizer"),
        ("model", "loss"),
        ("data", "optimizer"),
        ("model", "data"),
        PARTS,
    ],
)
def test_the_faulty_parts_are_found(faulty: tuple[str, ...]) -> None:
    bench = FakeBench(faulty)
    assert set(Exchange(bench, bench.trials[0], {}).to_blame()) == set(faulty)
    assert bench.notes == []


def test_without_time_no_part_is_blamed_and_it_is_said() -> None:
    bench = FakeBench(("data",), left=0.2)
    assert Exchange(bench, bench.trials[0], {}).to_blame() == ()
    assert "budget" in bench.notes[0]


def test_a_slow_run_is_not_blamed_on_its_optimizer() -> None:
    bench = FakeBench(("optimizer",), slow=0.3)
    assert Exchange(bench, bench.trials[0], {}).to_blame(slow=True) == ()
    # Half of the way with another rate: the loss is slow and sound.
    assert Exchange(FakeBench(("loss",), slow=0.6), bench.trials[0], {}).to_blame(slow=True) == ()
    bench = FakeBench(("loss",), slow=0.3)
    assert Exchange(bench, bench.trials[0], {}).to_blame(slow=True) == ("loss",)
    bench = FakeBench(("model",), slow=0.6)
    assert Exchange(bench, bench.trials[0], {}).to_blame(slow=True) == ()


def test_a_blamed_part_is_no_symptom_of_what_was_already_treated() -> None:
    def found(code: str, verdict: Verdict | None) -> Finding:
        return Finding(code, "it is so", (), verdict=verdict)

    treated = found("LOSS002", Verdict("confirmed", "removes the evidence", ""))
    told = explained([treated, found("TRIAL006", None)])
    assert [f.because_of for f in told] == [None, None]
    untreated = explained([found("LOSS002", None), found("TRIAL006", None)])
    assert {f.code: f.because_of for f in untreated} == {"LOSS002": None, "TRIAL006": "LOSS002"}
    other = explained([found("OPT001", None), found("TRIAL004", None)])
    assert {f.code: f.because_of for f in other} == {"OPT001": None, "TRIAL004": None}


def test_names_and_parts() -> None:
    assert exchanged_name(("model",)) == "model exchanged"
    assert exchanged_name(("model", "data", "loss")) == "model, data and loss exchanged"
    assert exchanged_name(PARTS) == "all parts exchanged"
    assert [
        part_of(e) for e in ("head.resize", "labels.scale", "labels.encoding", "bn.freeze")
    ] == [
        "model",
        "data",
        "",
        "model",
    ]


@pytest.mark.parametrize(
    ("shape", "kind", "dtype", "axis"),
    [
        ((2, 16, 16), "ids", "uint8", None),
        ((2, 16, 16, 1), "ids", "float32", None),
        ((2, 256), "ids", "int64", None),
        ((2, 16, 16, 5), "onehot", "float32", None),
        ((2, 5, 16, 16), "onehot", "float32", 1),
        ((2, 256, 5), "onehot", "uint8", None),
    ],
)
def test_drawn_labels_have_the_format_of_the_run(shape, kind, dtype, axis) -> None:
    ids = np.zeros((2, 16, 16), int)
    ids[:, 4:8] = 3
    ids[:, 9] = 255
    labels = LabelFacts(shape, dtype, kind, 2, sums_to_one_over=axis)
    x, y, drawn = drawn_batch(np.zeros((2, 16, 16, 3)), ids, labels, 5, limits=(-1.0, 1.0), seed=0)
    assert (y.shape, y.dtype.name, x.shape) == (shape, dtype, (2, 16, 16, 3))
    assert set(np.unique(drawn)) == {0, 3}
    assert -1.0 <= x.min() < 0 < x.max() <= 1.0
    back = y.reshape(drawn.shape) if kind == "ids" else y.argmax(axis if axis else -1)
    assert np.array_equal(back.reshape(drawn.shape), drawn)
    # The colour tells the class.
    means = [x[drawn == i].mean(0) for i in (0, 3)]
    assert np.abs(means[0] - means[1]).max() > 0.5
