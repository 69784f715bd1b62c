"""A history in each of the forms in which it is kept gives the same curves."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pandas
import pytest

from segdoctor.core.errors import UserError
from segdoctor.sources.callbacks import read_callbacks, reported_keys
from segdoctor.sources.history import read_history

LOSS = [2.0, 1.5, 1.25]


class History:
    """As Keras' own object looks from outside."""

    def __init__(self) -> None:
        self.history = {"loss": LOSS, "val_loss": [2.5, 2.0, 1.75]}
        self.epoch = [0, 1, 2]


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    held = History().history
    log, data = tmp_path / "log.csv", tmp_path / "history.json"
    rows = [
        "epoch,loss,val_loss",
        *(f"{i},{held['loss'][i]},{held['val_loss'][i]}" for i in range(3)),
    ]
    log.write_text("\n".join(rows) + "\n")
    data.write_text(json.dumps(held))
    for given in (History(), held, pandas.DataFrame(held), log, str(log), data):
        facts = read_history(given)
        assert facts.epochs == (0, 1, 2)
        assert facts.series == {"loss": tuple(LOSS), "val_loss": (2.5, 2.0, 1.75)}


def test_what_training_logs_hold_beside_numbers(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("epoch;loss;note;val_loss\n0;2.0;hello;NA\n1;nan;;1.5\n")
    facts = read_history(log)
    assert set(facts.series) == {"loss", "val_loss"}
    assert facts.series["loss"][0] == 2.0
    assert math.isnan(facts.series["loss"][1])
    assert facts.notes == ("history: no numbers in note",)
    assert read_history({"loss": [1.0, 2.0], "acc": [0.5]}).series["acc"][0] == 0.5


def test_a_log_of_one_object_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"epoch": i, "loss": v}) + "\n" for i, v in enumerate(LOSS)))
    assert read_history(log).series == {"loss": tuple(LOSS)}
    (tmp_path / "history.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(UserError, match=r"no text.*expected a CSVLogger file"):
        read_history(tmp_path / "history.npy")


@pytest.mark.parametrize("text", ["", "hello", "{", "[1, 2]", "epoch,loss\n"])
def test_what_is_no_history_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(UserError, match="history"):
        read_history(path)
    with pytest.raises(UserError, match="received int"):
        read_history(3)
    with pytest.raises(UserError, match="there is none"):
        read_history(tmp_path / "absent.csv")


def test_keys_that_are_not_written_in_every_epoch(tmp_path: Path) -> None:
    """Keras' History keeps validation of each second epoch as a shorter list, CSVLogger as NA."""
    nan = float("nan")
    shorter = read_history({"loss": [5.0, 4.0, 3.0, 2.0, 1.0], "val_loss": [4.5, 2.5]})
    np.testing.assert_equal(shorter.series["val_loss"], (nan, 4.5, nan, 2.5, nan))
    broken_off = read_history({"loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5]})
    np.testing.assert_equal(broken_off.series["val_loss"], (3.5, 2.5, nan))
    file = tmp_path / "log.csv"
    file.write_text("epoch,loss,val_loss\n0,3,NA\n1,2,2.5\n2,1,NA\n")
    read = [shorter, broken_off, read_history(file)]
    assert [facts.unwritten for facts in read] == [{"val_loss": 1}] * 3
    file.write_text("epoch,loss,val_loss\n0,3,2\n1,2,nan\n2,1,nan\n")
    assert read_history(file).unwritten == {}


def field(number: int, body: bytes | int | float) -> bytes:
    if isinstance(body, int):
        return bytes([number << 3, body])
    if isinstance(body, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", body)
    return bytes([number << 3 | 2, len(body)]) + body


def record(step: int, tag: str, value: float, tensor: bool) -> bytes:
    held = field(8, field(1, 1) + field(4, struct.pack("<f", value))) if tensor else field(2, value)
    event = field(2, step) + field(5, field(1, field(1, tag.encode()) + held))
    return struct.pack("<Q", len(event)) + b"\0" * 4 + event + b"\0" * 4


def test_a_tensorboard_folder(tmp_path: Path) -> None:
    for name, shift in (("train", 0.0), ("validation", 0.5)):
        (tmp_path / name).mkdir()
        content = b"".join(
            record(step, "epoch_loss", value + shift, bool(step % 2))
            for step, value in enumerate(LOSS)
        )
        batches = record(9, "evaluation_loss_vs_iterations", 9.0, True)
        path = tmp_path / name / "events.out.tfevents.1.host.v2"
        path.write_bytes(content + batches + b"\x10\0\0")  # cut off in the middle
    facts = read_history(tmp_path)
    assert facts.series == {"loss": tuple(LOSS), "val_loss": (2.5, 2.0, 1.75)}
    with pytest.raises(UserError, match="event files"):
        read_history(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_what_callbacks_really_do() -> None:
    keras = pytest.importorskip("keras")
    watch = keras.callbacks

    def dice(y_true, y_pred):
        return 0.0

    metrics = [keras.metrics.MeanIoU(3, name="miou"), dice, "accuracy"]
    told = read_callbacks(
        [
            watch.EarlyStopping("val_miou", patience=3),
            watch.EarlyStopping("val_dice"),
            watch.ReduceLROnPlateau("val_loss", factor=0.5, patience=2),
            watch.ModelCheckpoint("x.keras", monitor="val_miou", mode="min", save_best_only=True),
            watch.ModelCheckpoint("y.keras"),
            watch.TerminateOnNaN(),
        ],
        metrics,
    )
    assert [(c.kind, c.direction) for c in told] == [
        ("EarlyStopping", "max"),
        ("EarlyStopping", "raises"),
        ("ReduceLROnPlateau", "min"),
        ("ModelCheckpoint", "min"),
    ]
    assert (told[0].patience, told[2].factor) == (3, 0.5)
    assert reported_keys(metrics) == ("miou", "dice", "accuracy")
    old = pytest.importorskip("tf_keras").callbacks
    (early,) = read_callbacks(old.EarlyStopping("val_miou"), metrics)
    assert (early.direction, early.monitor) == ("min", "val_miou")


def test_a_key_that_a_callback_of_the_users_own_writes() -> None:
    keras = pytest.importorskip("keras")
    watch = keras.callbacks

    class Scores(watch.Callback):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            logs["val_" + self.name] = logs["val_kappa"] = 0.5

    stop = watch.EarlyStopping("val_miou", mode="max")
    plain = watch.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(f1=1))
    told = read_callbacks([stop, Scores("miou"), stop, watch.EarlyStopping("val_kappa"), plain])
    assert [c.written_by for c in told] == ["", "Scores", "Scores"]  # one is before its writer
    assert [c.direction for c in told] == ["max", "max", "raises"]
    slows = watch.ReduceLROnPlateau("f1", mode="max")
    assert [c.written_by for c in read_callbacks([plain, slows])] == ["LambdaCallback"]
    assert [c.written_by for c in read_callbacks([watch.TerminateOnNaN(), slows])] == [""]


def test_a_whole_disk_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdoctor.sources.event_file._MOST_FOLDERS", 5)
    for number in range(6):
        (tmp_path / f"{number}").mkdir()
    with pytest.raises(UserError, match="more than 5 folders"):
        read_history(tmp_path)
