"""Void, followed from the masks into the labels as fed, in every form that people write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.measured import Declared, LossContract
from segdoctor.core.trace import Trace
from segdoctor.examination.void_stations import void_picture, void_table
from segdoctor.measures.labels import label_facts
from segdoctor.measures.void_forms import forms_at, padding_of
from segdoctor.measures.void_trail import void_trail
from segdoctor.probes.registry import PROBES
from segdoctor.report.figures import figures
from segdoctor.report.report import Report
from tests.losses.ward import encode, examined, head_of, ids

CLASSES, VOID = 21, 255
CODES = ("IGN004", "IGN005", "IGN006")


def scene(padded: bool = False) -> tuple[Any, Any]:
    """``(x, true ids)``: rings of void inside, and a padded border."""
    true = ids(CLASSES, (2, 32, 32)) % CLASSES
    true[:, 10:13, 8:24] = VOID
    x = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    if padded:
        true[:, 24:], x[:, 24:] = VOID, 0.5
    return x, true


def told(x: Any, true: Any, y: Any, *, channels: int = CLASSES, **settings: Any) -> set[str]:
    declared = Declared(ignore_label=VOID, num_classes=CLASSES, num_classes_declared=True)
    facts, head = label_facts(y, channels, VOID), head_of(channels, true.shape)
    trail = void_trail(
        x,
        y,
        true,
        labels=facts,
        head=head,
        declared=declared,
        truth_known=True,
        sample_weight=settings.get("weight"),
    )
    contract = LossContract("loss", ignores=settings.get("ignores", ()), facts={"deterministic": 1})
    trace = Trace(
        {"declared": declared, "head": head, "void_trail": trail, "loss_contract": contract}
    )
    outcomes = [examine(probe, trace) for probe in PROBES if probe.code in CODES]
    assert {o.status for o in outcomes} <= {"fired", "clear"}, outcomes
    return {f.code for o in outcomes for f in o.findings}


@pytest.mark.parametrize("label", [0, CLASSES - 1, 7])
def test_void_that_was_folded(label: int) -> None:
    x, true = scene()
    y = np.where(true == VOID, label, true)
    assert told(x, true, y) == {"IGN004"}
    assert told(x, true, encode(y, "onehot", CLASSES)) == {"IGN004"}
    assert told(x, true, y, weight=(true != VOID).astype(np.float32)) == set()
    assert told(x, true, y, ignores=(label,)) == set()


def test_void_as_one_more_class() -> None:
    x, true = scene()
    y = np.where(true == VOID, CLASSES, true)
    assert told(x, true, y, channels=CLASSES + 1) == {"IGN005"}
    assert told(x, true, y, channels=CLASSES + 1, ignores=(CLASSES,)) == set()


def test_padding_that_is_a_class() -> None:
    x, true = scene(padded=True)
    bars = padding_of(x)
    assert bars.sum() == 2 * 8 * 32
    y = np.where(bars, 0, true)
    assert told(x, true, y) == {"IGN006"}
    assert told(x, true, true) == set()
    assert told(x, true, np.where(true == VOID, 0, true)) == {"IGN004"}


@pytest.mark.parametrize("form", ["ids", "zero", "255"])
def test_void_that_is_kept(form: str) -> None:
    x, true = scene()
    y = true if form == "ids" else encode(true, form, CLASSES, true == VOID)
    assert told(x, true, y) == set()


def test_every_form_has_its_name() -> None:
    where = np.ones((1, 1, 5), bool)
    rows = np.zeros((1, 1, 5, 3), np.float32)
    rows[0, 0, 1] = 255
    rows[0, 0, 2, 1] = 255
    rows[0, 0, 3, 2] = 1
    rows[0, 0, 4] = 0.3
    assert set(forms_at(rows, where, onehot=True, void=255)) == {
        "row of zeros",
        "row of 255",
        "255 in one channel",
        "class 2",
        "class 0",
    }
    values = np.array([[[255, -1, 0, 0, 7]]])
    assert forms_at(values, where, onehot=False, void=255) == {
        "class 0": 2,
        "-1": 1,
        "class 7": 1,
        "255": 1,
    }


def test_rows_of_255_have_their_name_where_no_label_is_declared() -> None:
    x, true = scene()
    y = encode(true, "255", CLASSES, true == VOID)
    trail = void_trail(
        x,
        y,
        np.where(true == VOID, -1, true),
        labels=label_facts(y, CLASSES),
        head=head_of(CLASSES, true.shape),
        declared=Declared(),
    )
    assert trail is not None
    assert trail.as_fed == {"row of 255": 96}


def _report(stations: Any) -> Report:
    return Report(
        kind="check",
        subject="model",
        exit_code=0,
        findings=(),
        outcomes=(),
        diagnosis=None,
        headline="",
        measured={"void_trail": stations},
    )


def test_forms_of_one_station_are_drawn_as_one() -> None:
    x, true = scene()
    y = np.where((true == VOID) & (np.arange(32) < 16), 0, true)
    facts, head = label_facts(y, CLASSES, VOID), head_of(CLASSES, true.shape)
    declared = Declared(ignore_label=VOID, num_classes=CLASSES, num_classes_declared=True)
    trail = void_trail(x, y, true, labels=facts, head=head, declared=declared, truth_known=True)
    drawn = void_picture(Trace({"void_trail": trail, "labels": facts, "head": head}))
    assert [s["name"] for s in drawn] == ["masks of the batch", "labels as fed (ids)"]
    assert drawn[1]["leak"] == "here"
    assert drawn[1]["says"] == "class 0: folded into background (48 px), 255 (48 px)"


def test_the_trail_marks_where_it_leaks() -> None:
    trace = examined("categorical_crossentropy", form="255", void=True)
    rows = void_table(trace)["rows"]
    assert [row[0] for row in rows] == ["labels as fed (one-hot)", "loss", "gradient"]
    assert "leaks here" in rows[1][3]
    drawn = void_picture(trace)
    assert [station["leak"] for station in drawn] == ["", "here", "so"]
    assert "row of 255" in drawn[0]["says"]
    figure = next(f for f in figures(_report(drawn)) if f.slug == "void_trail")
    assert b"<svg" in figure.light
    assert not [f for f in figures(_report(drawn * 2)) if f.missing.startswith("drawing failed")]
    sound = examined("sparse_categorical_crossentropy", form="ids", void=True)
    assert "fails" in void_table(sound)["rows"][1][1]


def followed(y: Any, *, channels: int = CLASSES, padded: bool = False) -> list[dict[str, Any]]:
    """The picture of void that is known from the masks."""
    x, true = scene(padded)
    made = y(true, x)
    declared = Declared(ignore_label=VOID, num_classes=CLASSES, num_classes_declared=True)
    labels, head = label_facts(made, channels, VOID), head_of(channels, true.shape)
    trail = void_trail(x, made, true, labels=labels, head=head, declared=declared, truth_known=True)
    return void_picture(Trace({"void_trail": trail, "labels": labels, "head": head}))


def in_one_channel(true: Any, x: Any) -> Any:
    rows = encode(true, "zero", CLASSES, true == VOID)
    rows[true == VOID, 0] = 255
    return rows


@pytest.mark.parametrize(
    ("y", "channels", "padded", "says", "leak"),
    [
        (lambda t, x: encode(t, "zero", CLASSES, t == VOID), CLASSES, False, "row of zeros", ""),
        (lambda t, x: encode(t, "255", CLASSES, t == VOID), CLASSES, False, "row of 255", ""),
        (in_one_channel, CLASSES, False, "255 in one channel", ""),
        (lambda t, x: np.minimum(t, 20), CLASSES, False, "class 20: clipped", "here"),
        (lambda t, x: t % 252, CLASSES, False, "class 3: cast or wrapped", "here"),
        (lambda t, x: t.astype(np.uint8).astype(np.int8), CLASSES, False, "-1 (255 as int8)", ""),
        (lambda t, x: np.where(t == VOID, 0, t), CLASSES, False, "class 0: folded", "here"),
        (lambda t, x: np.minimum(t, 21), CLASSES + 1, False, "class 21: one more class", "here"),
        (
            lambda t, x: np.where(padding_of(x), 0, t),
            CLASSES,
            True,
            "class 0, in the padding alone",
            "here",
        ),
    ],
)
def test_each_form_is_told_from_the_others(
    y: Any, channels: int, padded: bool, says: str, leak: str
) -> None:
    fed = followed(y, channels=channels, padded=padded)[1]
    assert says in fed["says"]
    assert fed["leak"] == leak


def test_void_of_the_files_is_followed_into_batches() -> None:
    became = {0: {0: 900}, VOID: {20: 95, 0: 5}}
    against = AgainstFiles(4, {0: ("a", "as it is")}, became=became, void=VOID, classes=CLASSES)
    labels = label_facts(scene()[1] % CLASSES, CLASSES)
    drawn = void_picture(Trace({"against_files": against, "labels": labels}))
    assert [s["leak"] for s in drawn] == ["", "here", "so"]
    assert drawn[1]["says"] == "class 20: clipped to the last class"
    assert "95% of void" in drawn[1]["count"]


@pytest.mark.parametrize(("label", "channels", "code"), [(20, 21, "IGN004"), (21, 22, "IGN005")])
def test_what_void_of_the_files_has_become(label: int, channels: int, code: str) -> None:
    became = {
        0: {0: 900, label: 40},
        VOID: {label: 75, 0: 25},
    }  # rings are mixed with what is beside
    against = AgainstFiles(4, {0: ("a", "as it is")}, became=became, void=VOID, classes=CLASSES)
    trace = Trace({"against_files": against, "head": head_of(channels, (4, 8, 8))})
    outcomes = [examine(probe, trace) for probe in PROBES if probe.code in ("IGN004", "IGN005")]
    assert {f.code for o in outcomes for f in o.findings} == {code}
