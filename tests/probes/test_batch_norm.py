"""BN probes on hand-made facts: sick, healthy twin, look-alike. No TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import BatchNormObserved, Declared, ModeFacts
from segdoctor.core.model_facts import BatchNormFacts, Call, GraphFacts, LayerFacts, WeightFacts
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.probes.batch_norm import (
    FrozenUsesBatchStatistics,
    TrainableForcedInference,
    TrainInferenceGap,
    WiredModeOverridden,
)
from segdoctor.probes.batch_norm_degenerate import Degenerate
from segdoctor.probes.batch_norm_statistics import (
    BatchTooSmall,
    StatisticsAtDefault,
    StatisticsStale,
)
from segdoctor.probes.freeze_boundary import FreezeSplitsBlock, freeze_border, shared_module
from segdoctor.probes.weights import WeightsNeverLoaded

STD = (2 / (9 * 16 + 9 * 32)) ** 0.5  # Glorot uniform for (3, 3, 16, 32)


def weight(layer: str, name: str, low: float, high: float, **changes: Any) -> WeightFacts:
    whole = WeightFacts(
        layer, name, (32,), "float32", 32, 0, (low + high) / 2, (high - low) / 3, low, high, 0
    )
    return replace(whole, **changes)


def kernel(layer: str, *, drawn: bool) -> WeightFacts:
    reach = STD * 3**0.5
    spread = STD if drawn else 0.6 * STD
    far = 0.999 * reach if drawn else 1.7 * reach
    return WeightFacts(
        layer, "kernel", (3, 3, 16, 32), "float32", 4608, 0, 0.0, spread, -far, far, 0
    )


def norm(layer: str = "bn", **changes: Any) -> BatchNormFacts:
    """A trained batch normalisation with sound statistics."""
    sound = BatchNormFacts(
        layer=layer,
        class_name="BatchNormalization",
        trainable=True,
        wired_training=None,
        momentum=0.99,
        epsilon=1e-3,
        channels=32,
        feeds_from="conv",
        feeding_trainable=True,
        gamma=weight(layer, "gamma", 0.4, 1.8),
        beta=weight(layer, "beta", -1.0, 1.0),
        moving_mean=weight(layer, "moving_mean", -2.0, 2.0),
        moving_variance=weight(layer, "moving_variance", 0.1, 3.0),
    )
    return replace(sound, **changes)


def reset(fact: BatchNormFacts) -> BatchNormFacts:
    return replace(
        fact,
        moving_mean=weight(fact.layer, "moving_mean", 0.0, 0.0),
        moving_variance=weight(fact.layer, "moving_variance", 1.0, 1.0),
    )


def new(fact: BatchNormFacts) -> BatchNormFacts:
    return replace(
        reset(fact),
        gamma=weight(fact.layer, "gamma", 1.0, 1.0),
        beta=weight(fact.layer, "beta", 0.0, 0.0, zeros=32),
    )


def seen(layer: str = "bn", **changes: Any) -> BatchNormObserved:
    """A trainable layer that does what it should."""
    sound = BatchNormObserved(layer, True, "batch", "moving", True, 0.2, 0.1, 0.1, 0.0, 0.0, 256)
    return replace(sound, **changes)


def graph(*layers: LayerFacts, **changes: Any) -> GraphFacts:
    layers = layers or (
        LayerFacts("conv", "Conv2D", trainable=True, config={"use_bias": False}, parameters=4608),
        LayerFacts("bn", "BatchNormalization", trainable=True, parameters=128),
    )
    return replace(GraphFacts("Functional", layers), **changes)


def codes(probe: Probe, **fields: object) -> list[str]:
    outcome = examine(probe, Trace(fields))
    assert outcome.status != "crashed", outcome.reason
    return [finding.severity for finding in outcome.findings] or [outcome.status]


# Each row: probe, fields, what it answers.
FROZEN = seen(trainable=False, training_mode="batch", moved=False)
CASES: list[tuple[str, Probe, dict[str, object], list[str]]] = [
    (
        "frozen layer on batch statistics",
        FrozenUsesBatchStatistics(),
        {"graph": graph(), "batch_norms": (norm(trainable=False),), "bn_observed": (FROZEN,)},
        ["error"],
    ),
    (
        "frozen layer on stored statistics",
        FrozenUsesBatchStatistics(),
        {
            "graph": graph(flavour="keras<=2.1.2"),
            "batch_norms": (norm(trainable=False),),
            "bn_observed": (replace(FROZEN, training_mode="moving"),),
        },
        ["clear"],
    ),
    (
        "a file of old Keras without data",
        FrozenUsesBatchStatistics(),
        {"graph": graph(flavour="keras2.1.3-2.3.1"), "batch_norms": (norm(trainable=False),)},
        ["error"],
    ),
    (
        "a file of old Keras, nothing frozen",
        FrozenUsesBatchStatistics(),
        {"graph": graph(flavour="keras2.1.3-2.3.1"), "batch_norms": (norm(),)},
        ["clear"],
    ),
    (
        "a file of today without data",
        FrozenUsesBatchStatistics(),
        {"graph": graph(), "batch_norms": (norm(trainable=False),)},
        ["not examined"],
    ),
    (
        "two examples",
        BatchTooSmall(),
        {"bn_observed": (seen(),), "declared": Declared(batch_size=2)},
        ["warning"],
    ),
    (
        "one example behind global pooling",
        BatchTooSmall(),
        {"bn_observed": (seen(values_per_example=1),), "declared": Declared(batch_size=1)},
        ["error"],
    ),
    (
        "eight examples",
        BatchTooSmall(),
        {"bn_observed": (seen(),), "declared": Declared(batch_size=8)},
        ["clear"],
    ),
    (
        "frozen layers do not look at the batch",
        BatchTooSmall(),
        {"bn_observed": (seen(training_mode="moving"),), "declared": Declared(batch_size=1)},
        ["clear"],
    ),
    (
        "the batch size is not known",
        BatchTooSmall(),
        {"bn_observed": (seen(),), "declared": Declared()},
        ["not examined"],
    ),
    ("a true gap", TrainInferenceGap(), {"modes": ModeFacts(0.9, 0.8, "bn")}, ["error"]),
    ("mere lag", TrainInferenceGap(), {"modes": ModeFacts(0.9, 0.01, "bn")}, ["clear"]),
    ("no gap", TrainInferenceGap(), {"modes": ModeFacts(0.0, 0.0)}, ["clear"]),
    (
        "reset beside trained gammas",
        StatisticsAtDefault(),
        {"graph": graph(), "weights": (), "batch_norms": (reset(norm()),)},
        ["error"],
    ),
    (
        "a new net",
        StatisticsAtDefault(),
        {
            "graph": graph(),
            "weights": (kernel("conv", drawn=True),),
            "batch_norms": (new(norm()),),
        },
        ["clear"],
    ),
    (
        "new, with gammas that start at zero",
        StatisticsAtDefault(),
        {
            "graph": graph(
                LayerFacts("bn", "BatchNormalization", config={"gamma_initializer": "zeros"})
            ),
            "weights": (),
            "batch_norms": (replace(new(norm()), gamma=weight("bn", "gamma", 0.0, 0.0, zeros=32)),),
        },
        ["clear"],
    ),
    (
        "frozen, kernels loaded and nothing of the BN",
        StatisticsAtDefault(),
        {
            "graph": graph(),
            "weights": (kernel("conv", drawn=False),),
            "batch_norms": (new(norm(trainable=False, feeding_trainable=False)),),
        },
        ["error"],
    ),
    (
        "frozen, nothing loaded at all: that is MDL003",
        StatisticsAtDefault(),
        {
            "graph": graph(),
            "weights": (kernel("conv", drawn=True),),
            "batch_norms": (new(norm(trainable=False, feeding_trainable=False)),),
        },
        ["clear"],
    ),
    (
        "trained and loaded",
        StatisticsAtDefault(),
        {"graph": graph(), "weights": (), "batch_norms": (norm(),)},
        ["clear"],
    ),
    (
        "another range, first layer of a net in training mode",
        StatisticsStale(),
        {
            "batch_norms": (norm(),),
            "bn_observed": (
                seen(
                    mean_gap=70.0,
                    variance_gap=4.1,
                    mean_gap_beyond_lag=0.2,
                    variance_gap_beyond_lag=0.7,
                ),
            ),
        },
        ["error"],
    ),
    (
        "frozen layer without variance: that is BN008",
        StatisticsStale(),
        {
            "batch_norms": (
                replace(
                    norm(trainable=False), moving_variance=weight("bn", "moving_variance", 0.0, 0.0)
                ),
            ),
            "bn_observed": (
                seen(trainable=False, training_mode="moving", mean_gap=9e5, variance_gap=12.0),
            ),
        },
        ["clear"],
    ),
    (
        "lag explains it",
        StatisticsStale(),
        {
            "batch_norms": (norm(),),
            "bn_observed": (
                seen(
                    mean_gap=5.0,
                    variance_gap=1.1,
                    mean_gap_beyond_lag=0.07,
                    variance_gap_beyond_lag=0.1,
                ),
            ),
        },
        ["clear"],
    ),
    (
        "frozen layer, another range",
        StatisticsStale(),
        {
            "batch_norms": (norm(trainable=False),),
            "bn_observed": (
                seen(trainable=False, training_mode="moving", mean_gap=9.0, variance_gap=0.2),
            ),
        },
        ["error"],
    ),
    (
        "frozen layer, same data",
        StatisticsStale(),
        {
            "batch_norms": (norm(trainable=False),),
            "bn_observed": (seen(trainable=False, training_mode="moving", mean_gap=0.8),),
        },
        ["clear"],
    ),
    (
        "at default: BN004 or MDL003, not this",
        StatisticsStale(),
        {
            "batch_norms": (reset(norm(trainable=False)),),
            "bn_observed": (seen(trainable=False, training_mode="moving", variance_gap=4.0),),
        },
        ["clear"],
    ),
    (
        "trainable in inference mode, statistics astray",
        TrainableForcedInference(),
        {"bn_observed": (seen(training_mode="moving", moved=False, variance_gap=2.0),)},
        ["warning"],
    ),
    (
        "the recipe on a pretrained base",
        TrainableForcedInference(),
        {"bn_observed": (seen(training_mode="moving", moved=False),)},
        ["info"],
    ),
    ("follows fit", TrainableForcedInference(), {"bn_observed": (seen(),)}, ["clear"]),
    (
        "wired to inference, overridden",
        WiredModeOverridden(),
        {"batch_norms": (norm(wired_training=False),), "bn_observed": (seen(),)},
        ["error"],
    ),
    (
        "wired to inference and kept: BN006",
        WiredModeOverridden(),
        {
            "batch_norms": (norm(wired_training=False),),
            "bn_observed": (seen(training_mode="moving"),),
        },
        ["clear"],
    ),
    (
        "wired to inference and frozen",
        WiredModeOverridden(),
        {
            "batch_norms": (norm(wired_training=False, trainable=False),),
            "bn_observed": (seen(trainable=False, training_mode="moving"),),
        },
        ["clear"],
    ),
    (
        "gamma zero",
        Degenerate(),
        {
            "graph": graph(),
            "batch_norms": (norm(gamma=weight("bn", "gamma", 0.0, 0.0, zeros=32)),),
        },
        ["error"],
    ),
    (
        "NaN in the variance",
        Degenerate(),
        {
            "graph": graph(),
            "batch_norms": (
                norm(moving_variance=weight("bn", "moving_variance", 0.1, 1.0, not_finite=3)),
            ),
        },
        ["error"],
    ),
    (
        "a few dead channels",
        Degenerate(),
        {
            "graph": graph(),
            "batch_norms": (norm(moving_variance=weight("bn", "moving_variance", 0.0, 2.0)),),
        },
        ["clear"],
    ),
]


@pytest.mark.parametrize(
    ("probe", "fields", "answer"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_table(probe: Probe, fields: dict[str, object], answer: list[str]) -> None:
    assert codes(probe, **fields) == answer


def frozen_up_to(names: list[str], last: str) -> GraphFacts:
    border = names.index(last)
    return graph(
        *(
            LayerFacts(
                name,
                "BatchNormalization" if name.endswith("BN") else "Conv2D",
                trainable=place > border,
                config={"use_bias": False},
                parameters=10,
            )
            for place, name in enumerate(names)
        )
    )


def norms_of(facts: GraphFacts) -> tuple[BatchNormFacts, ...]:
    found = []
    for before, layer in zip(facts.layers, facts.layers[1:], strict=False):
        if layer.name.endswith("BN"):
            found.append(
                norm(
                    layer.name,
                    trainable=layer.trainable,
                    feeds_from=before.name,
                    feeding_trainable=before.trainable,
                )
            )
    return tuple(found)


XCEPTION = [
    "exit_flow_block2_separable_conv2_pointwise",
    "exit_flow_block2_separable_conv2_pointwise_BN",
    "exit_flow_block2_separable_conv3_depthwise",
    "exit_flow_block2_separable_conv3_depthwise_BN",
    "exit_flow_block2_separable_conv3_pointwise",
    "exit_flow_block2_separable_conv3_pointwise_BN",
    "image_pooling",
    "image_pooling_BN",
]


@pytest.mark.parametrize(
    ("last", "fires"),
    [
        (XCEPTION[1], False),  # between two numbered convolutions
        (XCEPTION[2], True),  # the convolution frozen, its BN not
        (XCEPTION[3], True),  # layers[:356] at output stride 16
        (XCEPTION[5], False),  # layers[:356] at output stride 8
    ],
)
def test_a_border_by_index(last: str, fires: bool) -> None:
    facts = frozen_up_to(XCEPTION, last)
    answer = codes(FreezeSplitsBlock(), graph=facts, batch_norms=norms_of(facts))
    assert answer == (["warning"] if fires else ["clear"])


@pytest.mark.parametrize(
    ("names", "fires"),
    [
        (["stem", "conv1", "conv1_BN", "head"], True),
        (["stem", "Conv1", "bn_Conv1_BN", "head"], True),
        (["block5_conv2", "block5_conv3", "mine_BN", "head"], False),  # a new one on an old net
        (["stem", "conv1", "conv12_BN", "head"], False),
    ],
)
def test_a_batch_norm_is_known_by_its_convolutions_name(names: list[str], fires: bool) -> None:
    facts = frozen_up_to(names, names[1])
    with_bias = graph(*(replace(layer, config={}) for layer in facts.layers))
    answer = codes(FreezeSplitsBlock(), graph=with_bias, batch_norms=norms_of(with_bias))
    assert answer == (["warning"] if fires else ["clear"])


def test_all_batch_norms_frozen_is_a_choice() -> None:
    facts = graph(
        *(
            LayerFacts(name, "Conv2D", trainable=not name.endswith("BN"), parameters=10)
            for name in XCEPTION
        )
    )
    assert codes(FreezeSplitsBlock(), graph=facts, batch_norms=norms_of(facts)) == ["clear"]


def test_only_batch_norms_train_in_a_frozen_encoder() -> None:
    facts = graph(
        *(
            LayerFacts(
                name,
                "Conv2D",
                trainable=name.endswith("BN") or "image" in name,
                config={"use_bias": False},
                parameters=10,
            )
            for name in XCEPTION
        )
    )
    assert codes(FreezeSplitsBlock(), graph=facts, batch_norms=norms_of(facts)) == ["warning"]


@pytest.mark.parametrize(
    ("one", "other", "module"),
    [
        ("block_13_expand_BN", "block_13_depthwise", "block_13_"),
        ("block_12_project_BN", "block_13_expand", ""),
        ("conv4_block3_3_bn", "conv4_block4_1_conv", ""),
        ("conv2d_5", "conv2d_6", ""),
        ("conv2d_5", "batch_normalization_5", ""),
        ("exit_flow_block2_separable_conv3_pointwise_BN", "aspp0", ""),
        ("backbone/stage3_conv", "backbone/stage3_bn", "backbone/stage3_"),
    ],
)
def test_modules_by_name(one: str, other: str, module: str) -> None:
    assert shared_module(one, other) == module


def test_no_border_where_frozen_and_trainable_are_mixed() -> None:
    facts = graph(
        *(LayerFacts(str(i), "Conv2D", trainable=i % 2 == 0, parameters=1) for i in range(4))
    )
    assert freeze_border(facts) is None


def never_loaded(drawn: list[bool], trainable: bool) -> list[str]:
    names = [f"conv{i}" for i in range(len(drawn))]
    facts = graph(
        *(
            LayerFacts(name, "Conv2D", trainable=trainable, calls=(Call(()),), parameters=4608)
            for name in names
        )
    )
    weights = tuple(kernel(name, drawn=d) for name, d in zip(names, drawn, strict=True))
    return codes(WeightsNeverLoaded(), graph=facts, weights=weights)


def test_frozen_kernels_as_drawn() -> None:
    assert never_loaded([True] * 4, trainable=False) == ["error"]
    assert never_loaded([True, True, False, False], trainable=False) == ["error"]
    assert never_loaded([False] * 4, trainable=False) == ["clear"]
    assert never_loaded([True] * 4, trainable=True) == ["clear"]
