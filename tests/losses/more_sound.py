"""More sound losses: extreme options, infinite slopes at perfection, noise-shy terms, layouts."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from segdoctor.probes.loss_settings import DICE_CODE
from tests.losses.sound import FLAT, IDS, LOGITS, MANY, ONE, ROWS, VOID, Sound, cross, dice

L = keras.losses
FIRST: dict[str, Any] = {"layout": "BCHW"}


def repaired() -> Any:
    """The loss that is shown beside the question's Dice."""
    names: dict[str, Any] = {"tf": tf}
    exec(DICE_CODE, names)
    return names["dice_loss"]


def focal_tversky_of_all(y: Any, p: Any) -> Any:
    y = tf.cast(y, p.dtype)
    hit, missed = tf.reduce_sum(y * p), tf.reduce_sum(y * (1 - p))
    extra = tf.reduce_sum((1 - y) * p)
    index = (hit + 1e-7) / (hit + 0.7 * missed + 0.3 * extra + 1e-7)
    return tf.pow(1 - index, 0.75)


def smooth_outlines(y: Any, p: Any) -> Any:
    """Chan and Vese's region term with the length of the outline."""
    y = tf.cast(tf.reshape(y, tf.shape(p)), p.dtype)
    down, right = p[:, 1:, 1:] - p[:, :-1, 1:], p[:, 1:, 1:] - p[:, 1:, :-1]
    length = tf.reduce_mean(tf.sqrt(down**2 + right**2 + 1e-8))
    return length + tf.reduce_mean(p * (y - 1) ** 2 + (1 - p) * y**2)


def logarithm_of_dice(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(p, 1e-6, 1 - 1e-6)
    score = (2 * tf.reduce_sum(y * p, (0, 1, 2)) + 1) / (tf.reduce_sum(y + p, (0, 1, 2)) + 1)
    return tf.reduce_mean(tf.pow(-tf.math.log(score) + 1e-6, 0.3))


def ohem(y: Any, p: Any) -> Any:
    terms = tf.reshape(cross(y, p), [-1])
    hard = tf.boolean_mask(terms, terms > 0.36)
    least = tf.maximum(tf.size(terms) // 4, 1)
    return tf.cond(
        tf.size(hard) > least,
        lambda: tf.reduce_mean(hard),
        lambda: tf.reduce_mean(tf.math.top_k(terms, least).values),
    )


def one_more_class_cut_off(y: Any, z: Any) -> Any:
    """255 becomes class C, whose column is cut off: rows of zeros, left out of the mean."""
    ids = tf.cast(tf.reshape(y, tf.shape(z)[:-1]), tf.int32)
    rows = tf.one_hot(tf.where(ids == 255, z.shape[-1], ids), z.shape[-1] + 1)[..., :-1]
    terms = -tf.reduce_sum(rows * tf.nn.log_softmax(z), -1)
    return tf.reduce_sum(terms) / (tf.reduce_sum(rows) + 1e-6)


def sigmoid_and_weights(y: Any, z: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(z)), z.dtype)
    return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(y, z, 5.0))


def of_two_hundred_classes(y: Any, z: Any) -> Any:
    return L.sparse_categorical_crossentropy(y, z, from_logits=True)


CASES = [
    Sound("200 classes", of_two_hundred_classes, IDS | LOGITS | {"channels": 200}),
    Sound("the repaired Dice", repaired(), ROWS),
    Sound("the repaired Dice without void", repaired()),
    Sound("focal Tversky of all", focal_tversky_of_all, ONE, frozenset({"LOSS004"})),
    Sound("smooth outlines", smooth_outlines, ONE),
    Sound("the logarithm of Dice", logarithm_of_dice),
    Sound("hard examples above a threshold", ohem),
    Sound("one more class, cut off", one_more_class_cut_off, VOID | LOGITS),
    Sound("weighted sigmoid", sigmoid_and_weights, ONE | LOGITS),
    Sound(
        "binary, much smoothing",
        L.BinaryCrossentropy(from_logits=True, label_smoothing=0.4),
        ONE | LOGITS,
    ),
    Sound(
        "several labels, much smoothing",
        L.BinaryCrossentropy(from_logits=True, label_smoothing=0.4),
        MANY | LOGITS,
    ),
    Sound(
        "sparse, ids and -1", L.SparseCategoricalCrossentropy(True, ignore_class=-1), IDS | LOGITS
    ),
    Sound(
        "focal, weights by class", L.CategoricalFocalCrossentropy(alpha=[0.2, 0.3, 0.5], gamma=0.0)
    ),
    Sound("channels first, sum over (2, 3)", lambda y, p: dice_first(y, p), FIRST),
    Sound("channels first, Keras' Dice", L.Dice(axis=(2, 3)), FIRST),
    Sound("flattened, ids", L.SparseCategoricalCrossentropy(ignore_class=255), VOID | FLAT),
    Sound("flattened, one channel", L.BinaryCrossentropy(), ONE | FLAT),
    Sound("half precision, Dice", dice, {"dtype": "float16"}),
    Sound("bfloat16, focal", L.CategoricalFocalCrossentropy(), {"dtype": "bfloat16"}),
]


def dice_first(y: Any, p: Any) -> Any:
    total = tf.reduce_sum(y + p, axis=(2, 3))
    return 1 - tf.reduce_mean((2 * tf.reduce_sum(y * p, axis=(2, 3)) + 1) / (total + 1))
