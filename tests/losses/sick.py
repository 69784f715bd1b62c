"""Losses that people write, each with its fault; written here, after the patterns of FAULTS.md."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

L = keras.losses
EPS = 1e-6


class Case(NamedTuple):
    """``code``: what must be told first; ``severity``: of that finding."""

    name: str
    loss: Any
    code: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    severity: str = "error"


def ratio(overlap: Any, total: Any) -> Any:
    return 1 - tf.reduce_mean((2 * overlap + EPS) / (total + EPS))


def dice(y: Any, p: Any, axis: Any = (1, 2)) -> Any:
    return ratio(tf.reduce_sum(y * p, axis), tf.reduce_sum(y + p, axis))


def cross(y: Any, p: Any, axis: int = -1) -> Any:
    return -tf.reduce_sum(y * tf.math.log(p + 1e-7), axis=axis)


def flat(x: Any) -> Any:
    return tf.reshape(x, (tf.shape(x)[0], -1))


# --- it raises -------------------------------------------------------------------------------
def printed_gather_dice(y: Any, p: Any) -> Any:
    where = tf.where(tf.not_equal(y, 255))
    y, p = tf.gather_nd(y, where), tf.gather_nd(p, where)
    overlap = tf.reduce_sum(y * p, axis=1)
    return 1 - 2 * overlap / (tf.reduce_sum(y, axis=1) + tf.reduce_sum(p, axis=1))


def looks_at_numbers(y: Any, p: Any) -> Any:
    share = float(tf.reduce_mean(y[..., 0]).numpy())
    return tf.reduce_mean(cross(y, p)) * (1 + share)


def branches_in_python(y: Any, p: Any) -> Any:
    if tf.reduce_sum(y[..., 1]) > 0:
        return tf.reduce_mean(cross(y, p))
    return tf.reduce_mean(p[..., 1])


def weights_of_another_list(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y * tf.constant([0.1, 1.0, 1.0, 2.0, 3.0]), p))


def number_of_classes_by_heart(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(tf.reshape(y, (-1, 19)), tf.reshape(p, (-1, 19))))


def boundary_mask_of_fixed_size(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, p) * tf.ones((512, 512)))


# --- it prefers something else than the labels -------------------------------------------------
def focal_with_the_wrong_power(y: Any, p: Any) -> Any:
    return tf.reduce_mean(-tf.reduce_sum(y * p**2 * tf.math.log(p + 1e-7), -1))


def classes_rolled(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(tf.roll(y, 1, axis=-1), p))


def mirrored_labels(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(tf.reverse(y, axis=[2]), p))


def shifted_labels(y: Any, p: Any) -> Any:
    return dice(tf.roll(y, 2, axis=1), p)


def transposed_labels(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(tf.transpose(y, (0, 2, 1, 3)), p))


def entropy_alone(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(p, p)) + 0 * tf.reduce_sum(y)


def towards_uniform(y: Any, p: Any) -> Any:
    return tf.reduce_mean((p - 1 / p.shape[-1]) ** 2) + 0 * tf.reduce_mean(y)


def first_class_only(y: Any, p: Any) -> Any:
    return tf.reduce_mean(p[..., 1:] ** 2) + 1e-3 * tf.reduce_mean(cross(y, p))


# --- no gradient -----------------------------------------------------------------------------
def arg_max_iou(y: Any, p: Any) -> Any:
    same = tf.argmax(y, -1) == tf.argmax(p, -1)
    return 1 - tf.reduce_mean(tf.cast(same, tf.float32))


def rounded_dice(y: Any, p: Any) -> Any:
    return dice(y, tf.round(p))


def thresholded_jaccard(y: Any, p: Any) -> Any:
    p = tf.cast(p > 0.5, tf.float32)
    both = tf.reduce_sum(y * p)
    return 1 - (both + 1) / (tf.reduce_sum(y + p) - both + 1)


def stopped(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, tf.stop_gradient(p)))


def one_hot_of_the_winner(y: Any, p: Any) -> Any:
    return dice(y, tf.one_hot(tf.argmax(p, -1), p.shape[-1]))


def signs(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.abs(y - (tf.sign(p - 0.5) + 1) / 2))


# --- no number -------------------------------------------------------------------------------
def log_of_zero(y: Any, p: Any) -> Any:
    return -tf.reduce_sum(y * tf.math.log(p), -1)


def dice_of_the_absent(y: Any, p: Any) -> Any:
    axes = (0, 1, 2)
    return 1 - tf.reduce_mean(2 * tf.reduce_sum(y * p, axes) / tf.reduce_sum(y + p, axes))


def root_of_squares(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.sqrt(tf.reduce_sum((y - p) ** 2, -1)))


def balanced_by_counts(y: Any, p: Any) -> Any:
    weights = 1.0 / tf.reduce_sum(y, axis=(0, 1, 2))
    return tf.reduce_mean(cross(y * weights, p))


def mean_over_valid(y: Any, p: Any) -> Any:
    valid = tf.cast(y[..., 0] != 255, tf.float32)
    rows = tf.where(valid[..., None] > 0, y, 0.0)
    return tf.reduce_sum(valid * cross(rows, p)) / tf.reduce_sum(valid)


def softmax_by_hand(y: Any, z: Any) -> Any:
    powers = tf.exp(z)
    return tf.reduce_mean(cross(y, powers / tf.reduce_sum(powers, -1, keepdims=True)))


def binary_by_hand(y: Any, z: Any) -> Any:
    y, p = tf.cast(y, z.dtype), tf.sigmoid(z)
    return -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))


def sum_in_half_precision(y: Any, p: Any) -> Any:
    y, p = tf.cast(y, tf.float16) * 512, tf.cast(p, tf.float16) * 512
    return tf.cast(1 - 2 * tf.reduce_sum(y * p) / tf.reduce_sum(y * y + p * p), tf.float32)


# --- a wrong axis ----------------------------------------------------------------------------
def column_dice(y: Any, p: Any) -> Any:
    return dice(y, p, 1)


def row_dice(y: Any, p: Any) -> Any:
    return dice(y, p, 2)


def batch_dice_of_each_place(y: Any, p: Any) -> Any:
    return dice(y, p, 0)


def softmax_over_rows(y: Any, z: Any) -> Any:
    return tf.reduce_mean(-tf.reduce_sum(y * tf.nn.log_softmax(z, axis=1), -1))


def cross_entropy_over_columns(y: Any, p: Any) -> Any:
    return L.categorical_crossentropy(y, p, axis=2)


def softmax_over_the_batch(y: Any, z: Any) -> Any:
    return tf.reduce_mean(-tf.reduce_sum(y * tf.nn.log_softmax(z, axis=0), -1))


def softmax_over_the_picture(y: Any, z: Any) -> Any:
    shape = tf.shape(z)
    z = tf.reshape(z, (shape[0], -1, z.shape[-1]))
    logs = tf.reshape(tf.nn.log_softmax(z, axis=1), shape)
    return tf.reduce_mean(-tf.reduce_sum(y * logs, -1))


def column_means(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.reduce_mean(y - p, axis=1)))


def mixed_with_rows(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, p)) + dice(y, p, -2)


def weights_by_column(y: Any, p: Any) -> Any:
    weights = 1 / (1 + tf.reduce_sum(y, axis=1, keepdims=True))
    return tf.reduce_mean(cross(y * weights, p))


def iou_of_each_row(y: Any, p: Any) -> Any:
    both = tf.reduce_sum(y * p, axis=(2, 3))
    return 1 - tf.reduce_mean((both + EPS) / (tf.reduce_sum(y + p, axis=(2, 3)) - both + EPS))


# --- one long list ---------------------------------------------------------------------------
def gathered(y: Any, p: Any) -> tuple[Any, Any]:
    where = tf.where(tf.not_equal(y, 255))
    return tf.gather_nd(y, where), tf.gather_nd(p, where)


def gather_dice(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    return 1 - (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y) + tf.reduce_sum(p) + 1)


def gather_dice_last_axis(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    return 1 - (2 * tf.reduce_sum(y * p, -1) + 1) / (tf.reduce_sum(y + p, -1) + 1)


def masked_jaccard(y: Any, p: Any) -> Any:
    keep = tf.not_equal(y, 255.0)
    y, p = tf.boolean_mask(y, keep), tf.boolean_mask(p, keep)
    both = tf.reduce_sum(y * p)
    return 1 - (both + 1) / (tf.reduce_sum(y + p) - both + 1)


def partitioned_tversky(y: Any, p: Any) -> Any:
    keep = tf.cast(tf.not_equal(y, 255.0), tf.int32)
    y, p = (tf.dynamic_partition(t, keep, 2)[1] for t in (y, p))
    hit = tf.reduce_sum(y * p)
    missed, extra = tf.reduce_sum(y * (1 - p)), tf.reduce_sum((1 - y) * p)
    return 1 - (hit + 1) / (hit + 0.7 * missed + 0.3 * extra + 1)


def flat_softmax(y: Any, z: Any) -> Any:
    return tf.nn.softmax_cross_entropy_with_logits(flat(y), flat(z))


def flat_cross_entropy(y: Any, p: Any) -> Any:
    return L.categorical_crossentropy(flat(y), flat(p))


def gathered_cross_entropy(y: Any, p: Any) -> Any:
    y, p = gathered(y, p)
    return L.categorical_crossentropy(y[None], p[None])


def micro_dice(y: Any, p: Any) -> Any:
    y, p = tf.reshape(y, [-1]), tf.reshape(p, [-1])
    return 1 - (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y) + tf.reduce_sum(p) + 1)


def binary_and_micro_dice(y: Any, p: Any) -> Any:
    return tf.reduce_mean(L.binary_crossentropy(y, p)) + micro_dice(y, p)


# --- shapes that stretch ---------------------------------------------------------------------
class OwnBinary(keras.losses.Loss):
    """A Loss of one's own gets the shapes as they are: Keras brings nothing to one rank."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        p = tf.clip_by_value(y_pred, 1e-6, 1 - 1e-6)
        return -tf.reduce_mean(y_true * tf.math.log(p) + (1 - y_true) * tf.math.log(1 - p))


