"""Faulty losses in the styles that people post: backend functions, factories, loops, casts."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tests.losses.sick import BINARY, IDS, LOGITS, Case, cross, gathered

L = keras.losses
ROWS: dict[str, Any] = {"form": "255", "void": True}
VOID: dict[str, Any] = {"form": "ids", "void": True}
ONE_IMAGE: dict[str, Any] = {"form": "ids1", "shape": (1, 12, 12)}


def shares_of_columns(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(p / tf.reduce_sum(p, axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    return -tf.reduce_sum(y * tf.math.log(p) * tf.constant([1.0, 2.0, 3.0]), -1)


def focal_without_minus(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(p, 1e-7, 1.0)
    return tf.reduce_mean(tf.reduce_sum(y * (1 - p) ** 2 * tf.math.log(p), -1))


def power_of_the_probability(y: Any, p: Any) -> Any:
    right = tf.reduce_sum(y * p, -1)
    return tf.reduce_mean(-(right**2) * tf.math.log(right + 1e-7))


class OneHotWithTheAxis(keras.losses.Loss):
    """(B, H, W, 1) becomes (B, H, W, 1, C), and is stretched over the picture."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = tf.one_hot(tf.cast(y_true, tf.int32), y_pred.shape[-1])
        return -tf.reduce_mean(tf.reduce_sum(rows * tf.math.log(y_pred + 1e-7), -1))


def labels_alone(y: Any, p: Any) -> Any:
    return 1 - 2 * tf.reduce_sum(y * y) / (2 * tf.reduce_sum(y) + 1) + 0 * tf.reduce_sum(y)


def a_factory(gamma: float = 2.0, alpha: float = 0.25) -> Any:
    return lambda y, p: tf.reduce_mean(alpha * (1 - p) ** gamma * cross(y, p)[..., None])


def loop_over_the_batch(y: Any, p: Any) -> Any:
    return sum(tf.reduce_mean(cross(y[i], p[i])) for i in range(p.shape[0]))


def weights_by_id(y: Any, p: Any) -> Any:
    ids = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int32)
    weights = tf.gather(tf.constant([0.2, 1.0, 2.0]), ids)
    return tf.reduce_mean(weights * L.sparse_categorical_crossentropy(ids, p))


def arg_max_of_void_rows(y: Any, z: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(y, -1), z)


def masked_binary_over_all(y: Any, p: Any) -> Any:
    keep = tf.reshape(tf.cast(y != 255, tf.float32), tf.shape(p))
    y = tf.cast(tf.reshape(y, tf.shape(p)), tf.float32)
    return tf.reduce_mean(keep * L.binary_crossentropy(y * keep, p)[..., None])


def gathered_focal(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    p /= tf.reduce_sum(p, -1, keepdims=True)
    return -tf.reduce_mean(y * (1 - p) ** 2 * tf.math.log(p + 1e-7))


def behind_the_last_class(y: Any, p: Any) -> Any:
    ids = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int32)
    return cross(tf.one_hot(ids, 4)[..., 1:], p)


def small_epsilon_in_half(y: Any, p: Any) -> Any:
    y, p = tf.cast(y, tf.float16), tf.cast(p, tf.float16)
    return tf.cast(-tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p + 1e-8), -1)), tf.float32)


CASES = [
    Case("shares of columns", shares_of_columns, "LOSS005"),
    Case("focal without its minus", focal_without_minus, "LOSS010"),
    Case("a power of the probability", power_of_the_probability, "LOSS002"),
    Case("one-hot of the axis, one image", OneHotWithTheAxis(), "LOSS007", ONE_IMAGE),
    Case("one-hot of the axis", OneHotWithTheAxis(), "LOSS001", {"form": "ids1"}),
    Case("the labels alone", labels_alone, "LOSS003"),
    Case("a factory that was not called", a_factory, "LOSS001"),
    Case("a loop over the batch", loop_over_the_batch, "LOSS001", {}, "warning"),
    Case("weights by id, void", weights_by_id, "IGN003", VOID),
    Case("arg max of void rows", arg_max_of_void_rows, "IGN001", ROWS | LOGITS),
    Case(
        "binary, masked over all",
        masked_binary_over_all,
        "IGN010",
        BINARY | {"void": True},
        "warning",
    ),
    Case("gather_nd and focal", gathered_focal, "LOSS006", ROWS),
    Case("one-hot cut at the wrong end", behind_the_last_class, "LOSS002", IDS),
    Case("1e-8 in half precision", small_epsilon_in_half, "LOSS004"),
]
