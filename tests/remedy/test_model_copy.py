"""Changed copies of model files, written as data: nothing of Keras is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from segdoctor.core.errors import UserError
from segdoctor.remedy.model_changes import Workpiece
from segdoctor.sources.model_file import open_model_file
from segdoctor.sources.model_file import rewrite as writing
from segdoctor.sources.model_file.rewrite import rewrite

from ..sources.model_files import (
    batch_norm,
    conv,
    conv_weights,
    functional,
    image_input,
    norm_weights,
    write_h5,
    write_keras,
)

LOSS = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}
TRAINING = {
    "loss": LOSS,
    "optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 1e-6}},
}


def h5(folder: Path, head: dict[str, Any], weights: Any, version: str = "2.15.0") -> Path:
    config = functional(image_input(), batch_norm(), head)
    path = folder / "m.h5"
    write_h5(path, config, {**norm_weights(channels=3), **weights}, version, TRAINING)
    with h5py.File(path, "r+") as file:
        file.create_group("optimizer_weights")["step"] = np.float32(7)
    return path


def mended(path: Path, patch: dict[str, Any], **arrays: Any) -> tuple[Workpiece, Any]:
    opened = open_model_file(path)
    piece = Workpiece(opened, seed=0)
    piece.apply(patch)
    piece.changes.arrays |= arrays.get("arrays", {})
    before = path.read_bytes()
    new = path.parent / "new" / path.name
    rewrite(opened, piece.changes, new)
    assert path.read_bytes() == before
    assert [p.name for p in new.parent.iterdir()] == [path.name]
    return piece, open_model_file(new)


def test_activation_and_compile_settings_of_an_h5_file(tmp_path: Path) -> None:
    path = h5(tmp_path, conv(activation="softmax"), conv_weights())
    patch = {
        "head.activation": "remove",
        "loss.ignore_class": 255,
        "loss.from_logits": True,
        "optimizer.learning_rate": 1e-3,
    }
    piece, new = mended(path, patch)
    assert piece.undone == {}
    assert set(piece.done) == set(patch)
    facts = new.facts
    assert new.config["config"]["layers"][-1]["config"]["activation"] == "linear"
    assert facts.compiled is not None
    assert (facts.compiled.ignore_class, facts.compiled.from_logits) == (255, True)
    assert facts.compiled.learning_rate == 1e-3
    assert facts.graph.keras_version == "2.15.0"
    assert facts.weights == open_model_file(path).facts.weights
    with h5py.File(new.path) as file:
        assert file["optimizer_weights/step"][()] == 7  # the same variables train


def test_a_head_of_more_channels_is_drawn_anew(tmp_path: Path) -> None:
    path = h5(tmp_path, conv(filters=4), conv_weights())
    piece, new = mended(path, {"head.channels": 21})
    shapes = {(w.layer, w.name): w.shape for w in new.facts.weights}
    assert shapes["conv", "kernel"] == (3, 3, 3, 21)
    assert shapes["conv", "bias"] == (21,)
    kernel = next(w for w in new.facts.weights if w.name == "kernel")
    limit = (6 / (9 * 24)) ** 0.5
    assert 0.9 * limit < kernel.maximum <= limit
    assert "not trained" in piece.done["head.channels"]
    with h5py.File(new.path) as file:
        assert "optimizer_weights" not in file  # it was that of other variables


@pytest.mark.parametrize(
    ("patch", "layer", "wanted"),
    [
        ({"head.trainable": True}, "conv", True),
        ({"freeze": "none"}, "conv", True),
        ({"freeze": "none"}, "bn", True),
        ({"bn.freeze": True}, "bn", False),
    ],
)
def test_flags(tmp_path: Path, patch: dict[str, Any], layer: str, wanted: bool) -> None:
    path = h5(tmp_path, conv(trainable=False), conv_weights())
    _, new = mended(path, patch)
    flags = {e["name"]: e["config"].get("trainable", True) for e in new.config["config"]["layers"]}
    assert flags[layer] is wanted


def test_statistics_of_a_keras_file(tmp_path: Path) -> None:
    config = functional(image_input(), batch_norm(trainable=False), conv())
    config["compile_config"] = {"loss": "sparse_categorical_crossentropy"}
    norm = "layers/batch_normalization/vars"
    tree = {f"{norm}/{n}": np.full(3, n, np.float32) for n in range(4)}
    tree |= {f"layers/conv2d/vars/{n}": a for n, (_, a) in enumerate(conv_weights()["conv"])}
    path = write_keras(tmp_path / "m.keras", config, tree)
    place = next(w.path for w in open_model_file(path).stored if w.name == "moving_mean")
    values = np.arange(3, dtype=np.float32)
    _, new = mended(path, {"loss.ignore_class": 255}, arrays={place: values})
    with new.weights() as read:
        held = {weight.name: read(weight) for weight in new.stored}
    np.testing.assert_array_equal(held["moving_mean"], values)
    np.testing.assert_array_equal(held["moving_variance"], np.full(3, 3))
    loss = new.compiled["loss"]
    assert (loss["module"], loss["config"]) == ("keras.losses", {"ignore_class": 255})


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = h5(tmp_path, conv(), conv_weights(), version="2.3.1")
    piece = Workpiece(open_model_file(path), seed=0)
    piece.apply({"head.activation": "remove", "loss.ignore_class": 255, "bn.unwire": True})
    assert piece.done == {}
    assert "no activation was found" in piece.undone["head.activation"]
    assert "2.3.1" in piece.undone["loss.ignore_class"]
    assert "says nothing" in piece.undone["bn.unwire"]


def test_nothing_is_overwritten_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = h5(tmp_path, conv(activation="softmax"), conv_weights())
    opened = open_model_file(path)
    piece = Workpiece(opened, seed=0)
    piece.apply({"head.activation": "remove"})
    before = path.read_bytes()
    with pytest.raises(UserError, match="nothing is overwritten"):
        rewrite(opened, piece.changes, path)
    assert path.read_bytes() == before

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_replace_arrays", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        rewrite(opened, piece.changes, tmp_path / "new" / "m.h5")
    assert list((tmp_path / "new").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] in (["m.h5", "new"], ["new", "m.h5"])


def test_the_text_keeps_its_kind(tmp_path: Path) -> None:
    """Old readers decode bytes, new ones take text: each finds what it wrote."""
    path = h5(tmp_path, conv(activation="softmax"), conv_weights())
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        del file.attrs["model_config"]
        file.attrs["model_config"] = np.bytes_(text.encode())
    _, new = mended(path, {"head.activation": "remove"})
    with h5py.File(new.path) as file:
        held = file.attrs["model_config"]
    assert isinstance(held, bytes)
    assert json.loads(held)["class_name"] == "Functional"