class OwnDice(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        overlap = tf.reduce_sum(y_true * y_pred)
        return 1 - (2 * overlap + 1) / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) + 1)


class OwnSquares(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_mean((y_true - y_pred) ** 2)


# --- size and balance ------------------------------------------------------------------------
def summed(y: Any, p: Any) -> Any:
    return tf.reduce_sum(cross(y, p))


def averaged_twice(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, p)) / (512.0 * 512.0)


def in_thousands(y: Any, p: Any) -> Any:
    return 1e4 * tf.reduce_mean(cross(y, p))


def background_counts_most(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y * tf.constant([200.0, 1.0, 1.0]), p))


# --- a score ---------------------------------------------------------------------------------
def dice_coefficient(y: Any, p: Any) -> Any:
    return 1 - dice(y, p)


def likelihood(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p + 1e-7), -1))


def soft_iou(y: Any, p: Any) -> Any:
    both = tf.reduce_sum(y * p, (0, 1, 2))
    return tf.reduce_mean((both + 1) / (tf.reduce_sum(y + p, (0, 1, 2)) - both + 1))


def agreement(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(y * p, -1))


# --- void ------------------------------------------------------------------------------------
def smoothed_zero_rows(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(0.9 * y + 0.1 / p.shape[-1], p))


def dice_over_zero_rows(y: Any, p: Any) -> Any:
    return dice(y, p, (0, 1, 2))


