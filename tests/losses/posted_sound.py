"""Sound losses in the styles that people post: margins, graphs, signatures, state, distances."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.losses.sound import IDS, LOGITS, MANY, ONE, ROWS, VOID, Sound, cross

L = keras.losses
FIRST: dict[str, Any] = {"layout": "BCHW"}


@tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])] * 2)
def with_a_signature(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, p))


def in_a_graph_alone(y: Any, p: Any) -> Any:
    if tf.executing_eagerly():
        raise RuntimeError("made for graphs")
    return tf.reduce_mean(cross(y, p))


class Remembers(keras.losses.Loss):
    """Balances the classes by a running mean of their shares."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = tf.Variable(tf.ones(3) / 3, trainable=False)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.shares.assign(0.9 * self.shares + 0.1 * tf.reduce_mean(y_true, (0, 1, 2)))
        weights = tf.reduce_sum(y_true / (self.shares + 0.05), -1)
        return tf.reduce_mean(weights * cross(y_true, y_pred))


class OfTwoImages(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return cross(tf.reshape(y_true, (2, -1, 3)), tf.reshape(y_pred, (2, -1, 3)))


def reads_a_global(y: Any, p: Any) -> Any:
    return cross(y * WEIGHTS, p)


WEIGHTS = tf.Variable([1.0, 2.0, 3.0])


def drops_pixels(y: Any, p: Any) -> Any:
    kept = tf.cast(tf.random.uniform(tf.shape(p)[:-1]) > 0.3, tf.float32)
    return tf.reduce_mean(kept * cross(y, p))


def margin(y: Any, z: Any) -> Any:
    return tf.nn.softmax_cross_entropy_with_logits(y, z - 0.35 * y)


def scores_on_a_sphere(y: Any, z: Any) -> Any:
    z /= tf.norm(z, axis=-1, keepdims=True) + 1e-7
    return tf.nn.softmax_cross_entropy_with_logits(y, z / 0.04)


def jaccard_at_the_pixel(y: Any, p: Any) -> Any:
    both, total = tf.reduce_sum(y * p, -1), tf.reduce_sum(y + p, -1)
    return 100 * (1 - (both + 100) / (total - both + 100))


def symmetric(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(p, 1e-7, 1.0)
    back = -tf.reduce_sum(p * tf.math.log(tf.clip_by_value(y, 1e-4, 1.0)), -1)
    return 0.1 * cross(y, p) + back


def lovasz_hinge(y: Any, z: Any) -> Any:
    y, z = tf.reshape(tf.cast(y, tf.float32), [-1]), tf.reshape(z, [-1])
    errors, order = tf.math.top_k(1 - z * (2 * y - 1), k=tf.size(z))
    truth = tf.gather(y, order)
    left = tf.reduce_sum(truth) - tf.cumsum(truth)
    jaccard = 1 - left / (tf.reduce_sum(truth) + tf.cumsum(1 - truth))
    steps = tf.concat([jaccard[:1], jaccard[1:] - jaccard[:-1]], 0)
    return tf.tensordot(tf.nn.relu(errors), tf.stop_gradient(steps), 1)


def nearness(labels: Any) -> Any:
    """What SciPy's distance transforms are used for, made of the labels outside of the graph."""
    array = np.asarray(labels)
    return (np.roll(array, 1, 1) + np.roll(array, -1, 1) < 1).astype(np.float32)


def distances(y: Any, p: Any) -> Any:
    far = tf.py_function(nearness, [y], tf.float32)
    far.set_shape(p.shape)
    return tf.reduce_mean(far * (1 - y) * p) + tf.reduce_mean(cross(y, p))


def sparse_dice_of_valid(y: Any, p: Any) -> Any:
    ids = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int32)
    rows = tf.one_hot(ids, 256)[..., :3]
    p *= tf.reduce_sum(rows, -1, keepdims=True)
    both, total = tf.reduce_sum(rows * p, (1, 2)), tf.reduce_sum(rows + p, (1, 2))
    return 1 - tf.reduce_mean((2 * both + 1) / (total + 1))


def cross_and_dice_of_valid(y: Any, z: Any) -> Any:
    valid = tf.cast(tf.reduce_max(y, -1) <= 1, tf.float32)
    y, p = tf.where(y > 1, 0.0, y), tf.nn.softmax(z) * valid[..., None]
    terms = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(y), z) * valid
    both, total = tf.reduce_sum(y * p, (0, 1, 2)), tf.reduce_sum(y + p, (0, 1, 2))
    dice = 1 - tf.reduce_mean((2 * both + 1) / (total + 1))
    return tf.reduce_sum(terms) / (tf.reduce_sum(valid) + 1e-7) + dice


def first_moved_last(y: Any, z: Any) -> Any:
    axes = (0, 2, 3, 1)
    return tf.nn.softmax_cross_entropy_with_logits(tf.transpose(y, axes), tf.transpose(z, axes))


def masked_binary(y: Any, p: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(p)), tf.float32)
    valid, p = tf.cast(y <= 1, tf.float32), tf.clip_by_value(p, 1e-7, 1 - 1e-7)
    terms = y * valid * tf.math.log(p) + (1 - y * valid) * tf.math.log(1 - p)
    return -tf.reduce_sum(valid * terms) / (tf.reduce_sum(valid) + 1e-7)


def inner_part(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y[:, 2:-2, 2:-2], p[:, 2:-2, 2:-2]))


def mean_id(y: Any, p: Any) -> Any:
    """Regression of ids that have an order."""
    ids = tf.reduce_sum(p * tf.constant([0.0, 1.0, 2.0]), -1)
    return tf.reduce_mean((tf.cast(tf.argmax(y, -1), tf.float32) - ids) ** 2)


def sum_of_valid(y: Any, p: Any) -> Any:
    keep = tf.reduce_all(y <= 1, -1)
    return tf.reduce_sum(cross(tf.boolean_mask(y, keep), tf.boolean_mask(p, keep)))


CASES = [
    Sound("the border is cut off", inner_part),
    Sound("the mean id", mean_id),
    Sound("a sum over valid pixels", sum_of_valid, ROWS),
    Sound("a signature", with_a_signature),
    Sound("in a graph alone", in_a_graph_alone),
    Sound("a running mean", Remembers()),
    Sound("of two images", OfTwoImages()),
    Sound("a global", reads_a_global),
    Sound("pixels dropped by chance", drops_pixels),
    Sound("a margin", margin, LOGITS),
    Sound("scores on a sphere", scores_on_a_sphere, LOGITS),
    Sound("Jaccard at the pixel", jaccard_at_the_pixel),
    Sound("symmetric cross-entropy", symmetric),
    Sound("Lovász, binary", lovasz_hinge, ONE | LOGITS),
    Sound("distances of py_function", distances),
    Sound("sparse Dice of valid pixels", sparse_dice_of_valid, VOID),
    Sound("cross-entropy and Dice of valid pixels", cross_and_dice_of_valid, ROWS | LOGITS),
    Sound("channels first, moved last", first_moved_last, FIRST | LOGITS),
    Sound("masked binary", masked_binary, ONE | {"void": True}),
    Sound("binary, several labels, smoothed", L.BinaryCrossentropy(True, 0.1), MANY | LOGITS),
    Sound("as many images as rows", L.SparseCategoricalCrossentropy(), IDS | {"shape": (6, 6, 6)}),
]
