"""A right loss for a head and labels: the stand-in where no loss is known, and a treatment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from segdoctor.core.measured import HeadFacts, LabelFacts

Loss = Callable[[Any, Any], Any]


def right_loss(
    head: HeadFacts,
    labels: LabelFacts,
    ignore_label: int | bool | None,
    flavour: str = "keras3",
) -> tuple[Loss, str]:
    """A cross-entropy that fits the head and the labels as they are, void left out.

    Parameters
    ----------
    head, labels : as measured
    ignore_label : int, False (there is none) or None (unknown: 255 and -1 are left out)
    flavour : str
        The Keras whose functions are used.

    Returns
    -------
    loss : callable ``(y_true, y_pred) -> (B, H, W)``
        Scaled such that Keras' mean over all pixels is the mean over the valid ones; the gradient
        at void pixels is exactly zero, also with ``sample_weight`` maps.
    words : str
        What it is, for the report.
    """
    terms, what = _terms(head, labels, flavour)
    values = _void_values(ignore_label)
    onehot = labels.kind == "onehot" and head.channels > 1
    exclusive = head.kind != "sigmoid"  # with a sigmoid for each class, "none" is an answer

    def segdoctor_right_loss(y_true: Any, y_pred: Any) -> Any:
        import tensorflow as tf

        if head.class_axis not in (-1, len(head.shape) - 1):
            order = [axis for axis in range(len(head.shape)) if axis != head.class_axis]
            y_pred = tf.transpose(y_pred, [*order, head.class_axis])
        if y_pred.shape.rank == len(head.shape) - 1:
            y_pred = y_pred[..., None]  # Keras squeezes one channel to the rank of the labels
        y_true, valid = _targets(y_true, y_pred, values, onehot, exclusive)
        weights = tf.cast(valid, y_pred.dtype)
        share = tf.reduce_mean(weights)
        return terms(y_true, y_pred) * tf.math.divide_no_nan(weights, share)

    left_out = f", void ({', '.join(map(str, values))}) left out" if values else ""
    return segdoctor_right_loss, f"{what}{left_out}"


def _void_values(ignore_label: int | bool | None) -> tuple[int, ...]:
    if ignore_label is None:
        return (255, -1)
    return () if ignore_label is False else (int(ignore_label),)


def _targets(
    y_true: Any, y_pred: Any, values: tuple[int, ...], onehot: bool, exclusive: bool
) -> tuple[Any, Any]:
    """Targets without void, and which pixels are valid, both on the pixels of ``y_pred``."""
    import tensorflow as tf

    y_true = tf.cast(tf.convert_to_tensor(y_true), y_pred.dtype)
    if onehot:
        rows = tf.reshape(y_true, tf.shape(y_pred))
        valid = tf.reduce_all((rows >= 0) & (rows <= 1), axis=-1)
        if exclusive:
            valid &= tf.reduce_max(rows, axis=-1) > 0
        return tf.where(valid[..., None], rows, 0), valid
    ids = tf.reshape(y_true, tf.shape(y_pred)[:-1])
    valid = tf.ones_like(ids, dtype=tf.bool)
    for value in values:
        valid &= ids != tf.cast(value, ids.dtype)
    return tf.where(valid, ids, 0), valid


def _terms(head: HeadFacts, labels: LabelFacts, flavour: str) -> tuple[Loss, str]:
    """``(targets, output) -> loss of each pixel``, and its name."""
    if flavour == "keras3":
        import keras
    else:
        import tf_keras as keras
    losses = keras.losses
    logits = head.kind == "logits"
    scale = "logits" if logits else "probabilities"
    onehot = labels.kind == "onehot"
    if head.channels == 1:
        return (
            lambda y, p: losses.binary_crossentropy(y[..., None], p, from_logits=logits)
        ), f"binary cross-entropy on {scale}"
    if head.kind == "sigmoid":
        return (
            lambda y, p: losses.binary_crossentropy(y if onehot else _one_hot(y, p), p)
        ), "binary cross-entropy for each class on probabilities"
    if onehot:
        return (
            lambda y, p: losses.categorical_crossentropy(y, p, from_logits=logits)
        ), f"categorical cross-entropy on {scale}"
    return (
        lambda y, p: losses.sparse_categorical_crossentropy(y, p, from_logits=logits)
    ), f"sparse categorical cross-entropy on {scale}"


def _one_hot(ids: Any, like: Any) -> Any:
    import tensorflow as tf

    return tf.one_hot(tf.cast(ids, tf.int32), like.shape[-1], dtype=like.dtype)
