"""Callbacks played on curves do what Keras' own do, epoch by epoch."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segdoctor.core.history_facts import CallbackFacts
from segdoctor.measures.played import replayed_rate, stops_after
from segdoctor.sources.callbacks import read_callbacks

EPOCHS = 30


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def curves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    time = np.arange(EPOCHS)
    return [1.0 - 0.02 * time + rng.normal(0, spread, EPOCHS) for spread in (0.0, 0.02, 0.1) * 2]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping(keras: Any, mode: str) -> None:
    settings = itertools.product((0, 1, 4), (0.0, 0.03), (None, 0.8), (0, 6))
    for patience, min_delta, baseline, start in settings:
        callback = keras.callbacks.EarlyStopping(
            *("val_loss", min_delta, patience),
            mode=mode,
            baseline=baseline,
            start_from_epoch=start,
        )
        (fact,) = read_callbacks([callback])
        for curve in curves():
            model = SimpleNamespace(stop_training=False)
            callback.set_model(model)
            callback.on_train_begin()
            ended = EPOCHS
            for epoch, value in enumerate(curve):
                callback.on_epoch_end(epoch, {"val_loss": value})
                if model.stop_training:
                    ended = epoch + 1
                    break
            assert stops_after(fact, curve) == ended, (fact, curve)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_reduce_on_plateau(keras: Any, mode: str) -> None:
    settings = [(1, 0.03, 0, 1e-4), (3, 1e-4, 4, 0.0), (2, 0.0, 0, 0.0)]
    for patience, min_delta, cooldown, lowest in settings:
        callback = keras.callbacks.ReduceLROnPlateau(
            *("val_loss", 0.3, patience, 0, mode, min_delta, cooldown, lowest)
        )
        (fact,) = read_callbacks([callback])
        optimizer = keras.optimizers.SGD(1e-3)
        callback.set_model(SimpleNamespace(optimizer=optimizer))
        for curve in curves()[:3]:
            optimizer.learning_rate = 1e-3
            callback.on_train_begin()
            rates = []
            for epoch, value in enumerate(curve):
                rates.append(float(optimizer.learning_rate.numpy()))
                callback.on_epoch_end(epoch, {"val_loss": value})
            assert replayed_rate(fact, curve.tolist(), 1e-3) == pytest.approx(rates, rel=1e-5)


def test_a_gap_is_no_value() -> None:
    fact = CallbackFacts("ReduceLROnPlateau", "val_loss", "min", "min", 2, factor=0.1)
    every_fifth = [1.0 - 0.01 * at if at % 5 == 4 else float("nan") for at in range(EPOCHS)]
    assert replayed_rate(fact, every_fifth, 1e-3) == [1e-3] * EPOCHS
    broken = [1.0, 0.9, *[float("nan")] * 8]
    assert replayed_rate(fact, broken, 1e-3)[-1] < 1e-4