def zero_weight_in_the_mean(y: Any, p: Any) -> Any:
    valid = tf.cast(tf.reduce_all(y <= 1, -1), p.dtype)
    return tf.reduce_mean(valid * cross(tf.where(valid[..., None] > 0, y, 0.0), p))


def masks_the_wrong_value(y: Any, p: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int32)
    valid = tf.cast(y != 21, p.dtype)
    y = tf.minimum(y, p.shape[-1] - 1)
    rows = tf.one_hot(y, p.shape[-1])
    return tf.reduce_sum(valid * cross(rows, p)) / tf.maximum(tf.reduce_sum(valid), 1.0)


LOGITS: dict[str, Any] = {"kind": "logits"}
IDS: dict[str, Any] = {"form": "ids"}
BINARY: dict[str, Any] = {"kind": "sigmoid", "channels": 1, "form": "ids1"}
SQUARE: dict[str, Any] = {"kind": "sigmoid", "channels": 1, "form": "ids", "shape": (1, 12, 12)}

CASES = [
    Case("the printed Dice", printed_gather_dice, "LOSS001", {"form": "255", "void": True}),
    Case("the printed Dice without void", printed_gather_dice, "LOSS001"),
    Case("numpy() inside", looks_at_numbers, "LOSS001"),
    Case("a Python if", branches_in_python, "LOSS001"),
    Case("class weights of another list", weights_of_another_list, "LOSS001"),
    Case("19 classes by heart", number_of_classes_by_heart, "LOSS001", {"channels": 4}),
    Case("a mask of fixed size", boundary_mask_of_fixed_size, "LOSS001"),
    Case("focal with p in place of 1 - p", focal_with_the_wrong_power, "LOSS002"),
    Case("classes rolled by one", classes_rolled, "LOSS002"),
    Case("labels mirrored", mirrored_labels, "LOSS002"),
    Case("labels shifted", shifted_labels, "LOSS002"),
    Case("labels transposed", transposed_labels, "LOSS002", {"shape": (2, 12, 12)}),
    Case("the labels are not used", entropy_alone, "LOSS002"),
    Case("towards uniform", towards_uniform, "LOSS002"),
    Case("class 0 is cheap", first_class_only, "LOSS002"),
    Case("IoU of the arg max", arg_max_iou, "LOSS003"),
    Case("Dice of rounded probabilities", rounded_dice, "LOSS003"),
    Case("IoU above a threshold", thresholded_jaccard, "LOSS003"),
    Case("stop_gradient", stopped, "LOSS003"),
    Case("one-hot of the winner", one_hot_of_the_winner, "LOSS003"),
    Case("signs", signs, "LOSS003"),
    Case("log(0)", log_of_zero, "LOSS004"),
    Case("0/0 of an absent class", dice_of_the_absent, "LOSS004"),
    Case("the root of zero", root_of_squares, "LOSS004"),
    Case("1/0 pixels of a class", balanced_by_counts, "LOSS004"),
    Case("a mean over nothing", mean_over_valid, "LOSS004", {"form": "255", "void": True}),
    Case("softmax by hand", softmax_by_hand, "LOSS004", LOGITS),
    Case("sigmoid and log by hand", binary_by_hand, "LOSS004", BINARY | LOGITS),
    Case("a sum in half precision", sum_in_half_precision, "LOSS004"),
    Case("Dice by column", column_dice, "LOSS005"),
    Case("Dice by row", row_dice, "LOSS005"),
    Case("Dice over the batch axis alone", batch_dice_of_each_place, "LOSS005"),
    Case("softmax over rows", softmax_over_rows, "LOSS005", LOGITS),
    Case("cross-entropy with axis=2", cross_entropy_over_columns, "LOSS005"),
    Case("softmax over the batch", softmax_over_the_batch, "LOSS005", LOGITS),
    Case("softmax over the picture", softmax_over_the_picture, "LOSS005", LOGITS),
    Case("means of columns", column_means, "LOSS005"),
    Case("cross-entropy and Dice by column", mixed_with_rows, "LOSS005"),
    Case("class weights by column", weights_by_column, "LOSS005"),
    Case("IoU of each row", iou_of_each_row, "LOSS005"),
    Case("gather_nd and Dice", gather_dice, "LOSS006"),
    Case("gather_nd and Dice, axis -1", gather_dice_last_axis, "LOSS006"),
    Case("boolean_mask and IoU", masked_jaccard, "LOSS006"),
    Case("dynamic_partition and Tversky", partitioned_tversky, "LOSS006"),
    Case("a softmax over everything", flat_softmax, "LOSS006", LOGITS),
    Case("cross-entropy over everything", flat_cross_entropy, "LOSS006"),
    Case("gather_nd and cross-entropy", gathered_cross_entropy, "LOSS006"),
    Case("micro-averaged Dice", micro_dice, "LOSS006", {}, "warning"),
    Case("binary and micro-averaged Dice", binary_and_micro_dice, "LOSS006", {}, "warning"),
    Case("own binary, one image", OwnBinary(), "LOSS007", SQUARE),
    Case("own Dice, one image", OwnDice(), "LOSS007", SQUARE),
    Case("own squares, one image", OwnSquares(), "LOSS007", SQUARE),
    Case("own squares, ids", OwnSquares(), "LBL001", {"form": "ids1"}),
    Case("a sum", summed, "LOSS008", {}, "warning"),
    Case("Keras' sum", L.CategoricalCrossentropy(reduction="sum"), "LOSS008", {}, "warning"),
    Case("a mean twice", averaged_twice, "LOSS008", {}, "warning"),
    Case("times 10,000", in_thousands, "LOSS008", {}, "warning"),
    Case("background counts most", background_counts_most, "LOSS009", {}, "warning"),
    Case("2 % foreground", L.CategoricalCrossentropy(), "LOSS009", {"rare": 0.015}, "warning"),
    Case("a metric object", keras.metrics.OneHotMeanIoU(3), "LOSS010"),
    Case("another metric object", keras.metrics.CategoricalAccuracy(), "LOSS010"),
    Case("the Dice coefficient", dice_coefficient, "LOSS010"),
    Case("the log-likelihood", likelihood, "LOSS010"),
    Case("a soft IoU", soft_iou, "LOSS010"),
    Case("the probability of the label", agreement, "LOSS010"),
    Case("accuracy", keras.metrics.categorical_accuracy, "LOSS010"),
    Case("zero rows, smoothed", smoothed_zero_rows, "IGN001", {"form": "zero", "void": True}),
    Case("zero rows, Dice", dice_over_zero_rows, "IGN001", {"form": "zero", "void": True}),
    Case("another value masked", masks_the_wrong_value, "IGN001", {"form": "ids", "void": True}),
    Case(
        "255 rows, cross-entropy",
        L.CategoricalCrossentropy(),
        "IGN002",
        {"form": "255", "void": True},
    ),
    Case("255 rows, Dice", L.Dice(), "IGN002", {"form": "255", "void": True}),
    Case(
        "255, sparse",
        L.SparseCategoricalCrossentropy(),
        "IGN003",
        {"form": "ids", "void": True},
    ),
    Case(
        "masked, but counted",
        zero_weight_in_the_mean,
        "IGN010",
        {"form": "255", "void": True},
        "warning",
    ),
    Case("one-hot, sparse", L.SparseCategoricalCrossentropy(), "LBL001"),
    Case("ids, categorical", L.CategoricalCrossentropy(), "LBL001", IDS),
    Case("logits, probabilities", L.Dice(), "OUT002", LOGITS),
    Case("probabilities, logits", L.CategoricalCrossentropy(from_logits=True), "OUT001"),
]
