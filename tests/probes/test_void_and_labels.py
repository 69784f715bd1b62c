"""IGN001–IGN003, LBL001, LBL002, LBL009: sick, healthy and look-alike."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.probes.ignore_label import VoidInsideOneHot, VoidOutOfRange, VoidReachesLoss
from segdoctor.probes.labels_as_fed import (
    LabelShapeMismatch,
    OnehotMalformed,
    SparseOnehotMismatch,
)

KNOWN = Declared(ignore_label=255, ignore_declared_by="user")
RANGE = "InvalidArgumentError: Received a label value of 255 which is outside [0, 21)"


def head(kind: str = "logits", channels: int = 21, size: int = 8) -> HeadFacts:
    shape = (2, size, size, channels)
    return HeadFacts(shape, channels, 3, kind, -1.0, 1.0, 0.0 if kind == "softmax" else 2.0)


def contract(labels: str = "ids", name: str = "", **more: Any) -> LossContract:
    name = name or ("SparseCategoricalCrossentropy" if labels == "ids" else "dice")
    values: dict[str, Any] = {"forms": ("BHW",), "prediction": "logits"} | more
    return LossContract(name, labels=labels, **values)  # type: ignore[arg-type]


def ids(*values: float, shape: tuple[int, ...] = (2, 8, 8), kind: str = "ids") -> LabelFacts:
    return LabelFacts(shape, "int32", kind, len(values), dict.fromkeys(values, 10))


def onehot(channels: int = 21, **more: Any) -> LabelFacts:
    values: dict[str, Any] = {"row_sums": {1.0: 128}} | more
    return LabelFacts((2, 8, 8, channels), "float32", "onehot", 3, {0.0: 100}, **values)


def as_run(void: float = 0.0, moved: float = 0.0, share: float = 0.0, **more: Any) -> LossAsRun:
    return LossAsRun(
        1.2,
        void_pixels=more.pop("void_pixels", 10),
        valid_pixels=118,
        void_gradient=void,
        void_moves_value=moved,
        void_gradient_share=share,
        **more,
    )


def run(probe: Probe, **fields: Any) -> Outcome:
    plain = {"declared": KNOWN, "head": head(), "loss_contract": contract()}
    return examine(probe, Trace(plain | fields))


def test_void_with_a_gradient() -> None:
    out = run(VoidReachesLoss(), loss_as_run=as_run(0.01, 0.4, 0.2), labels=ids(0, 255))
    (found,) = out.findings
    assert found.severity == "error"
    assert found.fix is not None
    assert found.fix.patch == {"loss.ignore_class": 255}
    assert run(VoidReachesLoss(), loss_as_run=as_run(), labels=ids(0, 255)).status == "clear"


def test_zero_rows_that_leave_the_value_alone_are_a_warning() -> None:
    fields = {"labels": onehot(void_rows={"zero": 10}), "loss_contract": contract("onehot")}
    (found,) = run(VoidReachesLoss(), loss_as_run=as_run(0.01, 0.0, 0.2), **fields).findings
    assert found.severity == "warning"
    assert found.fix is not None
    assert found.fix.patch == {"labels.void": "zero weight"}
    (found,) = run(VoidReachesLoss(), loss_as_run=as_run(0.01, 0.0, 0.9), **fields).findings
    assert found.severity == "error"


def test_the_fix_for_a_rescued_softmax_keeps_it_right() -> None:
    fields = {"head": head("softmax"), "labels": ids(0, 255)}
    out = run(VoidReachesLoss(), loss_as_run=as_run(0.1, 0.1, 0.1, rescued=True), **fields)
    assert out.findings[0].fix is not None
    assert out.findings[0].fix.patch == {"loss.ignore_class": 255, "loss.from_logits": False}


@pytest.mark.parametrize(
    ("declared", "measured", "labels", "status", "reason"),
    [
        (Declared(ignore_label=False), as_run(void_pixels=0), ids(0), "clear", ""),
        (Declared(), as_run(void_pixels=0), ids(0), "not examined", "--ignore-label"),
        (KNOWN, as_run(void_pixels=0), ids(0), "not examined", "no void pixel"),
        (KNOWN, LossAsRun(None, raises=RANGE), ids(0, 255), "not examined", "label value"),
        (
            Declared(ignore_label=255, loss_stand_in=True),
            as_run(1.0),
            ids(0, 255),
            "not examined",
            "no compile settings",
        ),
        (
            Declared(ignore_label=255, encoding_declared=False),
            as_run(1.0),
            onehot(),
            "not examined",
            "encoded the labels",
        ),
    ],
)
def test_void_that_cannot_be_examined(
    declared: Declared, measured: LossAsRun, labels: LabelFacts, status: str, reason: str
) -> None:
    out = run(VoidReachesLoss(), declared=declared, loss_as_run=measured, labels=labels)
    assert out.status == status
    assert reason in out.reason


@pytest.mark.parametrize("form", ["255", "one channel 255"])
def test_255_inside_one_hot(form: str) -> None:
    fields: dict[str, Any] = {"labels": onehot(void_rows={form: 10})}
    fields["loss_contract"] = contract("onehot")
    (found,) = run(VoidInsideOneHot(), loss_as_run=as_run(9.0, 2.0, 0.99), **fields).findings
    assert "10 pixels" in found.message
    assert "99%" in found.message
    masked = run(VoidInsideOneHot(), loss_as_run=as_run(), **fields)
    assert masked.status == "clear"
    chosen = run(VoidInsideOneHot(), declared=Declared(encoding_declared=False), **fields)
    assert chosen.status == "not examined"


def test_one_hot_without_255() -> None:
    assert run(VoidInsideOneHot(), labels=onehot(void_rows={"zero": 9})).status == "clear"
    assert run(VoidInsideOneHot(), labels=ids(0, 255)).status == "clear"
    knows = contract("onehot", facts={"rows_255": "ignored"})
    labels = onehot(void_rows={"255": 9})
    assert run(VoidInsideOneHot(), labels=labels, loss_contract=knows).status == "clear"


RAISES = LossAsRun(None, raises=RANGE, finite=False)


def test_void_beyond_the_classes() -> None:
    (found,) = run(VoidOutOfRange(), labels=ids(0, 3, 255), loss_as_run=RAISES).findings
    assert found.fix is not None
    assert found.fix.patch == {"loss.ignore_class": 255}
    not_a_number = LossAsRun(float("nan"), finite=False)
    assert run(VoidOutOfRange(), labels=ids(0, 255), loss_as_run=not_a_number).findings
    undeclared = run(VoidOutOfRange(), declared=Declared(), labels=ids(0, -1), loss_as_run=RAISES)
    assert "-1" in undeclared.findings[0].message
    by_itself = Declared(ignore_label=255, encoding_declared=False, source="folder")
    assert run(
        VoidOutOfRange(), declared=by_itself, labels=ids(0, 255), loss_as_run=RAISES
    ).findings


def test_void_that_the_loss_bears() -> None:
    labels = ids(0, 3, 255)
    ignoring = contract(ignores=(255,))
    assert run(VoidOutOfRange(), labels=labels, loss_contract=ignoring).status == "clear"
    assert run(VoidOutOfRange(), labels=labels, loss_as_run=as_run(0.1)).status == "clear"
    assert run(VoidOutOfRange(), labels=ids(0, 3), loss_as_run=RAISES).status == "clear"
    one = {"head": head("sigmoid", 1), "loss_contract": contract("either", "BinaryCrossentropy")}
    assert run(VoidOutOfRange(), labels=labels, loss_as_run=as_run(0.1), **one).status == "clear"
    none = Declared(ignore_label=False)
    assert run(VoidOutOfRange(), declared=none, labels=labels, loss_as_run=RAISES).status == "clear"
    wide = {"head": head("logits", 256)}
    assert run(VoidOutOfRange(), labels=labels, loss_as_run=RAISES, **wide).status == "clear"


def test_one_hot_into_a_sparse_loss_and_back() -> None:
    (found,) = run(SparseOnehotMismatch(), labels=onehot()).findings
    assert found.fix is not None
    assert found.fix.patch == {"labels.encoding": "ids"}
    out = run(SparseOnehotMismatch(), labels=ids(0, 3), loss_contract=contract("onehot"))
    assert out.findings[0].fix is not None
    assert out.findings[0].fix.patch == {"labels.encoding": "onehot"}
    two = {"head": head("softmax", 2), "loss_contract": contract("onehot")}
    assert run(SparseOnehotMismatch(), labels=ids(0, 1, kind="binary"), **two).findings


@pytest.mark.parametrize(
    ("labels", "loss", "channels"),
    [
        (ids(0, 3), contract("ids"), 21),
        (onehot(), contract("onehot"), 21),
        (onehot(), contract("either"), 21),
        (ids(0, 1, kind="binary"), contract("either", "BinaryCrossentropy"), 1),
        (ids(0, 1, kind="unclear"), contract("ids"), 21),
    ],
)
def test_encodings_that_fit(labels: LabelFacts, loss: LossContract, channels: int) -> None:
    fields = {"labels": labels, "loss_contract": loss, "head": head("softmax", channels)}
    assert run(SparseOnehotMismatch(), **fields).status == "clear"


def test_encodings_that_are_not_known() -> None:
    unknown = run(SparseOnehotMismatch(), labels=onehot(), loss_contract=contract("unknown"))
    assert unknown.status == "not examined"
    chosen = Declared(encoding_declared=False)
    assert run(SparseOnehotMismatch(), labels=onehot(), declared=chosen).status == "not examined"


@pytest.mark.parametrize(
    ("shape", "size", "fired"),
    [
        ((2, 8, 8), 8, False),
        ((2, 8, 8, 1), 8, False),
        ((2, 32, 32), 8, True),
        ((2, 64), 8, True),
        ((1, 8, 8), 8, True),
    ],
)
def test_label_shapes(shape: tuple[int, ...], size: int, fired: bool) -> None:
    fields = {"labels": ids(0, 1, shape=shape), "head": head("logits", 21, size)}
    failing = LossAsRun(None, raises="ValueError: shapes", finite=False)
    out = run(LabelShapeMismatch(), loss_as_run=failing, **fields)
    assert (out.status == "fired") is fired
    # A loss that resizes inside runs, and is left alone.
    assert run(LabelShapeMismatch(), loss_as_run=as_run(), **fields).status == "clear"


def test_one_hot_of_another_width_is_left_to_out008() -> None:
    failing = LossAsRun(None, raises="ValueError", finite=False)
    assert run(LabelShapeMismatch(), labels=onehot(22), loss_as_run=failing).status == "clear"


def test_malformed_one_hot() -> None:
    two_at_once = onehot(row_sums={1.0: 100, 2.0: 28})
    (found,) = run(OnehotMalformed(), labels=two_at_once, loss_contract=contract("onehot")).findings
    assert "28 pixels" in found.message
    moved = onehot(sums_to_one_over=1)
    (found,) = run(OnehotMalformed(), labels=moved).findings
    assert "axis 1" in found.message


@pytest.mark.parametrize(
    ("labels", "facts", "loss"),
    [
        (onehot(), head("softmax"), contract("onehot")),
        (onehot(row_sums={1.0: 100, 0.0: 28}), head("softmax"), contract("onehot")),
        (onehot(row_sums={1.0: 99, 1.001: 29}), head("softmax"), contract("onehot")),
        (
            onehot(row_sums={1.0: 118, 5355.0: 10}, void_rows={"255": 10}),
            head("softmax"),
            contract("onehot"),
        ),
        (onehot(row_sums={1.0: 9, 2.0: 9}), head("sigmoid"), contract("onehot")),
        (
            onehot(row_sums={1.0: 9, 2.0: 9}),
            head("logits"),
            contract("onehot", facts={"yes_no_per_channel": True}),
        ),
        (ids(0, 1), head("softmax"), contract()),
    ],
)
def test_one_hot_that_is_sound(labels: LabelFacts, facts: HeadFacts, loss: LossContract) -> None:
    out = run(OnehotMalformed(), labels=labels, head=facts, loss_contract=loss)
    assert out.status == "clear"
