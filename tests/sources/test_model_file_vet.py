"""Code in a configuration is found wherever it stands; stock objects raise no alarm."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.model_facts import CodeItem
from segdoctor.sources.model_file.vet import vet

from .model_files import batch_norm, called, conv, functional, image_input

BYTECODE = ["4wEAAAABAAAAAQAAAEMAAABzBAAAAHwAUwApAU4=", None, None]
LAMBDA = {
    "class_name": "Lambda",
    "name": "lam",
    "config": {"name": "lam", "function": BYTECODE, "function_type": "lambda"},
}
LAMBDA3 = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "name": "lam",
    "config": {
        "name": "lam",
        "function": {"class_name": "__lambda__", "config": {"code": BYTECODE[0]}},
    },
}


def foreign(module: str, name: str, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def wrapped(layer: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "TimeDistributed", "name": "td", "config": {"name": "td", "layer": layer}}


def nested(layer: dict[str, Any]) -> dict[str, Any]:
    return {**functional(image_input("x"), layer, name="inner"), "name": "inner"}


HOSTILE = {
    "lambda": LAMBDA,
    "lambda of Keras 3": LAMBDA3,
    "nested": nested(LAMBDA),
    "nested twice": nested(nested(LAMBDA3)),
    "wrapped": wrapped(LAMBDA),
    "lambda as an activation": conv(activation=LAMBDA3),
    "lambda function as an activation": conv(activation={"class_name": "__lambda__", "config": {}}),
    "output shape": {**LAMBDA, "config": {"name": "lam", "output_shape_type": "lambda"}},
    "merge of Keras 1": {
        "class_name": "Merge",
        "name": "m",
        "config": {"name": "m", "mode": BYTECODE, "mode_type": "lambda"},
    },
    "foreign layer": {**foreign("evil", "Layer"), "name": "e"},
    "foreign layer of a stock name": {**foreign("evil.sub", "Conv2D"), "name": "e"},
    "foreign lambda": {**foreign("evil", "Lambda"), "name": "e"},
    "os.system": conv(activation={"module": "os", "class_name": "function", "config": "system"}),
    "builtin": conv(activation={"module": "builtins", "class_name": "function", "config": "exec"}),
    "initializer": conv(kernel_initializer=foreign("evil", "Init")),
    "regularizer": conv(kernel_regularizer=foreign("evil", "L2")),
    "constraint": conv(bias_constraint=foreign("subprocess", "Popen", args="id")),
    "dtype": conv(dtype=foreign("evil", "DTypePolicy")),
    "SavedModel layer": {"class_name": "TFSMLayer", "name": "t", "config": {"filepath": "/x"}},
    "torch": {**foreign("keras.layers", "TorchModuleWrapper", module="gASV"), "name": "t"},
    "vocabulary file": {
        **foreign("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
        "name": "s",
    },
    "utility": {**foreign("keras.utils", "get_file", origin="http://x"), "name": "u"},
    "type spec": conv(dtype={"class_name": "__typespec__", "module": "evil", "config": []}),
    "TensorFlow operation": {
        "class_name": "TFOpLambda",
        "name": "t",
        "config": {"name": "t", "function": "io.write_file"},
    },
    "class name that is no name": {"class_name": ["Lambda"], "name": "x", "config": {}},
    "call argument": called(conv(), "image", y=foreign("evil", "Thing")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_code_is_found(name: str) -> None:
    assert vet(functional(image_input(), HOSTILE[name])).runs


@pytest.mark.parametrize("key", ["loss", "optimizer_config", "metrics", "weighted_metrics"])
def test_code_in_compile_settings(key: str) -> None:
    assert vet(functional(image_input(), conv()), {key: [foreign("evil", "Thing")]}).runs
    assert vet(functional(image_input(), conv()), {key: LAMBDA3}).runs


def test_nested_compile_settings() -> None:
    model = functional(image_input(), conv())
    model["compile_config"] = {"loss": foreign("evil", "Thing")}
    assert vet(model).runs


CLEAN = {
    "stock": conv(
        activation="relu6",
        kernel_initializer={"class_name": "VarianceScaling", "config": {"scale": 1.0}},
        kernel_regularizer={"module": "keras.regularizers", "class_name": "L2", "config": {}},
        dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
    ),
    "function": conv(
        activation={"module": "builtins", "class_name": "function", "config": "softmax"}
    ),
    "tf_keras": {**foreign("tf_keras.src.layers", "Dense", units=2), "name": "d"},
    "old batch norm": {**batch_norm(), "class_name": "BatchNormalizationV1"},
    "operation": {**foreign("keras.src.ops.numpy", "GetItem"), "name": "g"},
    "nested": nested(conv()),
    "wrapped": wrapped(conv()),
    "activation as a layer": conv(activation="LeakyReLU"),
}


@pytest.mark.parametrize("name", CLEAN)
def test_no_alarm(name: str) -> None:
    vetted = vet(functional(image_input(), CLEAN[name]), {"loss": "mse", "metrics": ["accuracy"]})
    assert vetted.code == ()
    assert vetted.not_at_hand == ()


def test_a_name_is_no_code() -> None:
    layer = {**foreign("__main__", "Gate"), "name": "gate", "registered_name": "Custom>Gate"}
    vetted = vet(functional(image_input(), layer, conv(activation="my_gelu")))
    assert vetted.runs == ()
    assert vetted.not_at_hand == ("Custom>Gate", "my_gelu")


def test_an_unknown_loss_is_no_lost_layer() -> None:
    loss = {"module": "builtins", "class_name": "function", "config": "dice_loss"}
    vetted = vet(functional(image_input(), conv()), {"loss": loss, "metrics": ["my_iou"]})
    assert vetted.runs == ()
    assert vetted.not_at_hand == ()
    assert vetted.code == (
        CodeItem("custom function", "dice_loss", "compile settings", None, False),
    )


def test_known_classes_are_replaced() -> None:
    layer = {"class_name": "BilinearUpsampling", "name": "up", "config": {"name": "up"}}
    vetted = vet(functional(image_input(), layer))
    assert vetted.not_at_hand == ()
    assert vetted.runs == ()
    (item,) = vetted.code
    assert item.recognised is not None
    assert "align_corners" in item.recognised


def test_what_the_user_gives_is_at_hand() -> None:
    layer = {**foreign("my_layers", "Gate"), "name": "gate"}
    model = functional(image_input(), layer, conv(activation="my_gelu"))
    assert vet(model).runs
    vetted = vet(model, at_hand=["Gate", "my_gelu"])
    assert vetted.code == ()
    assert vetted.not_at_hand == ()


def test_places_are_the_layers_paths() -> None:
    (item,) = vet(functional(image_input(), nested(LAMBDA))).runs
    assert item.where == "inner/lam"
