"""Losses that misbehave are asked all the same: a sentence, never a crash, never a hang."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import segdoctor.recorder.loss as loss_room
from segdoctor.core.engine import examine
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.time_limit import TimeIsUpError, time_limit
from segdoctor.core.trace import Trace
from segdoctor.measures.labels import label_facts
from segdoctor.probes.label_precision import LabelPrecisionLost
from segdoctor.probes.loss_contract import LossNotFinite, PerfectPredictionNotBest
from segdoctor.probes.loss_raises import LossRaises
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.loss_answers import Layout, ask_loss
from tests.losses.posted_sick import masked_binary_over_all
from tests.losses.sound import cross, dice
from tests.losses.ward import SHAPE, head_of, told


def outcome(probe: Any, contract: Any) -> Any:
    head = HeadFacts((2, 8, 8, 3), 3, 3, "softmax", 0.0, 1.0, 0.0)
    fields = {"declared": Declared(), "loss_contract": contract, "head": head}
    return examine(probe, Trace(fields))


def test_hidden_state_is_seen_and_not_judged() -> None:
    calls = [0]

    def drifting(y: Any, p: Any) -> Any:
        calls[0] += 1
        return dice(y, p) + 0.1 * calls[0]

    contract = ask_loss(drifting, 3)
    assert contract.facts["deterministic"] is False
    assert contract.prediction == "unknown"
    assert outcome(PerfectPredictionNotBest(), contract).status == "not examined"
    assert outcome(LossRaises(), contract).status == "clear"


def test_a_global_is_read() -> None:
    settings = {"weight": 2.0}
    contract = ask_loss(lambda y, p: settings["weight"] * dice(y, p), 3)
    assert (contract.labels, contract.prediction) == ("onehot", "probabilities")


def test_a_batch_of_exactly_four() -> None:
    def for_four(y: Any, p: Any) -> Any:
        return tf.reduce_mean(cross(tf.reshape(y, (4, 12, 14, 3)), tf.reshape(p, (4, 12, 14, 3))))

    contract = ask_loss(for_four, 3, layout=Layout(shape=(4, 12, 14)))
    assert contract.raises == ""
    assert (contract.labels, contract.prediction) == ("onehot", "probabilities")
    assert "raises_at" not in contract.facts
    assert not [f for f in told(for_four, shape=(4, 12, 14)) if f.severity == "error"]


def test_nan_on_purpose() -> None:
    def guarded(y: Any, p: Any) -> Any:
        absent = tf.reduce_sum(y[..., 1]) == 0
        return tf.where(absent, np.nan, dice(y, p))

    contract = ask_loss(guarded, 3)
    assert contract.facts["not_finite"] == "one class only"
    assert outcome(LossNotFinite(), contract).status == "fired"


def test_a_slow_loss_is_asked_as_long_as_there_is_time() -> None:
    asked = []

    def slow(y: Any, p: Any) -> Any:
        asked.append(time.sleep(0.1))
        return dice(y, p)

    contract = ask_loss(slow, 3, total_s=0.5)
    assert 0 < len(asked) < 10
    assert contract.facts["unasked"]
    assert contract.prediction == "unknown"
    for probe in (PerfectPredictionNotBest(), LossRaises(), LossNotFinite()):
        assert outcome(probe, contract).status != "fired"
    assert "takes so long" in outcome(PerfectPredictionNotBest(), contract).reason


@pytest.mark.parametrize(("dtype", "raises"), [("", True), ("float32", False)])
def test_labels_are_asked_in_the_type_in_which_they_are_fed(dtype: str, raises: bool) -> None:
    def product(y: Any, p: Any) -> Any:  # not of whole numbers and floats
        return 1 - tf.raw_ops.Sum(input=tf.raw_ops.Mul(x=y, y=p), axis=[0, 1, 2, 3]) / 128

    contract = ask_loss(product, 1, flavour="tf_keras", layout=Layout(fed="BHW1", dtype=dtype))
    assert bool(contract.facts.get("raises_in_graph") or contract.raises) == raises


@pytest.mark.parametrize(("sign", "scale"), [(-1.0, "probabilities"), (1.0, "unknown")])
def test_a_linear_loss_that_is_turned_around_is_no_sigmoid(sign: float, scale: str) -> None:
    def distance(y: Any, p: Any) -> Any:
        return tf.reduce_mean(sign * (2 * tf.cast(y, tf.float32) - 1) * p)

    assert ask_loss(distance, 1, layout=Layout(fed="BHW1")).prediction == scale


def test_a_loss_that_needs_the_graph() -> None:
    def only_in_a_graph(y: Any, p: Any) -> Any:
        if tf.executing_eagerly():
            raise RuntimeError("tf.gradients is not supported when eager execution is enabled")
        return tf.reduce_mean(cross(y, p))

    contract = ask_loss(only_in_a_graph, 3)
    assert contract.facts["only_in_graph"]
    assert (contract.labels, contract.prediction) == ("onehot", "probabilities")


@pytest.mark.parametrize("wrap", [lambda loss: [loss], lambda loss: {"head": loss}])
def test_lists_and_dicts_of_one(wrap: Any) -> None:
    contract = ask_loss(wrap(keras.losses.Dice(axis=(1, 2))), 3)
    assert contract.name == "Dice"
    assert contract.labels == "onehot"


def test_flattened_and_channels_first_outputs() -> None:
    assert ask_loss("sparse_categorical_crossentropy", 3, layout=Layout(1)).forms == ("BHW", "BHW1")
    first = ask_loss(keras.losses.CategoricalCrossentropy(axis=1), 3, layout=Layout(2, True))
    assert first.facts["depends_on"] == "pixel"
    last = ask_loss(keras.losses.CategoricalCrossentropy(axis=1), 3)
    assert last.facts["depends_on"] == "column"


def test_the_random_state_of_the_loss_is_put_back() -> None:
    class Counting(keras.losses.Loss):
        def __init__(self) -> None:
            super().__init__()
            self.seen = tf.Variable(0.0)
            self.variables = [self.seen]

        def call(self, y_true: Any, y_pred: Any) -> Any:
            self.seen.assign_add(1.0)
            return cross(y_true, y_pred)

    loss = Counting()
    ask_loss(loss, 3)
    assert float(loss.seen) == 0.0


@pytest.mark.parametrize(
    ("dtype", "channels", "void", "status"),
    [
        (np.int8, 21, 255, "fired"),
        (np.uint8, 21, 255, "clear"),
        (np.int8, 21, None, "clear"),
        (bool, 21, None, "fired"),
        (bool, 2, None, "clear"),
        (np.float16, 21, 255, "clear"),
        (np.float16, 3000, None, "fired"),
    ],
)
def test_types_that_cannot_hold_the_ids(
    dtype: Any, channels: int, void: int | None, status: str
) -> None:
    y = np.zeros(SHAPE, np.int32)
    y[:, 4:] = 1
    y[:, :2] = 255 if void else 0
    y = y.astype(dtype)
    trace = Trace(
        {
            "declared": Declared(ignore_label=void),
            "labels": label_facts(y, channels, void),
            "head": head_of(channels, SHAPE),
        }
    )
    assert examine(LabelPrecisionLost(), trace).status == status


def test_a_loss_that_never_returns_is_left_alone_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(y: Any, p: Any) -> Any:
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(loss_room, "LIMIT_S", 0.2)
    asked = LossAsInFit(never, keras.Sequential())
    y_pred = Outputs(tf.ones((2, 4, 4, 3)) / 3, None, None)
    waited = []
    for _ in range(20):
        start = time.perf_counter()
        with pytest.raises(TimeIsUpError, match=r"no answer within 0\.2 s"):
            asked(np.zeros((2, 4, 4)), y_pred)
        waited.append(time.perf_counter() - start >= 0.2)
    assert sum(waited) < 10
    contract = ask_loss(never, 3, limit_s=0.2)
    found = outcome(LossRaises(), contract)
    assert found.status == "fired"
    assert "fit would stand still" in found.findings[0].message


def test_the_users_own_alarm_is_left_alone() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    held = signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with time_limit(5.0):  # theirs rings first
            time.sleep(0.1)
        assert len(rung) == 1
        signal.setitimer(signal.ITIMER_REAL, 30.0)
        with pytest.raises(TimeIsUpError), time_limit(0.05):
            time.sleep(1.0)
        assert 29.0 < signal.getitimer(signal.ITIMER_REAL)[0] < 30.0
        assert len(rung) == 1
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *held)


def test_a_function_of_tensorflow_keeps_no_lock() -> None:
    spec = tf.TensorSpec([None, None, None, 3])

    @tf.function(input_signature=[spec, spec])
    def signed(y: Any, p: Any) -> Any:
        return tf.reduce_mean(cross(y, p))

    contract = ask_loss(lambda y, p: signed(y, p), 3)  # ids do not fit the signature
    assert (contract.forms, contract.raises) == (("BHWC",), "")
    free: list[bool] = []
    other = threading.Thread(target=lambda: free.append(signed._lock.acquire(timeout=0.1)))
    other.start()
    other.join()
    assert free == [True]


def test_void_is_asked_for_in_the_layout_that_is_fed() -> None:
    contract = ask_loss(masked_binary_over_all, 1, layout=Layout(fed="BHW1"))
    assert contract.facts["value_255"] == "ignored"
