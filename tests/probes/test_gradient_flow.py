"""GRAD probes on hand-made gradients. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import GradientFacts, HeadFacts, ModeFacts
from segdoctor.core.model_facts import Call, CompileFacts, GraphFacts, LayerFacts, WeightFacts
from segdoctor.core.network_facts import ActivationFacts
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.probes.gradient_flow import GradientNotFinite, NoGradientPath
from segdoctor.probes.gradient_scale import GradientExplodes, GradientVanishes
from segdoctor.probes.trainable_head import NothingToTrain

NAMES = [f"conv{i}" for i in range(8)]


def chain(names: list[str], **changes: object) -> GraphFacts:
    layers = tuple(
        LayerFacts(name, "Conv2D", trainable=True, calls=(Call((names[i - 1],) if i else ()),))
        for i, name in enumerate(names)
    )
    facts = GraphFacts("Functional", layers, inputs=(names[0],), outputs=(names[-1],))
    return replace(facts, **changes)  # type: ignore[arg-type]


def gradients(norms: list[float | None], variable: str = "kernel") -> tuple[GradientFacts, ...]:
    last = max(len(norms) - 1, 1)
    return tuple(
        GradientFacts(name, variable, place / last, 100, True, norm, 1.0)
        for place, (name, norm) in enumerate(zip(NAMES, norms, strict=False))
    )


def answer(probe: Probe, **fields: object) -> list[str]:
    outcome = examine(probe, Trace(fields))
    assert outcome.status != "crashed", outcome.reason
    return [finding.severity for finding in outcome.findings] or [outcome.status]


STEPS = {
    "flat": [1.0] * 8,
    "a new net with BN grows towards the input": [60.0, 20.0, 10.0, 5.0, 3.0, 2.0, 1.0, 1.0],
    "falls by three": [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 1.0],
    "falls by six": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 1.0],
    "zero in front": [0.0, 0.0, 0.0, 0.0, 0.1, 1.0, 1.0, 1.0],
    "one branch at zero": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0],
    "small everywhere": [1e-9] * 8,
    "grows by six": [1e6, 1e6, 1e4, 1e3, 1e2, 10.0, 1.0, 1.0],
}


@pytest.mark.parametrize("name", STEPS)
def test_vanishing(name: str) -> None:
    sick = name in ("falls by six", "zero in front")
    assert answer(GradientVanishes(), gradients=gradients(STEPS[name])) == (
        ["error"] if sick else ["clear"]
    )


@pytest.mark.parametrize("name", STEPS)
def test_exploding(name: str) -> None:
    sick = name == "grows by six"
    assert answer(GradientExplodes(), gradients=gradients(STEPS[name])) == (
        ["error"] if sick else ["clear"]
    )


def test_features_that_fade_explode_nowhere() -> None:
    """Kernels drawn far too small: the head's bias has a gradient, and no kernel has one."""
    norms: list[float | None] = [1e-1, 1e-2, 1e-4, 1e-6, 1e-7, 1e-7, 1e-7, 1e-7]
    bias = GradientFacts(NAMES[-1], "bias", 1.0, 4, True, 1.0, 0.0)
    facts = (*gradients(norms), bias)
    assert answer(GradientVanishes(), gradients=facts) == ["error"]
    assert answer(GradientExplodes(), gradients=facts) == ["clear"]
    assert answer(GradientExplodes(), gradients=gradients(norms)) == ["error"]
    large = (*gradients([500.0, *norms[1:]]), bias)
    assert answer(GradientExplodes(), gradients=large) == ["error"]


def test_biases_do_not_count() -> None:
    biases = gradients([1e-12] * 8, "bias")
    assert answer(GradientVanishes(), gradients=(*biases, *gradients([1.0] * 8))) == ["clear"]


def headed(kernel: float, bias: float, weight: float = 5.0) -> tuple[GradientFacts, ...]:
    """Eight kernels and a head whose kernel and bias have these gradients."""
    body = gradients([1.0] * 8)
    head = GradientFacts("head", "kernel", 1.0, 100, True, kernel, weight)
    return (
        *(replace(fact, depth=0.9 * fact.depth) for fact in body),
        head,
        replace(head, variable="bias", norm=bias, weight_norm=0.0),
    )


def test_features_that_fade_and_a_head_that_starts_near_zero() -> None:
    assert answer(GradientVanishes(), gradients=headed(2e-7, 1.0, 0.005)) == ["error"]
    assert answer(GradientVanishes(), gradients=headed(0.4, 1.0)) == ["clear"]
    # Drawn with a deviation of 1e-8: the others get next to nothing, for one step.
    small = [replace(fact, norm=1e-8) for fact in headed(0.4, 1.0)[:8]]
    near_zero = (*small, *headed(0.4, 1.0, 1e-6)[8:])
    assert answer(GradientVanishes(), gradients=near_zero) == ["clear"]


def test_values_that_blow_up() -> None:
    logits = HeadFacts((2, 8, 8, 4), 4, 3, "logits", -2600.0, 900.0, 3.0)
    assert answer(GradientExplodes(), gradients=headed(300.0, 1.0), head=logits) == ["error"]
    # A new net with batch normalisation: large scores in prediction, and not where it trains.
    trains = {"head": logits, "y_train": np.full((2, 8, 8, 4), 3.0)}
    assert answer(GradientExplodes(), gradients=headed(3.0, 1.0), **trains) == ["clear"]
    features = (ActivationFacts("relu", "relu", 0.9, 4e4, 4e4, 0.0, 0.0, 8, 64),)
    assert answer(GradientExplodes(), gradients=headed(3e5, 1.0), activations=features) == ["error"]
    # The gradient of a bias may cancel out.
    assert answer(GradientExplodes(), gradients=headed(1.0, 1e-8)) == ["clear"]
    raw = replace(logits, minimum=-880.0)  # images of 0 … 255 in a net without normalisation
    assert answer(GradientExplodes(), gradients=headed(110.0, 1.0), head=raw) == ["clear"]


