"""Model files read as data: HDF5, .keras, weights alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from segdoctor.sources.model_file import open_model_file, read_model_file

from .model_files import (
    batch_norm,
    called,
    conv,
    conv_weights,
    functional,
    image_input,
    norm_weights,
    write_h5,
    write_keras,
)


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    return write_h5(
        tmp_path / "model.h5",
        functional(image_input(), conv(), called(batch_norm(momentum=0.9), "conv", training=False)),
        {**conv_weights(), **norm_weights()},
        training={
            "loss": {
                "class_name": "SparseCategoricalCrossentropy",
                "config": {"from_logits": True, "ignore_class": 255, "reduction": "auto"},
            },
            "metrics": ["accuracy"],
            "optimizer_config": {"class_name": "Adadelta", "config": {"lr": 0.1, "decay": 0.0}},
        },
    )


def test_h5(h5: Path) -> None:
    facts = read_model_file(h5)
    assert (facts.format, facts.graph.kind) == ("h5", "Functional")
    assert (facts.graph.keras_version, facts.graph.flavour) == ("2.3.1", "keras2.1.3-2.3.1")
    assert facts.parameters == 9 * 3 * 4 + 4 + 16
    assert facts.graph.output_shapes == ((None, 8, 8, 4),)
    assert [layer.parameters for layer in facts.graph.layers] == [0, 112, 16]
    assert facts.code == ()
    assert facts.not_loadable == ()


def test_batch_norm_with_statistics(h5: Path) -> None:
    (norm,) = read_model_file(h5).batch_norms
    assert (norm.momentum, norm.channels, norm.feeds_from) == (0.9, 4, "conv")
    assert norm.wired_training is False
    assert norm.gamma is not None
    assert norm.gamma.mean == 2
    assert norm.moving_variance is not None
    assert norm.moving_variance.std == 0


def test_compile_settings(h5: Path) -> None:
    compiled = read_model_file(h5).compiled
    assert compiled is not None
    assert (compiled.loss, compiled.from_logits, compiled.ignore_class) == (
        *("SparseCategoricalCrossentropy", True),
        255,
    )
    assert compiled.loss_config["reduction"] == "sum_over_batch_size"
    assert (compiled.optimizer, compiled.learning_rate) == ("Adadelta", 0.1)


def test_statistics_count_what_is_not_finite(tmp_path: Path) -> None:
    weights = conv_weights()
    weights["conv"][0][1][0, 0, 0, :2] = [np.nan, np.inf]
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv()), weights)
    kernel = read_model_file(path).weights[0]
    assert (kernel.not_finite, kernel.count) == (2, 108)
    assert np.isfinite([kernel.mean, kernel.std, kernel.minimum, kernel.maximum]).all()


TREE = {
    "layers/conv2d/vars/0": np.ones((3, 3, 3, 4), "float32"),
    "layers/conv2d/vars/1": np.zeros(4, "float32"),
    "layers/conv2d_1/vars/0": np.full((3, 3, 4, 2), 2, "float32"),
    "layers/conv2d_1/vars/1": np.zeros(2, "float32"),
    "layers/dropout/seed_generator/vars/0": np.zeros(2, "uint32"),
    "optimizer/vars/0": np.zeros(3, "float32"),
}
TWO_CONVS = functional(
    image_input(),
    conv("b"),
    {"class_name": "Dropout", "name": "d", "config": {"name": "d", "rate": 0.5}},
    conv("a", 2),
)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_keras_zip_counts_groups_by_class(tmp_path: Path, compression: int) -> None:
    config = {**TWO_CONVS, "compile_config": {"loss": "mse", "optimizer": "adam"}}
    path = write_keras(tmp_path / "m.keras", config, TREE, compression=compression)
    facts = read_model_file(path)
    assert [(w.layer, w.name, w.mean) for w in facts.weights if w.name == "kernel"] == [
        ("b", "kernel", 1),
        ("a", "kernel", 2),
    ]
    assert facts.parameters == 9 * 12 + 4 + 9 * 8 + 2  # neither seeds nor optimizer slots
    assert facts.compiled is not None
    assert facts.compiled.loss == "mse"
    assert facts.graph.flavour == "keras3"


def test_first_keras_zips_skip_numbers(tmp_path: Path) -> None:
    """TF 2.12 wrote ``_layer_checkpoint_dependencies`` with gaps in the numbers."""
    tree = {
        key.replace("layers", "_layer_checkpoint_dependencies", 1).replace(
            "conv2d_1", "conv2d_2"
        ): v
        for key, v in TREE.items()
        if "optimizer" not in key
    }
    path = write_keras(tmp_path / "m.keras", TWO_CONVS, tree, "2.12.0")
    facts = read_model_file(path)
    assert {w.layer: w.mean for w in facts.weights if w.name == "kernel"} == {"b": 1, "a": 2}
    assert facts.graph.flavour == "tf_keras"


def test_nested_model_in_h5(tmp_path: Path) -> None:
    inner = functional(image_input("x"), conv(), batch_norm(), name="base")
    inner["name"] = "base"
    outer = functional(
        image_input(), called(inner, "image", training=False), called(conv("head", 2), "base")
    )
    weights = {
        "base": [*conv_weights()["conv"], *norm_weights()["bn"]],
        **conv_weights("head", 4, 2),
    }
    facts = read_model_file(write_h5(tmp_path / "m.h5", outer, weights))
    assert [layer.name for layer in facts.graph.layers] == [
        *("image", "base", "base/x", "base/conv", "base/bn", "head"),
    ]
    assert {w.layer for w in facts.weights} == {"base/conv", "base/bn", "head"}
    (norm,) = facts.batch_norms
    assert (norm.feeds_from, norm.wired_training) == ("base/conv", False)
    assert facts.graph.output_shapes == ((None, 8, 8, 2),)


def test_weights_alone(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "w.h5", None, {**conv_weights(), **norm_weights()}, "2.2.4")
    facts = read_model_file(path)
    assert facts.graph.kind == "weights only"
    assert [layer.name for layer in facts.graph.layers] == ["conv", "bn"]
    assert facts.batch_norms[0].layer == "bn"
    assert any("weights only" in note for note in facts.notes)


def test_keras1_names(tmp_path: Path) -> None:
    name = "convolution2d_1"
    layer = {
        "class_name": "Convolution2D",
        "config": {
            "name": name,
            "nb_filter": 4,
            "nb_row": 3,
            "nb_col": 3,
            "border_mode": "same",
            "dim_ordering": "tf",
            "batch_input_shape": [None, 8, 8, 3],
        },
    }
    arrays = [(f"{name}_W", np.ones((3, 3, 3, 4), "f")), (f"{name}_b", np.ones(4, "f"))]
    config = {"class_name": "Sequential", "config": [layer]}
    facts = read_model_file(write_h5(tmp_path / "m.h5", config, {name: arrays}, "1.2.2"))
    assert [weight.name for weight in facts.weights] == ["kernel", "bias"]
    assert facts.graph.flavour == "keras<=2.1.2"
    assert facts.graph.output_shapes == ((None, 8, 8, 4),)


def test_split_attributes(tmp_path: Path) -> None:
    """Keras splits lists of names beyond 64 KB over ``name0``, ``name1``, …"""
    path = write_h5(tmp_path / "w.h5", None, {**conv_weights(), **norm_weights()})
    with h5py.File(path, "a") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:1], names[1:]
    assert len(read_model_file(path).weights) == 6


def test_broken_compile_settings_do_not_matter(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv()), conv_weights())
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = "{broken"
    assert read_model_file(path).compiled is None


def test_arrays_are_read_on_demand(h5: Path) -> None:
    opened = open_model_file(h5)
    with opened.weights() as read:
        np.testing.assert_array_equal(read(opened.stored[1]), np.zeros(4))


def test_no_tensorflow_is_loaded(h5: Path) -> None:
    program = (
        "import sys; from segdoctor.sources.model_file import read_model_file;"
        "from segdoctor.report.inspect_text import facts_to_plain;"
        f"facts_to_plain(read_model_file({str(h5)!r}));"
        "print(sorted({'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
