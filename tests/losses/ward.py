"""A small ward: a loss, a head and labels, without a network; what the probes say of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from segdoctor.core.engine import examine
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Missing, Trace
from segdoctor.measures.labels import label_facts
from segdoctor.measures.void_trail import void_trail
from segdoctor.probes.registry import PROBES
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.head import measure_head
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.loss_answers import ask_loss, layout_of
from segdoctor.recorder.loss_as_run import loss_of_outputs
from segdoctor.recorder.loss_at_shape import ask_at_shape
from segdoctor.recorder.metric_answers import ask_metrics

FAMILIES = ("OUT", "LOSS", "IGN", "LBL")
SHAPE = (2, 12, 14)
CLASSES = 3
RNG = np.random.default_rng(7)


def ids(classes: int = CLASSES, shape: tuple[int, ...] = SHAPE, rare: float = 0.0) -> Any:
    """Blocks of classes; with ``rare`` only that share of pixels is no background."""
    if rare:
        return (np.random.default_rng(3).random(shape) < rare).astype(np.int32)
    grid = np.add.outer(np.arange(shape[1]) // 4, np.arange(shape[2]) // 5) % max(classes, 2)
    return np.stack([np.roll(grid, 3 * i, axis=1) for i in range(shape[0])]).astype(np.int32)


def output(kind: str, shape: tuple[int, ...], channels: int, dtype: str = "float32") -> Any:
    """What an untrained head of this kind gives."""
    scores = np.random.default_rng(1).normal(0, 2, (*shape, channels)).astype(np.float32)
    if kind == "softmax":
        made = tf.nn.softmax(scores)
    elif kind == "sigmoid":
        made = tf.nn.sigmoid(scores)
    else:
        made = tf.constant(scores)
    return tf.cast(made, dtype)


def encode(labels: Any, form: str, channels: int, void: Any = None) -> Any:
    """``labels`` as ``"ids"``, ``"ids1"``, ``"onehot"``, ``"zero"`` or ``"255"`` rows at void."""
    if form == "ids":
        return labels
    if form == "ids1":
        return labels[..., None]
    made = (labels[..., None] == np.arange(channels)).astype(np.float32)
    if void is not None:
        made[void] = 255.0 if form == "255" else 0.0
    return made


def head_of(channels: int, pixels: tuple[int, ...]) -> HeadFacts:
    """A head of logits on these pixels."""
    return HeadFacts((*pixels, channels), channels, len(pixels), "logits", -3.0, 3.0, 3.0)


class Scene(NamedTuple):
    """One batch: labels as fed, an untrained output, the true ids and which pixels are void."""

    y: Any
    y_pred: Any
    weight: Any
    ids: Any
    void: Any
    head: HeadFacts
    labels: LabelFacts
    ignore: int | bool | None


def scene_of(
    *,
    kind: str = "softmax",
    form: str = "onehot",
    channels: int = CLASSES,
    void: bool = False,
    ignore: int | bool | None = None,
    shape: tuple[int, ...] = SHAPE,
    rare: float = 0.0,
    weight: bool = False,
    layout: str = "BHWC",
    dtype: str = "float32",
) -> Scene:
    """Labels in one form, and what an untrained head of one kind gives."""
    where = np.zeros(shape, bool)
    if void:
        where[:, 2:5, 3:9] = True
        where[:, :2] = True
        ignore = 255 if ignore is None else ignore
    labels = np.where(where, 255, ids(max(channels, 2), shape, rare)).astype(np.int32)
    y = encode(labels, form, channels, where if void else None)
    sample_weight = (~where).astype(np.float32) if weight else None
    if weight:
        y = np.where(where.reshape(y.shape), 0, y)
    y_pred = output(kind, shape, channels, dtype)
    if layout == "BNC":
        y_pred = tf.reshape(y_pred, (shape[0], -1, channels))
        y = y.reshape(shape[0], -1, *y.shape[3:])
        sample_weight = None if sample_weight is None else sample_weight.reshape(shape[0], -1)
    elif layout == "BCHW":
        y_pred = tf.transpose(y_pred, (0, 3, 1, 2))
        y = np.moveaxis(y, -1, 1) if y.ndim == 4 else y
    head = measure_head(None, y_pred)
    if layout == "BCHW":  # the graph would tell where the classes are
        changes: dict[str, Any] = {"class_axis": 1, "channels": channels, "kind": kind}
        head = replace(head, **changes, sums_to_one_over=None)
    facts = label_facts(y, channels, ignore)
    return Scene(y, y_pred, sample_weight, labels, where, head, facts, ignore)


def examined(loss: Any, **settings: Any) -> Trace:
    """The trace of one loss on one batch."""
    scene = scene_of(**settings)
    head, facts, ignore = scene.head, scene.labels, scene.ignore
    declared = Declared(ignore_label=ignore, ignore_declared_by="user" if ignore else "")
    contract = ask_loss(loss, head.channels, head_kind=head.kind, layout=layout_of(head, facts))
    mark = 255 if scene.void.any() else -1
    trace = Trace({"declared": declared, "head": head, "labels": facts, "loss_contract": contract})
    as_run = loss_of_outputs(
        LossAsInFit(loss, keras.Sequential()),
        Outputs(scene.y_pred, None, None),
        scene.y,
        scene.weight,
        scene.void,
        class_axis=head.class_axis,
    )
    fresh = LossAsInFit(loss, keras.Sequential())
    try:
        at_shape: Any = ask_at_shape(
            fresh, contract, head, facts, scene.y, scene.weight, scene.ids, mark
        )
    except NotExaminedError as why:
        at_shape = Missing(str(why))
    trail = void_trail(
        np.zeros((*scene.ids.shape, 3)),
        scene.y,
        scene.ids,
        labels=facts,
        head=head,
        declared=declared,
        sample_weight=scene.weight,
    )
    return trace.having(
        loss_as_run=as_run,
        loss_at_shape=at_shape,
        void_trail=trail or Missing("no label is void"),
    )


def told(loss: Any, **settings: Any) -> tuple[Finding, ...]:
    """Everything found, the most important first."""
    trace = examined(loss, **settings)
    outcomes = [examine(p, trace) for p in PROBES if p.code.rstrip("0123456789") in FAMILIES]
    assert not [o for o in outcomes if o.status == "crashed"], outcomes
    return explained(f for o in outcomes for f in o.findings)


def metrics_told(metrics: list[Any], **settings: Any) -> tuple[Finding, ...]:
    """What is found of metrics on one batch, the most important first."""
    channels = settings.get("channels", CLASSES)
    scene = scene_of(**{"channels": channels, **settings})
    void = 255 if scene.void.any() else None
    contracts = ask_metrics(
        [(metric, False) for metric in metrics],
        scene.head,
        scene.labels,
        void=void,
        weighted_void=scene.weight is not None,
        batch=(scene.y, scene.y_pred, scene.weight, np.where(scene.void, -1, scene.ids)),
    )
    by = "sample_weight" if scene.weight is not None else "user"
    declared = Declared(ignore_label=void, ignore_declared_by=by if void else "")
    trace = Trace({"metrics": contracts, "head": scene.head, "declared": declared})
    chosen = [p for p in PROBES if p.code.startswith("MET") or p.code == "IGN008"]
    outcomes = [examine(probe, trace) for probe in chosen]
    assert not [o for o in outcomes if o.status == "crashed"], outcomes
    return explained(f for o in outcomes for f in o.findings)
