"""The table of a model file, and its plain values."""

from __future__ import annotations

import io
import json
import math

from rich.console import Console

from segdoctor.core.model_facts import (
    BatchNormFacts,
    Call,
    CodeItem,
    CompileFacts,
    GraphFacts,
    LayerFacts,
    ModelFacts,
    WeightFacts,
)
from segdoctor.report.inspect_text import facts_to_plain, inspect_text


def statistics(layer: str, name: str, value: float) -> WeightFacts:
    return WeightFacts(layer, name, (4,), "float32", 4, 0, value, 0.0, value, value, 0)


def facts(layers: int = 3, **changes: object) -> ModelFacts:
    entries = tuple(
        LayerFacts(
            f"block_{index // 8}_conv{index}",
            "Conv2D",
            trainable=index > layers // 2,
            activation="relu",
            calls=(Call(("x",), {"training": False}),),
            output_shape=(None, None, 8, 4),
            parameters=10,
        )
        for index in range(layers)
    )
    norm = BatchNormFacts(
        *("bn", "BatchNormalization", True, False, 0.99, 1e-3, 4),
        moving_mean=statistics("bn", "moving_mean", 0),
        moving_variance=statistics("bn", "moving_variance", 1),
    )
    values = {
        "path": "net.h5",
        "format": "h5",
        "bytes": 2_000_000,
        "graph": GraphFacts("Functional", entries, keras_version="2.3.1", flavour="tf_keras"),
        "weights": (statistics("bn", "gamma", math.nan),),
        "batch_norms": (norm,),
        "compiled": CompileFacts("mse", False, None, {}, "Adam", 1e-3, metrics=("accuracy",)),
    }
    return ModelFacts(**{**values, **changes})  # type: ignore[arg-type]


def text(found: ModelFacts, verbose: bool = False) -> str:
    sink = io.StringIO()
    Console(file=sink, width=100, color_system=None).print(inspect_text(found, verbose))
    return sink.getvalue()


def test_header() -> None:
    shown = text(facts())
    for part in ("net.h5", "2.3.1", "mse, from_logits=False", "Adam at 0.001", "accuracy"):
        assert part in shown
    assert "1 layer, 1 trainable; 1 with training=False wired in; 1 at default" in shown
    assert "2 of 3 layers with weights" in shown


def test_long_models_are_told_by_blocks() -> None:
    short, long = text(facts(200)), text(facts(200), verbose=True)
    assert "block_3 " in short
    assert "--verbose" in short
    assert len(short.splitlines()) < 60 < 200 < len(long.splitlines())


def test_nothing_of_a_stranger_reaches_the_terminal() -> None:
    layer = LayerFacts("evil\x1b[31m[red]x[/red]", "C\x9bonv2D")
    graph = GraphFacts("Functional", (layer,))
    code = (CodeItem("lambda bytecode", "L\x1b]0;t\x07", "here"),)
    shown = text(facts(graph=graph, code=code))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "[red]x[/red]" in shown  # no markup either


def test_plain_values_are_json_without_nan() -> None:
    plain = facts_to_plain(facts())
    document = json.dumps(plain, allow_nan=False)
    assert plain["weights"][0]["mean"] is None
    assert plain["layers"][0]["calls"] == [{"inputs": ["x"], "kwargs": {"training": False}}]
    assert json.loads(document)["batch_norms"][0]["moving_variance"]["mean"] == 1


def test_plain_values_are_clean() -> None:
    layer = LayerFacts("a\x1b", "C", config={"k\x1b": ["v\x1b", float("inf"), {1: object()}]})
    document = json.dumps(facts_to_plain(facts(graph=GraphFacts("Functional", (layer,)))))
    assert "\\u001b" not in document
