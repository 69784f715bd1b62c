"""Ids and rows as fed that only look out of order, or only look sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.asked import LossAtShape
from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import Declared, HeadFacts, LossContract
from segdoctor.core.trace import Trace
from segdoctor.measures.labels import label_facts, stray_ids
from segdoctor.measures.palettes import OTHER_PALETTES
from segdoctor.probes.registry import PROBES

IDS = np.arange(48).reshape(2, 4, 6) % 3


def ask(code: str, y: Any, channels: int, contract: LossContract | None = None) -> Outcome:
    trace = Trace(
        {
            "labels": label_facts(y, channels),
            "head": HeadFacts((2, 4, 6, channels), channels, 3, "logits", -3.0, 3.0, 3.0),
            "declared": Declared(),
            "loss_contract": contract or LossContract("loss", labels="either"),
        }
    )
    return examine(next(probe for probe in PROBES if probe.code == code), trace)


def rows(scale: float = 1.0, several: bool = False) -> Any:
    made = (IDS[..., None] == np.arange(3)).astype(np.float32)
    return scale * (np.maximum(made, np.roll(made, 1, -1)) if several else made)


@pytest.mark.parametrize(
    ("y", "code"),
    [
        (rows(), None),
        (rows(several=True), "LBL009"),
        (rows(2.0), "LBL009"),
        (rows(1 / 255), "LBL007"),
        (np.pad(rows(), [(0, 0)] * 3 + [(0, 1)]) * 255, "LBL007"),
    ],
)
def test_rows(y: Any, code: str | None) -> None:
    found = {c for c in ("LBL007", "LBL009", "LBL011") if ask(c, y, y.shape[-1]).findings}
    assert found == ({code} if code else set())


def test_several_labels_at_a_pixel_are_legal_before_a_sigmoid_inside_the_loss() -> None:
    facts = {"channels_compete": False}
    sigmoid = LossContract("loss", labels="onehot", prediction="logits", facts=facts)
    assert ask("LBL009", rows(several=True), 3, sigmoid).status == "clear"
    assert ask("LBL011", rows(several=True), 3, sigmoid).status == "clear"


@pytest.mark.parametrize("code", ["LBL003", "OUT008"])
def test_an_id_that_the_loss_leaves_out_on_purpose(code: str) -> None:
    y = np.where(IDS == 2, 3, IDS)
    masking = LossContract("loss", labels="ids", ignores=(3,), facts={"masked": "3"})
    assert stray_ids(label_facts(y).histogram, 3) == (3,)
    assert ask("LBL003", y, 3).status == "fired"
    assert ask(code, y, 3, masking).status == "clear"


def test_an_undeclared_255_that_the_loss_leaves_out() -> None:
    y = np.where(IDS == 2, 255, IDS)
    assert ask("IGN009", y, 4).status == "fired"
    assert ask("IGN009", y, 4, LossContract("loss", facts={"masked": "255"})).status == "clear"


@pytest.mark.parametrize("name", sorted(OTHER_PALETTES))
@pytest.mark.parametrize("channel", ["red", "grey"])
def test_other_palettes_are_known(name: str, channel: str) -> None:
    colours = np.array(OTHER_PALETTES[name])
    grey = (colours @ [299, 587, 114] + 500) // 1000
    y = (colours[:, 0] if channel == "red" else grey)[IDS + 4 * (IDS > 0)]
    (finding,) = ask("LBL005", y, len(colours)).findings
    assert name in finding.message or name == "CamVid"  # whose colours are mostly VOC's too


def test_one_red_value_of_as_many_classes_as_voc_has() -> None:
    y = 128 * (IDS > 0)
    assert ask("LBL005", y, 21).status == "fired"
    assert ask("LBL005", y, 2).status == "clear"
    assert ask("LBL007", y, 2).status == "fired"


@pytest.mark.parametrize(("right", "status"), [(0.1, "clear"), (3.0, "fired"), (None, "fired")])
def test_a_loss_may_count_from_one_itself(right: float | None, status: str) -> None:
    asked = LossAtShape((2, 4, 6, 3), "float32", right=right, wrong=None if right is None else 2.0)
    trace = Trace(
        {
            "labels": label_facts(IDS + 1, 3),
            "head": HeadFacts((2, 4, 6, 3), 3, 3, "logits", -3.0, 3.0, 3.0),
            "declared": Declared(),
            "loss_at_shape": asked,
        }
    )
    assert examine(next(p for p in PROBES if p.code == "LBL008"), trace).status == status


def blocks(*ids: int) -> Any:
    """Squares of each of ``ids`` on ground of 0."""
    y = np.zeros((2, 24, 24), np.int32)
    for place, label in enumerate(ids):
        row, column = divmod(place, 3)
        y[:, 8 * row + 1 : 8 * row + 7, 8 * column + 1 : 8 * column + 7] = label
    return y


def ringed(y: Any, label: int) -> Any:
    """``y`` with a line of ``label`` around everything."""
    inside = y[:, 1:-1, 1:-1]
    edge = np.zeros_like(y, bool)
    for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
        edge[:, 1:-1, 1:-1] |= np.roll(y, step, axis)[:, 1:-1, 1:-1] != inside
    return np.where(edge, label, y)


@pytest.mark.parametrize(
    ("y", "channels", "code"),
    [
        (blocks(1, 2, 3), 3, "OUT008"),
        (blocks(1, 2, 4), 3, "LBL003"),  # a gap
        (blocks(1, 2, 7), 3, "LBL003"),
        (ringed(blocks(1, 2, 2, 1), 3), 3, "LBL003"),  # void, in another dress
        (blocks(1, 2), 3, None),
        (blocks(1, 2, 3, 4, 5), 4, "OUT008"),
    ],
)
def test_a_class_list_that_goes_on_behind_the_head(y: Any, channels: int, code: str | None) -> None:
    found = [c for c in ("LBL003", "OUT008") if ask(c, y, channels).findings]
    assert found[:1] == ([code] if code else [])


def test_a_few_pixels_of_the_next_id_are_strays() -> None:
    y = blocks(1, 2)
    y[:, 3, 3] = 3
    assert ask("LBL003", y, 3).status == "fired"


@pytest.mark.parametrize("code", ["LBL006", "LBL012"])
def test_noise_was_not_drawn_at_all(code: str) -> None:
    noise = np.random.default_rng(0).integers(0, 21, (4, 32, 32))
    outcome = ask(code, noise, 21)
    assert outcome.status == "not examined"
    assert "noise" in outcome.reason


@pytest.mark.parametrize(("ignores", "severity"), [((255,), "error"), ((), "warning")])
def test_a_loss_that_leaves_out_what_int8_has_lost(ignores: tuple[int, ...], severity: str) -> None:
    y = np.where(IDS == 2, 255, IDS).astype(np.uint8).astype(np.int8)
    trace = Trace(
        {
            "labels": label_facts(y, 3, 255),
            "declared": Declared(ignore_label=255),
            "loss_contract": LossContract("loss", labels="ids", ignores=ignores),
        }
    )
    outcome = examine(next(probe for probe in PROBES if probe.code == "LBL010"), trace)
    assert [f.severity for f in outcome.findings] == [severity]
