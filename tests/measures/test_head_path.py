"""The walk back from the output, on graphs written down as Keras writes them."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.model_facts import Call, GraphFacts, LayerFacts
from segdoctor.measures.head_path import head_path


def layer(name: str, class_name: str, *inputs: str, **more: Any) -> LayerFacts:
    shape = more.pop("output_shape", (None, 8, 8, 21))
    return LayerFacts(
        name, class_name, module="keras.layers", calls=(Call(inputs),), output_shape=shape, **more
    )


def graph(*layers: LayerFacts, kind: str = "Functional") -> GraphFacts:
    return GraphFacts(kind, layers, outputs=(layers[-1].name,))


INPUT = layer("input", "InputLayer", output_shape=(None, 8, 8, 3))
SCORES = layer("scores", "Conv2D", "input", activation="linear")


def activation(name: str, before: str, kind: str = "softmax") -> LayerFacts:
    return layer(name, "Activation", before, activation=kind)


def test_plain_logits() -> None:
    path = head_path(graph(INPUT, SCORES))
    assert path.activations == ()
    assert path.scores is SCORES
    assert path.complete


def test_softmax_in_the_convolution() -> None:
    conv = layer("conv", "Conv2D", "input", activation="softmax")
    (found,) = head_path(graph(INPUT, conv)).activations
    assert (found.layer, found.activation, found.axis_size) == ("conv", "softmax", 21)


def test_a_resize_behind_the_softmax() -> None:
    up = layer("up", "UpSampling2D", "probabilities")
    path = head_path(graph(INPUT, SCORES, activation("probabilities", "scores"), up))
    assert [a.activation for a in path.activations] == ["softmax"]
    assert path.layers_behind == ("up",)


def test_a_resize_before_the_softmax_is_not_behind_it() -> None:
    up = layer("up", "Resizing", "scores")
    path = head_path(graph(INPUT, SCORES, up, activation("probabilities", "up")))
    assert path.layers_behind == ()
    assert path.scores is SCORES


def test_nothing_stands_behind_logits() -> None:
    assert head_path(graph(INPUT, SCORES, layer("up", "Resizing", "scores"))).layers_behind == ()


def test_identity_and_linear_change_nothing() -> None:
    path = head_path(
        graph(
            INPUT,
            SCORES,
            activation("probabilities", "scores"),
            layer("same", "Identity", "probabilities"),
            activation("linear", "same", "linear"),
        )
    )
    assert path.layers_behind == ()
    assert len(path.activations) == 1


def test_twice_and_in_order() -> None:
    first, second = activation("one", "scores", "relu"), activation("two", "one")
    names = [a.activation for a in head_path(graph(INPUT, SCORES, first, second)).activations]
    assert names == ["relu", "softmax"]


def test_a_softmax_before_the_last_convolution_is_attention() -> None:
    attention = activation("attention", "input")
    conv = layer("conv", "Conv2D", "attention", activation="linear")
    assert head_path(graph(INPUT, attention, conv)).activations == ()


def test_a_merge_ends_the_walk() -> None:
    one, two = activation("one", "scores"), activation("two", "scores")
    mean = layer("mean", "Average", "one", "two")
    path = head_path(graph(INPUT, SCORES, one, two, mean))
    assert path.activations == ()


def test_into_a_nested_model_and_out_of_it() -> None:
    inner = (
        layer("net", "Functional", "input", config={"output_layers": [["probabilities", 0, 0]]}),
        layer("net/in", "InputLayer"),
        layer("net/scores", "Conv2D", "net/in", activation="linear"),
        layer("net/probabilities", "Softmax", "net/scores", activation="softmax"),
    )
    up = layer("up", "UpSampling2D", "net")
    path = head_path(graph(INPUT, *inner, up))
    assert [a.layer for a in path.activations] == ["net/probabilities"]
    assert path.layers_behind == ("up",)
    tail = (
        layer("tail", "Sequential", "scores"),
        LayerFacts("tail/up", "UpSampling2D", module="keras.layers", calls=(Call(()),)),
        layer("tail/softmax", "Softmax", "tail/up", activation="softmax"),
    )
    outer = GraphFacts("Functional", (INPUT, SCORES, *tail), outputs=("tail",))
    path = head_path(outer)
    assert [a.layer for a in path.activations] == ["tail/softmax"]
    assert path.scores is SCORES


@pytest.mark.parametrize(
    "operation",
    [
        LayerFacts("op", "Softmax", module="keras.src.ops.nn", calls=(Call(("scores",)),)),
        LayerFacts(
            "op",
            "TFOpLambda",
            module="keras.layers",
            config={"function": "nn.softmax"},
            calls=(Call(("scores",)),),
        ),
    ],
    ids=["Keras 3", "tf.keras"],
)
def test_an_operation_without_a_layer(operation: LayerFacts) -> None:
    (found,) = head_path(graph(INPUT, SCORES, operation)).activations
    assert found.activation == "softmax"


def test_what_is_not_known() -> None:
    for unknown in (None, GraphFacts("subclassed", ()), GraphFacts("weights only", (SCORES,))):
        assert head_path(unknown) == head_path(None)
    own = LayerFacts("own", "MyHead", module="train", calls=(Call(("scores",)),))
    assert not head_path(graph(INPUT, SCORES, own)).complete


def test_a_layer_of_the_users_own_is_no_known_score() -> None:
    own = LayerFacts("own", "Flat", module=None, calls=(Call(("scores",)),))
    assert not head_path(graph(INPUT, SCORES, own)).complete
    old = LayerFacts("old", "Convolution2D", module=None, calls=(Call(("input",)),))
    assert head_path(graph(INPUT, old)).complete  # old files name no module


@pytest.mark.parametrize(("kind", "complete"), [("linear", True), ("sigmoid", False)])
def test_a_merge_gives_scores_where_all_of_its_branches_do(kind: str, complete: bool) -> None:
    other = layer("other", "Conv2D", "input", activation=kind)
    once = layer("once", "Add", "scores", "other")
    assert head_path(graph(INPUT, SCORES, other, once)).complete == complete
    twice = layer("twice", "Average", "once", "scores")
    assert head_path(graph(INPUT, SCORES, other, once, twice)).complete == complete
