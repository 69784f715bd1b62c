"""OUT001–OUT008: each sick case with its healthy twin and the cases that only look like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import (
    Answer,
    Declared,
    HeadActivation,
    HeadFacts,
    LabelFacts,
    LossAsRun,
    LossContract,
)
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.measures.labels import label_facts
from segdoctor.probes.output_activation import (
    ActivationAppliedTwice,
    RectifiedLogits,
    SoftmaxOverOneChannel,
    SoftmaxOverWrongAxis,
)
from segdoctor.probes.output_channels import ChannelsDifferFromClasses
from segdoctor.probes.output_scale import (
    LogitsIntoProbabilityLoss,
    SigmoidWithCategoricalLoss,
    SoftmaxOnSoftmaxLoss,
)

GRAPH = GraphFacts(kind="Functional", layers=())


def head(kind: str = "logits", channels: int = 21, *path: str, **more: Any) -> HeadFacts:
    low, high = {"logits": (-3.0, 4.0), "constant": (1.0, 1.0)}.get(kind, (0.01, 0.9))
    values: dict[str, Any] = {
        "shape": (2, 8, 8, channels),
        "channels": channels,
        "class_axis": 3,
        "kind": kind,
        "minimum": low,
        "maximum": high,
        "channel_sum_error": 0.0 if kind == "softmax" else 3.0,
        "activations": tuple(HeadActivation(f"a{i}", a, -1, channels) for i, a in enumerate(path)),
    }
    return HeadFacts(**(values | more))


def contract(prediction: str = "logits", name: str = "", **more: Any) -> LossContract:
    values: dict[str, Any] = {
        "labels": "ids",
        "forms": ("BHW", "BHW1"),
        "answers": (Answer("one-hot, BHW", 2.1232), Answer("push 20, BHW", 0.0)),
    }
    name = name or "SparseCategoricalCrossentropy"
    return LossContract(name, prediction=prediction, **(values | more))  # type: ignore[arg-type]


def run(probe: Probe, **fields: Any) -> Outcome:
    return examine(probe, Trace({"declared": Declared(), "graph": GRAPH, **fields}))


def loss(value: float = 1.2, **more: Any) -> LossAsRun:
    return LossAsRun(value, plain_value=value, valid_pixels=128, **more)


def test_softmax_into_a_logits_loss_is_an_error() -> None:
    out = run(
        SoftmaxOnSoftmaxLoss(),
        head=head("softmax", layers_behind=("up_sampling2d",)),
        loss_contract=contract(),
        loss_as_run=loss(),
    )
    (found,) = out.findings
    assert found.severity == "error"
    assert "2.12 instead of 0.00" in found.message
    assert "up_sampling2d stands behind" in found.message
    assert found.fix is not None
    assert found.fix.patch == {"loss.from_logits": False}


def test_softmax_rescued_by_keras_is_information() -> None:
    rescued = LossAsRun(3.16, plain_value=1.16, rescued=True)
    fields = {"head": head("softmax"), "loss_contract": contract(), "loss_as_run": rescued}
    (found,) = run(SoftmaxOnSoftmaxLoss(), **fields).findings
    assert found.severity == "info"


def test_ignore_class_hides_the_way_back() -> None:
    fields = {"head": head("softmax"), "loss_contract": contract(ignores=(255,))}
    (found,) = run(SoftmaxOnSoftmaxLoss(), **fields, loss_as_run=loss()).findings
    assert found.severity == "error"
    assert "ignore_class=255 hides the way" in found.message


def test_a_home_made_logits_loss_gets_its_softmax_taken_off() -> None:
    own = contract(name="dice_from_logits")
    fields = {"head": head("softmax"), "loss_contract": own, "loss_as_run": loss()}
    (found,) = run(SoftmaxOnSoftmaxLoss(), **fields).findings
    assert found.fix is not None
    assert found.fix.patch == {"head.activation": "remove"}


@pytest.mark.parametrize(
    ("facts", "scale"),
    [
        (head("logits"), "logits"),
        (head("softmax"), "probabilities"),
        (head("softmax"), "either"),
        (head("logits"), "either"),
        (head("sigmoid", 1), "probabilities"),
        (head("sigmoid", 6), "probabilities"),
    ],
)
def test_head_and_loss_that_fit_are_silent(facts: HeadFacts, scale: str) -> None:
    fields = {"head": facts, "loss_contract": contract(scale), "loss_as_run": loss()}
    assert run(SoftmaxOnSoftmaxLoss(), **fields).status == "clear"
    assert run(LogitsIntoProbabilityLoss(), **fields).status == "clear"


@pytest.mark.parametrize("probe", [SoftmaxOnSoftmaxLoss(), LogitsIntoProbabilityLoss()])
def test_scales_that_are_not_known_are_said(probe: Probe) -> None:
    fields = {"head": head("softmax"), "loss_contract": contract(), "loss_as_run": loss()}
    stand_in = run(probe, **(fields | {"declared": Declared(loss_stand_in=True)}))
    assert stand_in.status == "not examined"
    assert "no compile settings" in stand_in.reason
    unknown = run(probe, **(fields | {"loss_contract": contract("unknown")}))
    assert unknown.status == "not examined"
    raising = run(probe, **(fields | {"loss_contract": contract("unknown", raises="ValueError")}))
    assert "ValueError" in raising.reason


def test_logits_into_a_probability_loss() -> None:
    fields = {"head": head("logits"), "loss_contract": contract("probabilities")}
    (found,) = run(
        LogitsIntoProbabilityLoss(), **fields, loss_as_run=loss(zero_gradient_share=0.49)
    ).findings
    assert found.severity == "error"
    assert "49%" in found.message
    assert found.fix is not None
    assert found.fix.patch == {"loss.from_logits": True}
    assert "SparseCategoricalCrossentropy" in found.fix.code


@pytest.mark.parametrize(("channels", "wanted"), [(21, "softmax"), (1, "sigmoid")])
def test_logits_into_dice(channels: int, wanted: str) -> None:
    dice = contract("probabilities", "Dice", labels="onehot")
    (found,) = run(
        LogitsIntoProbabilityLoss(), head=head("logits", channels), loss_contract=dice
    ).findings
    assert found.fix is not None
    assert found.fix.patch == {"head.activation": wanted}


def test_a_loss_of_ones_own_has_no_settings_whatever_its_name() -> None:
    for facts, patch in (({}, "loss.from_logits"), ({"home_made": True}, "head.activation")):
        bce = contract("logits", "binary_crossentropy", labels="either", facts=facts)
        fields = {"head": head("sigmoid", 1, "sigmoid"), "loss_contract": bce}
        (found,) = run(SoftmaxOnSoftmaxLoss(), **fields, loss_as_run=loss()).findings
        assert found.fix is not None
        assert [*found.fix.patch] == [patch]


def test_a_relu_output_is_told_once() -> None:
    fields = {
        "head": head("logits", 21, "relu", minimum=0.0),
        "loss_contract": contract("probabilities"),
    }
    assert run(LogitsIntoProbabilityLoss(), **fields).status == "clear"
    (found,) = run(RectifiedLogits(), **fields).findings
    assert "relu" in found.message


def test_two_activations() -> None:
    (found,) = run(
        ActivationAppliedTwice(), head=head("softmax", 21, "softmax", "softmax")
    ).findings
    assert "'a0'" in found.message
    assert run(ActivationAppliedTwice(), head=head("softmax", 21, "softmax")).status == "clear"
    assert run(ActivationAppliedTwice(), head=head("logits", 21)).status == "clear"
    assert run(ActivationAppliedTwice(), head=head("softmax", 3, "relu", "softmax")).status == (
        "clear"
    )
    unknown = head("softmax", path_known=False)
    assert run(ActivationAppliedTwice(), head=unknown).status == "not examined"


def test_softmax_over_one_channel() -> None:
    constant = head("constant", 1, "softmax")
    rescued = LossAsRun(0.08, plain_value=8.0, rescued=True)
    (found,) = run(SoftmaxOverOneChannel(), head=constant, loss_as_run=rescued).findings
    assert "looks healthy" in found.message
    assert run(SoftmaxOverOneChannel(), head=head("constant", 1)).status == "fired"
    assert run(SoftmaxOverOneChannel(), head=head("sigmoid", 1, "sigmoid")).status == "clear"
    assert run(SoftmaxOverOneChannel(), head=head("softmax", 2, "softmax")).status == "clear"


def test_sigmoids_and_exclusive_losses() -> None:
    compete = {"channels_compete": True, "additive": True}
    fields = {"head": head("sigmoid"), "loss_contract": contract("probabilities", facts=compete)}
    (found,) = run(SigmoidWithCategoricalLoss(), **fields).findings
    assert found.severity == "warning"
    yes_no = contract("probabilities", "binary", facts={"yes_no_per_channel": True})
    assert run(SigmoidWithCategoricalLoss(), head=head("softmax"), loss_contract=yes_no).findings
    for facts, loss_ in ((head("sigmoid"), yes_no), (head("softmax"), fields["loss_contract"])):
        assert run(SigmoidWithCategoricalLoss(), head=facts, loss_contract=loss_).status == "clear"
    micro_dice = contract("probabilities", facts={"channels_compete": True, "additive": False})
    assert (
        run(SigmoidWithCategoricalLoss(), head=head("sigmoid"), loss_contract=micro_dice).status
        == "clear"
    )


def test_softmax_over_another_axis() -> None:
    wrong = head("sigmoid", 21, "softmax", sums_to_one_over=(2,))
    (found,) = run(SoftmaxOverWrongAxis(), head=wrong).findings
    assert "axis 2" in found.message
    flattened = head("sigmoid", 21, "softmax", sums_to_one_over=(1, 2, 3))
    assert "axis 1, 2, 3" in run(SoftmaxOverWrongAxis(), head=flattened).findings[0].message
    assert run(SoftmaxOverWrongAxis(), head=head("softmax")).status == "clear"


@pytest.mark.parametrize("name", ["relu", "relu6", "tanh"])
def test_rectified_logits(name: str) -> None:
    fields = {"loss_contract": contract()}
    (found,) = run(RectifiedLogits(), head=head("logits", 21, name), **fields).findings
    assert found.fix is not None
    assert found.fix.patch
    before_softmax = run(RectifiedLogits(), head=head("softmax", 21, name, "softmax"), **fields)
    assert before_softmax.status == "fired"
    assert run(RectifiedLogits(), head=head("logits", 21), **fields).status == "clear"


def test_tanh_with_a_hinge_loss_is_meant() -> None:
    hinge = contract("logits", "Hinge")
    assert run(RectifiedLogits(), head=head("logits", 1, "tanh"), loss_contract=hinge).status == (
        "clear"
    )


def test_tanh_before_labels_of_its_own_range() -> None:
    tanh = head("logits", 1, "tanh")
    for low, status in ((-1, "clear"), (0, "fired")):
        labels = label_facts(np.where(np.eye(8), 1, low)[None, ..., None].astype(np.float32), 1)
        assert run(RectifiedLogits(), head=tanh, labels=labels).status == status
    relu = head("logits", 1, "relu")
    assert run(RectifiedLogits(), head=relu, labels=labels).status == "fired"


def ids(*values: float, shape: tuple[int, ...] = (2, 8, 8)) -> LabelFacts:
    return LabelFacts(shape, "int32", "ids", len(values), dict.fromkeys(values, 10))


def onehot(width: int) -> LabelFacts:
    return LabelFacts((2, 8, 8, width), "float32", "onehot", 2, {0.0: 9, 1.0: 3}, row_sums={1.0: 9})


def voc(*values: int, layout: str = "Pascal VOC") -> ScanFacts:
    return ScanFacts("voc", layout, (), histogram=dict.fromkeys(values, 100), void=255)


def channels(facts: HeadFacts, **fields: Any) -> Outcome:
    return run(ChannelsDifferFromClasses(), head=facts, **fields)


def test_two_channels_against_21_ids_are_said() -> None:
    folder = {"declared": Declared(source="folder", ignore_label=255)}
    (found,) = channels(head("logits", 2), scan=voc(*range(21), 255), **folder).findings
    assert found.message.startswith("The model has 2 output channels, but there are 21 classes")
    assert found.fix is not None
    assert found.fix.patch == {"head.channels": 21}
    assert "--label-map" in found.fix.words
    some = channels(head("logits", 2), scan=voc(0, 15, 20, 255), **folder)
    assert "21 classes" in some.findings[0].message
    mapped = channels(head("logits", 2), scan=voc(0, 1, 255), **folder)
    assert mapped.status == "clear"


def test_channels_that_fit() -> None:
    assert channels(head("logits", 21), labels=ids(0, 15, 255)).status == "clear"
    assert channels(head("sigmoid", 1), labels=ids(0, 1)).status == "clear"
    assert channels(head("sigmoid", 1), labels=ids(0, 255)).status == "clear"  # LBL007
    assert channels(head("logits", 21), labels=onehot(21)).status == "clear"
    declared = Declared(num_classes=2, num_classes_declared=True)
    assert channels(head("sigmoid", 1), labels=ids(0, 1), declared=declared).status == "clear"
    assert channels(head("logits", 21), labels=ids(0, 38, 75, 147)).status == "clear"  # LBL005
    assert channels(head("logits", 21)).status == "not examined"


def test_declared_classes_and_one_hot_width() -> None:
    declared = Declared(num_classes=22, num_classes_declared=True)
    (found,) = channels(head("logits", 21), labels=ids(0, 1), declared=declared).findings
    assert "22 classes declared" in found.message
    (found,) = channels(head("logits", 21), labels=onehot(22)).findings
    assert "22 classes in the one-hot labels" in found.message
    (found,) = channels(head("sigmoid", 1), labels=ids(0, 1, 2, 3)).findings
    assert "4 classes" in found.message
