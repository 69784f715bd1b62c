"""A net that bends nowhere, told from those that do."""

from __future__ import annotations

from typing import Any

from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.measures.graph_config import graph_from_config
from segdoctor.probes.graph_design import LinearStack

from .test_graph_config import X, conv, functional, layer


def status(bend: str, *, middle: str = "UpSampling2D", **config: Any) -> str:
    """A small U-Net: no two of its convolutions follow each other in one line."""
    call = lambda *sources: [[source, 0, 0, {}] for source in sources]  # noqa: E731
    graph = graph_from_config(
        functional(
            X,
            conv("a", "x", activation=bend),
            layer("MaxPooling2D", "down", call("a")),
            conv("b", "down"),
            layer("BatchNormalization", "norm", call("b")),
            layer("Activation", "bend", call("norm"), activation=bend),
            layer(middle, "up", call("bend")),
            layer("Concatenate", "skip", call("up", "a")),
            conv("c", "skip", **config),
            conv("head", "c", kernel_size=[1, 1]),
            layer("Activation", "scores", call("head"), activation="softmax"),
            out="scores",
        ),
        "3.0.0",
    )
    return examine(LinearStack(), Trace({"graph": graph})).status


def test_a_net_without_any_activation() -> None:
    assert status("linear") == "fired"
    assert status("relu") == "clear"
    # The softmax of the head is none of the net's; a layer that is not known may bend.
    assert status("linear", activation="relu") == "clear"
    assert status("linear", middle="MyUpSampling") == "clear"
