"""A small ward: a loss, a head and labels, without a network; what the probes say of them."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from segdoctor.core.engine import examine
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Missing, Trace
from segdoctor.measures.decoding import label_ids
from segdoctor.measures.labels import label_facts
from segdoctor.measures.void_trail import void_trail
from segdoctor.probes import PROBES
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.head import measure_head
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.loss_answers import ask_loss, layout_of
from segdoctor.recorder.loss_as_run import loss_of_outputs
from segdoctor.recorder.loss_at_shape import ask_at_shape

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


def examined(
    loss: Any,
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
) -> Trace:
    """The trace of one loss on one batch."""
    classes = max(channels, 2)
    labels = ids(classes, shape, rare)
    y_pred = output(kind, shape, channels, dtype)
    where = np.zeros(shape, bool)
    if void:
        where[:, 2:5, 3:9] = True
        where[:, :2] = True
        ignore = 255 if ignore is None else ignore
    labels = np.where(where, 255, labels).astype(np.int32)
    sample_weight = (~where).astype(np.float32) if weight else None
    y = encode(labels, form, channels, where if void else None)
    if weight and form.startswith("ids"):
        y = np.where(where.reshape(y.shape), 0, y)
    if layout == "BNC":
        y_pred = tf.reshape(y_pred, (shape[0], -1, channels))
        y = y.reshape(shape[0], -1, *y.shape[3:])
        sample_weight = None if sample_weight is None else sample_weight.reshape(shape[0], -1)
    elif layout == "BCHW":
        y_pred = tf.transpose(y_pred, (0, 3, 1, 2))
        y = np.moveaxis(y, -1, 1) if y.ndim == 4 else y
    head = measure_head(None, y_pred)
    if layout == "BCHW":
        from dataclasses import replace

        head = replace(
            head, class_axis=1, channels=channels, kind=kind, sums_to_one_over=None
        )
    facts = label_facts(y, channels, ignore)
    declared = Declared(ignore_label=ignore, ignore_declared_by="user" if ignore else "")
    as_in_fit = None
    contract = ask_loss(loss, channels, head_kind=head.kind, layout=layout_of(head))
    true = label_ids(
        np.moveaxis(y, 1, -1) if layout == "BCHW" and y.ndim == 4 else y,
        shape[1:],
        onehot=facts.kind == "onehot",
        void=255 if void else None,
        sample_weight=sample_weight,
    )
    mark = 255 if void else -1
    trace = Trace({"declared": declared, "head": head, "labels": facts, "loss_contract": contract})
    try:
        as_in_fit = LossAsInFit(loss, keras.Sequential())
    except ValueError as error:
        return trace.having(loss_as_run=Missing(str(error)), loss_at_shape=Missing(str(error)))
    as_run = loss_of_outputs(
        as_in_fit,
        Outputs(y_pred, None, None),
        y,
        sample_weight,
        true == mark,
        class_axis=head.class_axis,
    )
    try:
        at_shape: Any = ask_at_shape(
            LossAsInFit(loss, keras.Sequential()),
            contract, head, facts, y, sample_weight, true, mark,
        )
    except NotExaminedError as why:
        at_shape = Missing(str(why))
    trail = void_trail(
        np.zeros((*shape, 3)), y, true,
        labels=facts, head=head, declared=declared, sample_weight=sample_weight,
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
