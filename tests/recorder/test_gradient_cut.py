"""What keeps the gradient from a weight: an operation, or that nothing uses what it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import GradientFacts
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.network_facts import CutOperation
from segdoctor.core.trace import Trace
from segdoctor.probes.gradient_flow import NoGradientPath
from segdoctor.probes.graph_path import NoGradientOperation
from segdoctor.recorder.gradient_cut import cutting_operations

X = np.zeros((1, 8, 8, 3), np.float32)


def net(keras: Any, way: str) -> Any:
    layers, ops = keras.layers, keras.ops

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.skip, self.kept = (layers.Conv2D(4, 1, name=n) for n in ("a", "s", "k"))
            self.head = layers.Conv2D(2, 1, name="head")
            self.kept.build((None, 8, 8, 4))

        def call(self, x: Any) -> Any:
            x = self.a(x)
            skip = self.skip(x)
            if way == "rounded":
                skip = ops.round(skip)
            return self.head(x if way == "left over" else ops.concatenate([x, skip], -1))

    model = Net()
    model(X)
    return model


@pytest.mark.parametrize(
    ("way", "wanted"),
    [("left over", [("", "s")]), ("rounded", [("Round", "")]), ("connected", [])],
)
def test_what_cuts(way: str, wanted: list[tuple[str, str]]) -> None:
    keras = pytest.importorskip("keras")
    model = net(keras, way)
    without = [*model.skip.variables, *model.kept.variables]
    found = cutting_operations(model, X, [variable.value for variable in without])
    assert isinstance(found, tuple)
    assert [(cut.operation, cut.layer) for cut in found] == wanted


def test_what_is_said_of_it() -> None:
    def facts(layer: str, norm: float | None) -> GradientFacts:
        return GradientFacts(layer, "kernel", 0.5, 100, True, norm, 1.0)

    trace = {
        "graph": GraphFacts("subclassed", ()),
        "gradients": (facts("a", 1.0), facts("s", None), facts("head", 1.0)),
    }
    for cut, statuses, severities in (
        ((CutOperation("", "s", "s"),), ("fired", "clear"), ["warning"]),
        ((CutOperation("Round", "s", "s/Round"),), ("fired", "fired"), ["error"]),
        ((), ("clear", "clear"), []),
    ):
        outcomes = [
            examine(probe, Trace({**trace, "gradient_cut": cut}))
            for probe in (NoGradientPath(), NoGradientOperation())
        ]
        assert tuple(outcome.status for outcome in outcomes) == statuses
        assert [finding.severity for finding in outcomes[0].findings] == severities
