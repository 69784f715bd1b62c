"""What a model does to its input first, beside what it is fed: DATA008 and DATA009, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import Declared
from segdoctor.core.trace import Trace
from segdoctor.probes.input_scaling import ChannelsSwapped, NormalisedTwice
from segdoctor.recorder.input_range import channel_order, input_front

RAW = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.float32)
IMAGENET = np.array([123.7, 116.3, 103.5], np.float32), np.array([58.4, 57.1, 57.4], np.float32)


@pytest.fixture(scope="module")
def fronts() -> dict[str, Any]:
    """Small nets with different first layers."""
    import keras

    layers = keras.layers
    mean, deviation = IMAGENET
    first: dict[str, list[Any]] = {
        "none": [],
        "rescaling": [layers.Rescaling(1 / 127.5, -1)],
        "unit": [layers.Rescaling(1 / 255)],
        "unit to tf": [layers.Rescaling(2, -1)],
        "efficientnet": [
            layers.Rescaling(1 / 255),
            layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.052, 0.05, 0.051]),
        ],
        "normalization": [layers.Normalization(mean=mean, variance=deviation**2)],
        "resizing": [layers.Resizing(8, 8), layers.Rescaling(1 / 127.5, -1)],
        "augmenting": [layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)],
        "caffe": [layers.Rescaling(1.0, -110.0)],
    }
    made = {}
    for name, before in first.items():
        inner = [layers.Input((None, None, 3)), *before, layers.Conv2D(4, 3, padding="same")]
        made[name] = keras.Sequential([*inner, layers.BatchNormalization(), layers.Conv2D(3, 1)])
    return made


def fed(how: str) -> Any:
    mean, deviation = IMAGENET
    tf = RAW / 127.5 - 1
    unit = RAW / 255
    return {
        "raw": RAW,
        "dark": RAW * 0.12,
        "unit": unit,
        "tf": tf,
        "torch": (RAW - mean) / deviation,
        "caffe": RAW - mean,
        "tf twice": tf / 127.5 - 1,
        "unit twice": unit / 255,
        "caffe twice": RAW - 2 * mean,
        "torch twice": ((RAW - mean) / deviation - mean / 255) / (deviation / 255),
    }[how]


@pytest.mark.parametrize(
    ("front", "how"),
    [
        *(("none", how) for how in ("raw", "dark", "unit", "tf", "torch", "caffe")),
        ("rescaling", "raw"), ("rescaling", "dark"), ("unit", "raw"), ("unit", "dark"),
        ("unit to tf", "unit"), ("efficientnet", "raw"), ("normalization", "raw"),
        ("resizing", "raw"), ("augmenting", "raw"), ("caffe", "raw"),
    ],
)  # fmt: skip
def test_scaled_once_is_sound(fronts: dict[str, Any], front: str, how: str) -> None:
    assert not twice(fronts[front], fed(how))


@pytest.mark.parametrize(
    ("front", "how"),
    [
        ("rescaling", "tf"), ("rescaling", "unit"), ("unit", "unit"), ("unit", "tf"),
        ("unit to tf", "tf"), ("efficientnet", "torch"), ("efficientnet", "unit"),
        ("normalization", "torch"), ("resizing", "tf"), ("augmenting", "tf"), ("caffe", "caffe"),
        ("none", "tf twice"), ("none", "unit twice"), ("none", "caffe twice"),
        ("none", "torch twice"),
    ],
)  # fmt: skip
def test_scaled_twice_is_named(fronts: dict[str, Any], front: str, how: str) -> None:
    assert twice(fronts[front], fed(how))


def twice(model: Any, x: Any) -> bool:
    trace = Trace({"input_front": input_front(model, x), "declared": Declared()})
    outcome = examine(NormalisedTwice(), trace)
    assert outcome.status in ("fired", "clear"), outcome.reason
    return bool(outcome.findings)


def test_the_range_that_segdoctor_chose_is_not_judged(fronts: dict[str, Any]) -> None:
    front = input_front(fronts["rescaling"], fed("tf"))
    trace = Trace({"input_front": front, "declared": Declared(range_declared=False)})
    assert examine(NormalisedTwice(), trace).status == "not examined"


def test_exchanged_channels_are_told_by_a_trained_net(person_model: Path, real_voc: Path) -> None:
    import keras

    from segdoctor.sources.voc import make_batch, scan_folder

    model = keras.models.load_model(person_model.with_suffix(".k3.keras"), compile=False)
    scan = scan_folder(real_voc, split="val")
    x = make_batch(scan, size=(513, 513), count=6, num_classes=2, resize="stretch").x
    probe = ChannelsSwapped()
    for images, swapped in (
        (x, False),
        (x[..., ::-1], True),
        (x.mean(-1, keepdims=True).repeat(3, -1), False),
    ):
        trace = Trace({"channel_order": channel_order(model, images), "declared": Declared()})
        assert bool(examine(probe, trace).findings) is swapped


def test_untrained_statistics_tell_nothing_of_the_order(fronts: dict[str, Any]) -> None:
    from segdoctor.core.probe import NotExaminedError

    with pytest.raises(NotExaminedError, match="initial statistics"):
        channel_order(fronts["none"], fed("tf"))