def test_dead_features_and_a_head_that_starts_at_zero() -> None:
    bias = replace(gradients([1.0] * 8, "bias")[-1], norm=0.3)
    dead = (*gradients([0.0] * 8), bias)
    assert answer(GradientVanishes(), gradients=dead) == ["error"]
    head = replace(dead[7], norm=0.5, weight_norm=0.0)
    assert answer(GradientVanishes(), gradients=(*dead[:7], head, bias)) == ["clear"]
    saturated = (*gradients([0.0] * 8), replace(bias, norm=0.0))
    assert answer(GradientVanishes(), gradients=saturated) == ["clear"]  # GRAD006, not depth


def test_clipping_that_eats_the_gradient() -> None:
    clipped = CompileFacts(optimizer="SGD", optimizer_config={"clipnorm": 1.0})
    huge = gradients([1e4] * 8)
    assert answer(GradientExplodes(), gradients=huge, compiled=clipped) == ["warning"]
    assert answer(GradientExplodes(), gradients=gradients([5.0] * 8), compiled=clipped) == ["clear"]
    assert answer(GradientExplodes(), gradients=huge, compiled=CompileFacts()) == ["clear"]


def test_no_path() -> None:
    cut: list[float | None] = [None, None, None, 1.0, 1.0, 1.0, 1.0, 1.0]
    graph = chain(NAMES)
    outcome = examine(NoGradientPath(), Trace({"gradients": gradients(cut), "graph": graph}))
    assert outcome.findings[0].evidence[2].value == "conv2"
    assert answer(NoGradientPath(), gradients=gradients([1.0] * 8), graph=graph) == ["clear"]
    whole: list[float | None] = [None] * 8
    assert answer(NoGradientPath(), gradients=gradients(whole), graph=graph) == ["error"]


def test_no_path_by_design() -> None:
    frozen = tuple(replace(fact, trainable=False, norm=None) for fact in gradients([1.0] * 8))
    assert answer(NoGradientPath(), gradients=frozen, graph=chain(NAMES)) == ["clear"]
    spare: list[float | None] = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, None]
    off_path = chain(NAMES, outputs=("conv6",))
    assert answer(NoGradientPath(), gradients=gradients(spare), graph=off_path) == ["clear"]
    # A second output that no loss looks at.
    forked = chain(NAMES, outputs=("conv6", "conv7"))
    assert answer(NoGradientPath(), gradients=gradients(spare), graph=forked) == ["clear"]
    # Of a subclassed net the calls are not known: a part kept for later is no fault.
    unknown = GraphFacts("subclassed", tuple(LayerFacts(name, "Conv2D") for name in NAMES))
    assert answer(NoGradientPath(), gradients=gradients(spare), graph=unknown) == ["clear"]
    most: list[float | None] = [None, None, None, None, None, None, 1.0, 1.0]
    assert answer(NoGradientPath(), gradients=gradients(most), graph=unknown) == ["error"]


def test_not_finite() -> None:
    facts = list(gradients([1.0] * 8))
    assert answer(GradientNotFinite(), gradients=tuple(facts)) == ["clear"]
    facts[:3] = [replace(fact, finite=False) for fact in facts[:3]]
    outcome = examine(GradientNotFinite(), Trace({"gradients": tuple(facts)}))
    assert "conv2" in outcome.findings[0].message
    modes = ModeFacts(0.0, 0.0, loss_training=math.nan)
    outcome = examine(GradientNotFinite(), Trace({"gradients": tuple(facts), "modes": modes}))
    assert "the loss itself" in outcome.findings[0].message


def weights(names: list[str], drawn: bool = True) -> tuple[WeightFacts, ...]:
    std = (2 / (9 * 32)) ** 0.5 * (1.0 if drawn else 0.5)
    far = 1.7 * std
    return tuple(
        WeightFacts(name, "kernel", (3, 3, 16, 16), "float32", 2304, 0, 0.0, std, -far, far, 0)
        for name in names
    )


def flags(graph: GraphFacts, frozen: set[str]) -> GraphFacts:
    return replace(
        graph,
        layers=tuple(replace(layer, trainable=layer.name not in frozen) for layer in graph.layers),
    )


def test_nothing_to_train() -> None:
    graph, probe = chain(NAMES), NothingToTrain()
    assert answer(probe, graph=graph, weights=weights(NAMES)) == ["clear"]
    assert answer(probe, graph=flags(graph, set(NAMES)), weights=weights(NAMES)) == ["error"]
    assert answer(probe, graph=flags(graph, set(NAMES[:5])), weights=weights(NAMES)) == ["clear"]
    head = flags(graph, {"conv7"})
    assert answer(probe, graph=head, weights=weights(NAMES)) == ["error"]
    assert answer(probe, graph=head, weights=weights(NAMES, drawn=False)) == ["warning"]
    fixed = replace(
        head,
        layers=(*head.layers[:7], replace(head.layers[7], class_name="Conv2DTranspose")),
    )
    assert answer(probe, graph=fixed, weights=weights(NAMES)) == ["clear"]
    assert answer(probe, graph=graph, weights=()) == ["not examined"]
