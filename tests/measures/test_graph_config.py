"""Graphs of every Keras from their configurations alone."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.model_facts import WeightFacts
from segdoctor.measures.graph_config import batch_norms_from, graph_from_config
from segdoctor.measures.keras_version import flavour_of


def layer(class_name: str, name: str, *inbound: Any, **config: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": list(inbound),
    }


def functional(*layers: dict[str, Any], out: str, **config: Any) -> dict[str, Any]:
    inner = {
        "name": "net",
        "layers": list(layers),
        "input_layers": [["x", 0, 0]],
        "output_layers": [[out, 0, 0]],
    }
    return {"class_name": "Functional", "config": {**inner, **config}}


def tensor(name: str, *shape: int | None) -> dict[str, Any]:
    config = {"shape": list(shape), "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


X = layer("InputLayer", "x", batch_input_shape=[None, 8, 8, 3])


def conv(name: str, source: str, **config: Any) -> dict[str, Any]:
    settings = {"filters": 4, "kernel_size": [3, 3], "padding": "same", **config}
    return layer("Conv2D", name, [[source, 0, 0, {}]], **settings)


@pytest.mark.parametrize(
    "inbound",
    [
        [["c", 0, 0]],
        [["c", 0, 0, {}]],
        {"args": [tensor("c", None, 8, 8, 4)], "kwargs": {"mask": None}},
    ],
    ids=["Keras 1", "Keras 2", "Keras 3"],
)
def test_calls_in_three_spellings(inbound: Any) -> None:
    graph = graph_from_config(functional(X, conv("c", "x"), layer("ReLU", "r", inbound), out="r"))
    (call,) = graph.layers[-1].calls
    assert (call.inputs, dict(call.kwargs)) == (("c",), {})
    assert graph.output_shapes == ((None, 8, 8, 4),)
    assert (graph.inputs, graph.outputs) == (("x",), ("r",))


@pytest.mark.parametrize(
    "inbound",
    [
        [["c", 0, 0, {"training": False}]],
        {"args": [tensor("c", None, 8, 8, 4)], "kwargs": {"training": False}},
        {"args": [tensor("c", None, 8, 8, 4), False], "kwargs": {}},
    ],
)
def test_wired_training(inbound: Any) -> None:
    norm = layer("BatchNormalization", "b", inbound)
    graph = graph_from_config(functional(X, conv("c", "x"), norm, out="b"))
    assert graph.layers[-1].calls[0].kwargs["training"] is False
    assert batch_norms_from(graph)[0].wired_training is False


def test_operation_of_tf_keras_with_a_tensor_among_its_arguments() -> None:
    add = layer("TFOpLambda", "a", ["c", 0, 0, {"y": ["x", 0, 0]}], function="math.add")
    graph = graph_from_config(functional(X, conv("c", "x"), add, out="a"))
    assert graph.layers[-1].calls[0].inputs == ("c", "x")


def test_layers_out_of_order() -> None:
    graph = graph_from_config(functional(conv("d", "c"), conv("c", "x"), X, out="d"))
    assert [entry.name for entry in graph.layers] == ["d", "c", "x"]
    assert graph.output_shapes == ((None, 8, 8, 4),)


def test_a_loop_ends() -> None:
    graph = graph_from_config(functional(conv("a", "b"), conv("b", "a"), out="b"))
    assert len(graph.layers) == 2


def test_sequential_of_both_kinds() -> None:
    first = {
        "class_name": "Conv2D",
        "config": {"filters": 2, "kernel_size": 3, "batch_input_shape": [None, 9, 9, 1]},
    }
    last = {"class_name": "Flatten", "config": {"name": "flat"}}
    for config in ([first, last], {"name": "s", "layers": [first, last]}):
        graph = graph_from_config({"class_name": "Sequential", "config": config})
        assert graph.kind == "Sequential"
        assert graph.layers[1].calls[0].inputs == ("conv2d",)
        assert graph.input_shapes == ((None, 9, 9, 1),)
        assert graph.output_shapes == ((None, 98),)


def test_get_config_of_live_models_is_taken_as_it_is() -> None:
    inner = functional(X, conv("c", "x"), out="c")["config"]
    assert graph_from_config(inner).kind == "Functional"
    assert graph_from_config({"name": "s", "layers": []}).kind == "Sequential"
    assert graph_from_config({}).kind == "subclassed"


def test_freezing_a_model_freezes_what_is_in_it() -> None:
    inner = functional(X, conv("c", "x"), out="c", trainable=False) | {
        "name": "base",
        "inbound_nodes": [[["x", 0, 0, {}]]],
    }
    graph = graph_from_config(functional(X, inner, conv("h", "base"), out="h"))
    assert {entry.name: entry.trainable for entry in graph.layers} == {
        "x": True,
        "base": False,
        "base/x": False,
        "base/c": False,
        "h": True,
    }


def test_feeding_layer_through_padding_and_models() -> None:
    """conv → pad → BN, and conv in one nested model → BN in the next."""
    pad = layer("ZeroPadding2D", "p", [["c", 0, 0, {}]], padding=1)
    norm = layer("BatchNormalization", "b", [["p", 0, 0, {}]])
    first = functional(X, conv("c", "x", trainable=False), pad, norm, out="b")
    first |= {"name": "one", "inbound_nodes": [[["x", 0, 0, {}]]]}
    second = functional(X, layer("BatchNormalization", "b", [["x", 0, 0, {}]]), out="b")
    second |= {"name": "two", "inbound_nodes": [[["one", 1, 0, {"training": True}]]]}
    graph = graph_from_config(functional(X, first, second, out="two"))
    one, two = batch_norms_from(graph)
    assert (one.feeds_from, one.feeding_trainable, one.wired_training) == ("one/c", False, None)
    assert (two.feeds_from, two.wired_training) == ("one/b", True)
    assert one.channels == 4


def test_batch_norm_takes_its_weights_by_name() -> None:
    norm = layer("BatchNormalization", "b", [["x", 0, 0, {}]], epsilon=1e-5, momentum=0.9)
    mean = WeightFacts("b", "moving_mean", (3,), "float32", 3, 0, 0, 0, 0, 0, 3)
    (found,) = batch_norms_from(graph_from_config(functional(X, norm, out="b")), [mean])
    assert found.moving_mean is mean
    assert found.gamma is None
    assert (found.momentum, found.epsilon, found.channels) == (0.9, 1e-5, 3)


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        ({"activation": "softmax"}, "softmax"),
        ({"activation": {"class_name": "function", "config": "gate"}}, "gate"),
        ({"activation": {"class_name": "ReLU", "config": {}}}, "ReLU"),
        ({}, None),
    ],
)
def test_activation(config: dict[str, Any], activation: str | None) -> None:
    graph = graph_from_config(functional(X, conv("c", "x", **config), out="c"))
    assert graph.layers[1].activation == activation


def test_activation_layers_and_dtype() -> None:
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    relu = layer("ReLU", "r", [["x", 0, 0, {}]], max_value=6.0, dtype=policy)
    graph = graph_from_config(functional(X, relu, out="r"))
    assert (graph.layers[1].activation, graph.layers[1].dtype) == ("relu6", "mixed_float16")


@pytest.mark.parametrize(
    ("version", "flavour"),
    [
        ("1.2.2", "keras<=2.1.2"),
        ("2.1.2", "keras<=2.1.2"),
        ("2.1.3", "keras2.1.3-2.3.1"),
        ("2.3.1", "keras2.1.3-2.3.1"),
        ("2.2.4-tf", "tf_keras"),
        ("2.1.6-tf", "tf_keras"),
        ("2.4.0", "tf_keras"),
        ("2.15.0", "tf_keras"),
        ("3.0.0", "keras3"),
        (None, "keras3"),
        ("?", "keras3"),
    ],
)
def test_flavours(version: str | None, flavour: str) -> None:
    assert flavour_of(version) == flavour
    assert graph_from_config({}, version).flavour == flavour
