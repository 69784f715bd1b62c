"""A loss that takes labels with one more channel, as one of the labels without it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.loss_answer import AGREEMENT, agreement
from segdoctor.measures.packed_labels import Core
from segdoctor.recorder.adapted_loss import adapted_loss
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit


def unpacked_loss(loss: Any, model: Any, core: Core) -> Any:
    """``(y_true, y_pred, sample_weight)`` of a loss that finds the weight, or void, in the last
    channel of what it is fed."""
    import tensorflow as tf

    def packed(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        y_true = tf.cast(y_true, tf.float32)
        if y_true.shape.rank == y_pred.shape.rank - 1:
            y_true = y_true[..., None]
        if core == "void channel":
            last = tf.maximum(1.0 - tf.reduce_sum(y_true, axis=-1, keepdims=True), 0.0)
            return tf.concat([y_true, last], axis=-1), y_pred, sample_weight
        last = tf.ones_like(y_true[..., :1])
        if sample_weight is not None:
            last *= tf.reshape(tf.cast(sample_weight, tf.float32), tf.shape(last))
        return tf.concat([y_true, last], axis=-1), y_pred, None

    return adapted_loss(loss, model, packed)


def understands(
    loss: Any,
    model: Any,
    y: NDArray[Any],
    weight: NDArray[Any] | None,
    ids: NDArray[Any],
    onehot: bool,
    channels: int,
) -> bool:
    """Whether other labels move the gradient of ``loss`` (as :func:`unpacked_loss` makes it) where
    they should; ``ids`` (B, …) says the labels ``y``."""
    import tensorflow as tf

    asked = LossAsInFit(loss, model)
    other = np.where(ids >= 0, (ids + 1) % max(channels, 2), ids)
    other_y = np.roll(y, 1, axis=-1) if onehot else np.where(ids >= 0, other, y)
    rng = np.random.default_rng(5)
    rows = rng.uniform(0.4, 0.6, (*ids.shape, channels)).astype(np.float32)
    y_pred = tf.constant(rows / rows.sum(axis=-1, keepdims=True) if channels > 1 else rows)
    gradients = []
    for labels in (y, other_y):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(y_pred)
            try:
                value = tf.reduce_sum(asked(labels, Outputs(y_pred, None, None), weight))
            except Exception:  # noqa: BLE001 - a stranger's loss: then it is no such one
                return False
        gradients.append(tape.gradient(value, y_pred))
    if any(gradient is None for gradient in gradients):
        return False
    change = np.asarray(gradients[0] - gradients[1], np.float64)
    valid = (ids >= 0) if weight is None else (ids >= 0) & (weight > 0)
    found = agreement(change[valid], ids[valid], other[valid])
    return found is not None and abs(found) >= AGREEMENT
