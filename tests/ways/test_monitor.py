"""The callback, in a real fit of Keras 3 and tf_keras, sick and healthy."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.core.errors import UserError
from segdoctor.sources.history import read_history

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
from drawn import draw

sys.path.pop(0)


def trained(
    flavour: str, optimizer: str, rate: float, monitor: Any, epochs: int = 6, more: Any = ()
) -> Any:
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    h = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    h = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(h))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(h))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(getattr(keras.optimizers, optimizer)(rate), loss)
    x, y = draw()
    return model.fit(x, y, batch_size=2, epochs=epochs, verbose=0, callbacks=[monitor, *more])


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_a_rate_that_is_lost_and_its_healthy_twin(flavour: str, tmp_path: Path) -> None:
    sick = segdoctor.Monitor(draw(), share=0.5, select="OPT001")
    trained(flavour, "SGD", 1e-8, sick)
    assert sick.report is not None
    finding = next(f for f in sick.report.findings if f.code == "OPT001")
    assert finding.severity == "error"
    # Eight images of 16 px are too few to tell which mask belongs to which.
    options = {"log_dir": str(tmp_path), "stop_on": "error", "ignore": "DATA004"}
    well = segdoctor.Monitor(draw(), share=0.5, **options)
    trained(flavour, "Adam", 1e-2, well, epochs=12)
    assert well.report is not None
    assert [f for f in well.report.findings if f.severity == "error"] == []
    series = well.report.measured["monitor"]
    assert series["mean_iou"][-1] > 0.6
    assert np.isfinite(series["batch_norm_gap"]).all()
    assert series["dead_units"][-1] < 0.7
    assert any(t["title"] == "What the training showed" for t in well.report.measured["tables"])
    assert all(len(ratios) > 2 for ratios in series["update_ratio"].values())
    assert series["classes_predicted"]
    assert well.stopped_by == ""
    curves = read_history(str(tmp_path)).series
    for part in ("update_ratio", "bn_drift", "bn_gap", "dead_units", "mean_iou"):
        assert any(part in name for name in curves), part


def test_a_loss_that_is_no_number_stops_it_and_is_located() -> None:
    monitor = segdoctor.Monitor(stop_on="error")
    history = trained("keras", "SGD", 1e38, monitor, epochs=50)
    assert monitor.report is not None
    assert len(history.history["loss"]) < 50
    assert monitor.stopped_by.startswith("HIST004")
    assert any("no number at step" in note and "kernel" in note for note in monitor.report.notes)
    assert {"HIST004", "MDL004"} & monitor.report.codes
    assert monitor.report.exit_code == 1


def test_ctrl_c_ends_it_with_a_report(tmp_path: Path) -> None:
    import keras

    before = signal.getsignal(signal.SIGINT)

    class Presses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    monitor = segdoctor.Monitor(draw(), out=str(tmp_path / "out"), select="HIST004")
    with pytest.raises(KeyboardInterrupt):
        trained("keras", "Adam", 1e-3, monitor, epochs=500, more=[Presses()])
    assert monitor.report is not None
    assert monitor.report.exit_code == 130
    assert (tmp_path / "out" / "report.json").is_file()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_changes_nothing_and_keeps_within_its_share() -> None:
    blind = segdoctor.Monitor(share=0.0, select="HIST004")
    plain = trained("keras", "Adam", 1e-3, blind, epochs=3)
    monitor = segdoctor.Monitor(draw(), share=0.5, select="HIST004")
    watched = trained("keras", "Adam", 1e-3, monitor, epochs=3)
    np.testing.assert_array_equal(plain.history["loss"], watched.history["loss"])
    with pytest.raises(UserError, match="stop_on"):
        segdoctor.Monitor(stop_on="never")


def test_one_class_everywhere_is_seen_and_so_are_dead_units() -> None:
    """A net that its own rectifier has switched off says one class, and stays there."""
    import keras

    x, y = draw()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    dead = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="dead")
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(dead(inputs)))
    kernel, bias = dead.get_weights()
    dead.set_weights([kernel, bias - 100])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss)
    monitor = segdoctor.Monitor((x, y), share=0.5, stop_on="error")
    model.fit(x, y, batch_size=8, epochs=60, verbose=0, callbacks=[monitor])
    assert monitor.report is not None
    assert {"GRAD005", "HIST007"} <= monitor.report.codes
    series = monitor.report.measured["monitor"]
    assert (series["dead_units"][-1], series["classes_predicted"][-1]) == (1.0, 1)
    assert any(note.startswith("collapsed: every pixel") for note in monitor.report.notes)
