"""HIST001–HIST007: each sick curve beside its healthy twin and a look-alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.engine import examine
from segdoctor.core.fed_facts import FedFacts
from segdoctor.core.finding import Finding
from segdoctor.core.history_facts import CallbackFacts, HistoryFacts, Training
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.callbacks import MonitorAbsent, MonitorDirectionWrong
from segdoctor.probes.early_stop import EarlyStopTooEarly
from segdoctor.probes.history import NotFiniteAtEpoch, Oscillation, PlateauFromStart
from segdoctor.probes.learned_prior import LearnedPriorOnly

PROBES = (
    PlateauFromStart(),
    Oscillation(),
    EarlyStopTooEarly(),
    NotFiniteAtEpoch(),
    MonitorDirectionWrong(),
    MonitorAbsent(),
    LearnedPriorOnly(),
)
HEAD = HeadFacts((2, 8, 8, 21), 21, 3, "logits", -1.0, 1.0, 3.0)
ENTROPY = CompileFacts(loss="sparse_categorical_crossentropy")
VOC = ScanFacts("voc", "voc", (), histogram={0: 740, 7: 90, 15: 120, 255: 50}, void=255)


def noisy(values: Sequence[float], spread: float, seed: int = 0) -> tuple[float, ...]:
    drawn = np.asarray(values) + np.random.default_rng(seed).normal(0, spread, len(values))
    return tuple(float(value) for value in drawn)


def falling(epochs: int = 20, start: float = 2.0, end: float = 0.3) -> list[float]:
    return [float(v) for v in np.geomspace(start, end, epochs)]


def findings(
    series: dict[str, Sequence[float]] | None = None,
    *callbacks: CallbackFacts,
    validation: bool | None = None,
    reported: tuple[str, ...] = (),
    **fields: Any,
) -> dict[str, Finding]:
    trace: dict[str, Any] = {
        "head": HEAD,
        "compiled": ENTROPY,
        "declared": Declared(num_classes=21, ignore_label=255, epochs=50),
        "training": Training(validation, reported, callbacks or None),
        **fields,
    }
    if series is not None:
        length = max(len(values) for values in series.values())
        trace["history"] = HistoryFacts(
            "dict", tuple(range(length)), {k: tuple(v) for k, v in series.items()}
        )
    outcomes = [examine(probe, Trace(trace)) for probe in PROBES]
    assert not [o for o in outcomes if o.status == "crashed"], outcomes
    return {o.code: o.findings[0] for o in outcomes if o.findings}


def test_a_flat_loss_and_a_converged_one() -> None:
    flat = noisy([3.04] * 8, 0.01)
    assert set(findings({"loss": flat})) == {"HIST001"}
    assert findings({"loss": falling(8)}) == {}
    # Pretrained: it starts where a guess never comes to.
    assert findings({"loss": noisy([0.2] * 8, 0.001)}) == {}
    # A loss of one's own says nothing of the level, an IoU does.
    own = CompileFacts(loss="my_dice")
    level = noisy([0.2] * 8, 0.001)
    assert "HIST001" in findings({"loss": level}, compiled=own)
    assert findings({"loss": level, "mean_iou": [0.7] * 8}, compiled=own) == {}
    # Slow, and yet it falls.
    assert findings({"loss": noisy(np.linspace(3.0, 2.7, 10).tolist(), 0.01)}) == {}


def test_what_is_no_plateau_and_what_is_told_as_another_thing() -> None:
    # A large penalty hides the data term, and the score rises; without it, it is a plateau.
    total = noisy(np.linspace(60.9, 59.4, 30).tolist(), 0.02)
    score = noisy(np.linspace(0.05, 0.4, 30).tolist(), 0.005)
    assert findings({"loss": total, "val_mean_iou": score}) == {}
    assert set(findings({"loss": total})) == {"HIST001"}
    # It began to fall late.
    assert findings({"loss": [3.04] * 12 + [3.0, 2.9, 2.7, 2.4, 2.0]}) == {}
    # Low for a cross-entropy, and the score says that nothing was learnt.
    low = {"loss": noisy([0.93] * 20, 0.002), "dice": noisy([0.07] * 20, 0.002)}
    assert set(findings(low)) == {"HIST001"}
    assert findings({**low, "dice": [0.45] * 20}) == {}
    rising = findings({"loss": [1.0, 1.4, 3.0, 8.0, 40.0, 300.0, 2e3, 1e4]})
    assert "it rose" in rising["HIST001"].message
    wild = [1.2, 6.0, 2.2, 9.1, 1.9, 4.4, 8.0, 2.5, 7.7, 3.1, 5.5, 2.0, 8.8]
    assert set(findings({"loss": wild})) == {"HIST002"}


def test_a_loss_that_swings() -> None:
    swinging = [2.0, 1.2, 2.4, 1.1, 2.2, 1.3, 2.5, 1.2, 2.3, 1.4]
    assert "HIST002" in findings({"loss": swinging})
    assert "HIST002" not in findings({"loss": noisy(falling(12, 3.0, 0.3), 0.08)})
    cyclic = [1e-3, 1e-4, 1e-3, 1e-4, 1e-3, 1e-4, 1e-3, 1e-4, 1e-3, 1e-4]
    assert "HIST002" not in findings({"loss": swinging, "learning_rate": cyclic})


def test_a_curve_that_fell_at_once_does_not_swing() -> None:
    settled = [1.4, 0.4, *noisy([0.05] * 18, 0.01)]
    assert "HIST002" not in findings({"loss": settled})
    assert "HIST002" in findings({"loss": [1.4, *noisy([1.0] * 19, 0.4, 1)]})


def status(probe: Any, **fields: Any) -> str:
    return examine(probe, Trace(fields)).status


def of(**series: Sequence[float]) -> HistoryFacts:
    values = {key: tuple(column) for key, column in series.items()}
    return HistoryFacts("dict", tuple(range(len(values["loss"]))), values)


def test_noise_and_a_fall_within_it() -> None:
    """Of drawn curves: few that swing are called clear, few that fall are said to swing."""
    random = np.random.default_rng(0)
    answers = {
        end: [
            status(
                Oscillation(),
                history=of(loss=np.geomspace(1.0, end, 20) * np.exp(random.normal(0, 0.2, 20))),
            )
            for _ in range(60)
        ]
        for end in (1.0, 0.6)
    }
    assert answers[1.0].count("fired") >= 50
    assert answers[1.0].count("clear") <= 6
    assert answers[0.6].count("fired") <= 6


def test_a_sweep_of_the_rate_is_no_training() -> None:
    loss = [2.9] * 8 + np.linspace(2.9, 1.2, 10).tolist() + np.geomspace(1.3, 60, 8).tolist()
    sweep = np.geomspace(1e-7, 1.0, len(loss)).tolist()
    assert findings({"loss": loss, "lr": sweep}) == {}
    thrown_out = findings({"loss": loss, "lr": [1e-3] * len(loss)})["HIST001"]
    assert "came down to 1.3 by epoch 18" in thrown_out.message


def test_a_loss_of_nothing() -> None:
    assert "is 0 from" in findings({"loss": [0.0] * 8})["HIST001"].message
    assert findings({"loss": [0.4, 0.1, 0.02, *[0.0] * 8]}) == {}


def test_an_accuracy_that_stands_still_at_the_share_of_the_background() -> None:
    share = 740 / 950
    loss = np.linspace(2.1, 1.9, 20).tolist()  # a penalty hides the data term
    still = {"loss": loss, "accuracy": [0.5, *[round(share, 4)] * 19]}
    assert "the same to the fourth digit" in findings(still, scan=VOC)["HIST007"].message
    moving = {"loss": loss, "accuracy": noisy([share] * 20, 0.002)}
    assert "HIST007" not in findings(moving, scan=VOC)
    good = {"loss": np.geomspace(2.1, 0.05, 20).tolist(), "accuracy": still["accuracy"]}
    assert "HIST007" not in findings(good, scan=VOC)


def test_the_prior_of_examples_as_they_are_fed() -> None:
    share, prior = 740 / 950, -sum(n / 950 * math.log(n / 950) for n in (740, 90, 120))
    black = {"loss": [3.0, 1.2, *[prior] * 4], "accuracy": [0.5, 0.7, *[share] * 4]}
    fed = FedFacts(8, classes={0: 740, 3: 90, 15: 120, 255: 50})
    assert "HIST007" in findings(black, fed=fed)
    assert "HIST007" not in findings({**black, "mean_iou": [0.5] * 6}, fed=fed)
    curves = HistoryFacts("dict", tuple(range(6)), {"loss": tuple(black["loss"])})
    alone = examine(LearnedPriorOnly(), Trace({"history": curves, "declared": Declared()}))
    assert (alone.status, "masks would tell" in alone.reason) == ("not examined", True)


def test_nan_from_an_epoch_on() -> None:
    found = findings({"loss": [2.0, 1.5, math.nan, math.nan, math.nan]})
    assert found["HIST004"].evidence[0].value == 3
    assert "came at once" in (found["HIST004"].fix.words if found["HIST004"].fix else "")
    grown = findings({"loss": [2.0, 1.5, 4.0, 90.0, math.inf]})
    assert "growing" in (grown["HIST004"].fix.words if grown["HIST004"].fix else "")
    # A key of every second epoch, and a metric of a class that is absent.
    gaps = [2.0, math.nan, 1.0, math.nan, 0.5]
    assert findings({"loss": falling(5), "val_loss": gaps, "iou_9": [math.nan] * 5}) == {}


def test_a_loss_that_jumps_between_two_levels() -> None:
    jumps = [5.0 if place % 5 in (0, 3) else 2.0 for place in range(13)]
    rest = [5.0 if place % 5 == 2 else 2.0 for place in range(26)]
    assert "HIST002" in findings({"loss": [5.0, *jumps[:-1], *rest, 5.0]})


def test_an_end_that_was_not_written_is_no_nan() -> None:
    loss = falling(38)
    every_fifth = [v if place % 5 == 4 else math.nan for place, v in enumerate(falling(38))]
    assert findings({"loss": loss, "val_loss": every_fifth}) == {}
    broken = [*every_fifth[:20], *[math.nan] * 18]
    assert "HIST004" in findings({"loss": loss, "val_loss": broken})
    series = {"loss": tuple(loss[:5]), "val_loss": (*loss[:4], math.nan)}
    for unwritten, code in (({"val_loss": 1}, "clear"), ({}, "fired")):
        history = HistoryFacts("dict", tuple(range(5)), series, unwritten=unwritten)
        assert examine(NotFiniteAtEpoch(), Trace({"history": history})).status == code


def stopping(monitor: str = "val_loss", **changes: Any) -> CallbackFacts:
    settings = {"direction": "min", "mode": "min", "patience": 2, **changes}
    return CallbackFacts("EarlyStopping", monitor, **settings)  # type: ignore[arg-type]


def test_a_patience_shorter_than_the_noise() -> None:
    loss = falling(20)
    noise = noisy(np.linspace(2.0, 1.4, 20).tolist(), 0.15)
    both = {"loss": loss, "val_loss": noise}
    found = findings(both, stopping())
    assert set(found) == {"HIST003"}
    enough = found["HIST003"].evidence[0].limit
    assert isinstance(enough, int)
    assert findings(both, stopping(patience=enough)) == {}
    assert findings({"loss": loss, "val_loss": falling(20, 2.0, 0.8)}, stopping()) == {}
    # Overfitting: the curve gets worse, and stopping is right.
    worse = noisy(np.linspace(1.0, 1.6, 20).tolist(), 0.15)
    assert findings({"loss": loss, "val_loss": worse}, stopping()) == {}
    slows = CallbackFacts("ReduceLROnPlateau", "val_loss", "min", "min", 1, factor=0.1)
    assert "learning rate" in findings(both, slows)["HIST003"].message


def test_a_curve_that_has_flattened_is_not_carried_on_as_a_line() -> None:
    """Healthy curves with a tenth of noise, stopped when they are done; and some that are not."""
    random = np.random.default_rng(1)

    def answers(end: float, time: float, patience: int) -> list[str]:
        callback = Training(True, (), (stopping(patience=patience),))
        line = end + (1.0 - end) * np.exp(-np.arange(100) / time)
        curves = [line * np.exp(random.normal(0.0, 0.1, 100)) for _ in range(12)]
        declared = Declared(epochs=100)
        return [
            status(
                EarlyStopTooEarly(),
                history=of(loss=line, val_loss=curve),
                training=callback,
                declared=declared,
            )
            for curve in curves
        ]

    assert answers(0.8, 10.0, 15).count("fired") == 0
    assert answers(0.3, 20.0, 20).count("fired") == 0
    assert answers(0.1, 60.0, 3).count("fired") >= 11


def test_a_run_stopped_after_a_few_epochs_does_not_tell() -> None:
    seen = [1.7, 1.5, 1.62, 1.42, 1.55, 1.36, 1.5, 1.4]
    outcome = examine(
        EarlyStopTooEarly(),
        Trace(
            {
                "history": of(loss=falling(8), val_loss=seen),
                "training": Training(True, (), (stopping(),)),
                "declared": Declared(epochs=100),
            }
        ),
    )
    assert (outcome.status, "8 epochs of val_loss" in outcome.reason) == ("not examined", True)


def test_all_that_early_stopping_was_given_is_played() -> None:
    noise = noisy(np.linspace(2.0, 1.4, 20).tolist(), 0.15)
    both = {"loss": falling(20), "val_loss": noise}
    # A start that is put off until the run is as good as over, and a gain that no epoch makes.
    assert findings(both, stopping(start=48)) == {}
    steady = {"loss": falling(20), "val_loss": noisy(np.linspace(2.0, 1.0, 20).tolist(), 0.01)}
    assert findings(steady, stopping()) == {}
    assert "HIST003" in findings(steady, stopping(min_delta=0.2))


def test_a_baseline_that_is_not_reached() -> None:
    rising = noisy(np.linspace(0.1, 0.4, 20).tolist(), 0.02)
    series = {"loss": falling(20), "val_mean_iou": rising}
    watching = {"direction": "max", "mode": "max", "patience": 12}
    found = findings(series, stopping("val_mean_iou", baseline=0.9, **watching))
    assert set(found) == {"HIST003"}
    assert "baseline" in found["HIST003"].message
    assert found["HIST003"].evidence[0].limit == 0.9
    assert findings(series, stopping("val_mean_iou", baseline=0.05, **watching)) == {}
    assert findings(series, stopping("val_mean_iou", **watching)) == {}
    # A curve that has stopped getting better is ended by it, as it should be.
    flat = {"loss": falling(20), "val_mean_iou": noisy([0.4] * 20, 0.02)}
    assert findings(flat, stopping("val_mean_iou", baseline=0.9, **watching)) == {}


def test_cuts_of_the_rate_that_do_no_harm() -> None:
    noise = noisy(np.linspace(2.0, 1.4, 20).tolist(), 0.15)
    series = {"loss": falling(20), "val_loss": noise, "learning_rate": (1e-3,) * 20}

    def slows(**changes: Any) -> CallbackFacts:
        settings = {"patience": 2, "factor": 0.1, **changes}
        return CallbackFacts("ReduceLROnPlateau", "val_loss", "min", "min", **settings)

    assert set(findings(series, slows())) == {"HIST003"}
    assert findings(series, slows(min_rate=5e-4)) == {}  # it is halved at most
    assert findings(series, slows(factor=0.5, cooldown=30)) == {}  # twice, in the planned epochs


def test_a_direction_that_only_the_metric_knows() -> None:
    unknown = stopping("val_mean_io_u", direction="unknown", mode="auto")
    training = Training(True, (), (unknown,))
    outcome = examine(MonitorDirectionWrong(), Trace({"training": training}))
    assert (outcome.status, "metrics=" in outcome.reason) == ("not examined", True)


@pytest.mark.parametrize(
    ("monitor", "direction", "sick"),
    [
        ("val_mean_iou", "min", True),
        ("val_mean_io_u_7", "min", True),
        ("val_dice_coef", "min", True),
        ("val_loss", "max", True),
        ("val_mean_iou", "raises", True),
        ("val_mean_iou", "max", False),
        ("val_dice_loss", "min", False),
        ("val_pixel_acc", "max", False),
        ("val_thing", "min", False),
        ("val_mcc", "min", True),
        ("val_bce", "max", True),
    ],
)
def test_the_direction_of_a_callback(monitor: str, direction: str, sick: bool) -> None:
    callback = stopping(monitor, direction=direction, mode="auto", patience=50)
    assert ("HIST005" in findings(None, callback)) is sick


def test_only_what_is_restored_gives_back_the_worst_weights() -> None:
    for restores in (True, False):
        callback = stopping("val_mean_iou", mode="auto", patience=50, restores=restores)
        message = findings(None, callback)["HIST005"].message
        assert ("worst weights" in message) is restores


def test_an_unknown_key_is_judged_beside_the_loss() -> None:
    rises = np.linspace(0.1, 0.8, 20).tolist()
    series = {"loss": falling(20), "val_thing": rises}
    found = findings(series, stopping("val_thing", patience=50, mode="auto"))
    assert set(found) == {"HIST005"}
    assert findings(series, stopping("val_thing", direction="max", patience=50)) == {}


def test_a_key_that_training_never_reports() -> None:
    watching = stopping("val_mean_iou", direction="max", patience=50)
    series = {"loss": falling(), "val_loss": falling(), "val_mean_io_u": [0.1] * 20}
    found = findings(series, watching)["HIST006"]
    assert (found.severity, found.evidence[0].limit) == ("error", "val_mean_io_u")
    assert findings(None, stopping(), validation=False)["HIST006"].severity == "error"
    assert findings({"loss": falling()}, stopping())["HIST006"].severity == "warning"
    assert findings(None, watching, reported=("accuracy",))["HIST006"].severity == "warning"
    # Nothing is known of validation data: no more than a warning.
    unknown = findings(None, stopping(patience=50))["HIST006"]
    assert (unknown.severity, "validation_data" in unknown.message) == ("warning", True)
    assert findings(None, stopping(patience=50), validation=True) == {}
    assert findings(None, watching, reported=("mean_iou",), validation=True) == {}


def test_a_key_that_differs_by_its_number() -> None:
    old = {"loss": falling(), "val_loss": falling(), "val_mean_io_u_1": [0.1] * 20}
    watching = stopping("val_mean_io_u_2", direction="max", patience=50)
    # A history of before, and the metric as it is compiled now.
    assert findings(old, watching, reported=("mean_io_u_2",), validation=True) == {}
    told = findings(old, watching)["HIST006"]
    assert (told.severity, told.evidence[0].limit) == ("warning", "val_mean_io_u_1")
    sure = findings(None, watching, reported=("accuracy",), validation=True)["HIST006"]
    assert sure.severity == "error"
    named = findings(None, watching, reported=("mean_io_u",), validation=True)["HIST006"]
    assert (named.severity, "next number" in named.message) == ("warning", True)


def test_only_the_prior_was_learnt() -> None:
    share = 740 / 950
    prior = -sum(n / 950 * math.log(n / 950) for n in (740, 90, 120))
    loss = [3.0, 1.2, prior, prior * 1.01, prior, prior]
    black = {"loss": loss, "accuracy": [0.5, 0.7, *[share] * 4], "mean_iou": [share / 21] * 6}
    assert "HIST007" in findings(black, scan=VOC)
    assert "HIST007" not in findings({"loss": loss}, scan=VOC)
    right = {**black, "mean_iou": [0.03, 0.1, 0.3, 0.4, 0.5, 0.55]}
    assert "HIST007" not in findings(right, scan=VOC)
    # Of two classes the IoU may be that of the foreground alone.
    two = ScanFacts("folder", "images", (), histogram={0: 950, 1: 50})
    share, prior = 0.95, -0.95 * math.log(0.95) - 0.05 * math.log(0.05)
    empty = {"loss": [0.4, *[prior] * 5], "accuracy": [share] * 6, "binary_io_u": [0.0] * 6}
    assert "HIST007" in findings(empty, scan=two)
    assert "HIST007" not in findings({**empty, "binary_io_u": [0.3] * 6}, scan=two)
    good = {"loss": falling(6), "accuracy": [0.7, 0.8, 0.85, 0.9, 0.92, 0.93]}
    assert findings(good, scan=VOC) == {}
