"""More faulty losses: selections in other dress, layouts, libraries' styles, void half masked."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tests.losses.sick import IDS, LOGITS, Case, dice, gathered

L = keras.losses
ROWS: dict[str, Any] = {"form": "255", "void": True}
VOID: dict[str, Any] = {"form": "ids", "void": True}
FLAT: dict[str, Any] = {"layout": "BNC"}
FIRST: dict[str, Any] = {"layout": "BCHW"}


def micro(y: Any, p: Any) -> Any:
    return 1 - (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y) + tf.reduce_sum(p) + 1)


def printed_with_pixel_axes(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    overlap = tf.reduce_sum(y * p, axis=[1, 2])
    return 1 - tf.reduce_mean((2 * overlap + 1) / (tf.reduce_sum(y + p, axis=[1, 2]) + 1))


def mean_of_a_number(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    return 1 - tf.reduce_mean(2 * tf.reduce_sum(y * p, -1) / tf.reduce_sum(y + p, -1), axis=0)


def gather_squares(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    overlap = 2 * tf.reduce_sum(tf.abs(y * p)) + 1e-6
    return 1 - overlap / (tf.reduce_sum(y**2) + tf.reduce_sum(p**2) + 1e-6)


def gather_binary_and_dice(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    return tf.reduce_mean(L.binary_crossentropy(y, p)) + micro(y, p)


def index_by_mask(y: Any, p: Any) -> Any:
    keep = tf.not_equal(y, 255)
    return micro(y[keep], p[keep])


def gather_of_the_flattened(y: Any, p: Any) -> Any:
    y, p = tf.reshape(y, [-1]), tf.reshape(p, [-1])
    keep = tf.squeeze(tf.where(tf.not_equal(y, 255)), -1)
    return micro(tf.gather(y, keep), tf.gather(p, keep))


def masks_the_labels_alone(y: Any, p: Any) -> Any:
    valid = tf.cast(tf.reduce_all(y <= 1, -1, keepdims=True), p.dtype)
    return dice(valid * y, p, (0, 1, 2))


def exponentials(y: Any, z: Any) -> Any:
    share = tf.reduce_sum(y * tf.exp(z), -1) / tf.reduce_sum(tf.exp(z), -1)
    return tf.reduce_mean(-tf.math.log(share))


def without_tensorflow(y: Any, p: Any) -> Any:
    return tf.numpy_function(lambda a, b: ((a - b) ** 2).mean(), [y, p], tf.float32)


def of_ids(y: Any, z: Any) -> Any:
    return tf.cast(tf.reshape(y, tf.shape(z)[:-1]), tf.int32)


def clipped_into_the_last_class(y: Any, z: Any) -> Any:
    ids = tf.minimum(of_ids(y, z), z.shape[-1] - 1)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(ids, z))


def wrapped_around(y: Any, z: Any) -> Any:
    ids = of_ids(y, z) % z.shape[-1]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(ids, z))


def masked_over_all(y: Any, z: Any) -> Any:
    ids = of_ids(y, z)
    valid = tf.cast(ids != 255, z.dtype)
    terms = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(ids == 255, 0, ids), z)
    return tf.reduce_mean(valid * terms)


def own_softmax(y: Any, z: Any) -> Any:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(y, z))


def one_softmax_of_ids(y: Any, z: Any) -> Any:
    rows = tf.one_hot(of_ids(y, z), z.shape[-1])
    shares = keras.activations.softmax(z, axis=(1, 2, 3))
    return -tf.reduce_mean(tf.reduce_sum(rows * tf.math.log(shares), -1))


def tiny(y: Any, p: Any) -> Any:
    return 1e-7 * dice(y, p)


def tiny_by_column(y: Any, p: Any) -> Any:
    return 1e-7 * dice(y, p, 1)


def score_of_present_classes(y: Any, p: Any) -> Any:
    tf.debugging.assert_positive(tf.reduce_sum(y, (0, 1, 2)))
    return 1 - dice(y, p)


CASES = [
    Case("a softmax over everything, ids", one_softmax_of_ids, "LOSS006", IDS | LOGITS),
    Case("a tiny Dice", tiny, "LOSS008", {}, "warning"),
    Case("a tiny Dice by column", tiny_by_column, "LOSS005"),
    Case("a score that fails where a class is absent", score_of_present_classes, "LOSS001"),
    Case("the printed Dice over pixel axes", printed_with_pixel_axes, "LOSS001", ROWS),
    Case("a mean of one number", mean_of_a_number, "LOSS001", ROWS),
    Case("gather_nd and squares", gather_squares, "LOSS006", ROWS),
    Case("gather_nd, binary and Dice", gather_binary_and_dice, "LOSS006", ROWS),
    Case("y[mask]", index_by_mask, "LOSS006", ROWS),
    Case("gather of the flattened", gather_of_the_flattened, "LOSS006", ROWS),
    Case("only the labels are masked", masks_the_labels_alone, "IGN001", ROWS),
    Case("exponentials by hand", exponentials, "LOSS004", LOGITS),
    Case("a function of NumPy", without_tensorflow, "LOSS001"),
    Case("Keras, axis=1", L.CategoricalCrossentropy(axis=1), "LOSS005"),
    Case("Keras' Dice, axis=1", L.Dice(axis=1), "LOSS005"),
    Case("Keras' Tversky, axis=2", L.Tversky(axis=2), "LOSS005"),
    Case("Keras' focal, axis=1", L.CategoricalFocalCrossentropy(axis=1), "LOSS005"),
    Case("cosine over rows", L.CosineSimilarity(axis=1), "LOSS005"),
    Case("channels first, axis=-1", L.CategoricalCrossentropy(), "LOSS005", FIRST),
    Case("channels first, Dice over (1, 2)", lambda y, p: dice(y, p), "LOSS005", FIRST),
    Case("flattened, Dice over images", lambda y, p: dice(y, p, 0), "LOSS005", FLAT),
    Case("flattened, 255", L.SparseCategoricalCrossentropy(), "IGN003", VOID | FLAT),
    Case("flattened, 255 rows", L.CategoricalCrossentropy(), "IGN002", ROWS | FLAT),
    Case("clipped into the last class", clipped_into_the_last_class, "IGN001", VOID | LOGITS),
    Case("wrapped around", wrapped_around, "IGN001", VOID | LOGITS),
    Case("sparse, masked over all", masked_over_all, "IGN010", VOID | LOGITS, "warning"),
    Case("an own softmax on softmax", own_softmax, "OUT001"),
    Case("logits, Keras' focal", L.CategoricalFocalCrossentropy(), "OUT002", LOGITS),
    Case("ids into focal", L.CategoricalFocalCrossentropy(), "LBL001", IDS),
]
