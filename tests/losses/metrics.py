"""Metrics that people write or choose, faulty and sound, each on the labels it is fed."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

M = keras.metrics


class MetricCase(NamedTuple):
    """``code``: what is said first; "" for nothing."""

    name: str
    metrics: list[Any]
    code: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never written to


def confusion_iou(y: Any, p: Any) -> Any:
    y, p = tf.argmax(y, -1), tf.argmax(p, -1)
    matrix = tf.math.confusion_matrix(tf.reshape(y, [-1]), tf.reshape(p, [-1]), 3, dtype="float32")
    hit = tf.linalg.diag_part(matrix)
    return hit, tf.reduce_sum(matrix, 0) + tf.reduce_sum(matrix, 1) - hit


def iou_over_all_classes(y: Any, p: Any) -> Any:
    hit, union = confusion_iou(y, p)
    return tf.reduce_sum(tf.math.divide_no_nan(hit, union)) / 3


def iou_without_guard(y: Any, p: Any) -> Any:
    hit, union = confusion_iou(y, p)
    return tf.reduce_mean(hit / union)


def smoothed_iou(y: Any, p: Any) -> Any:
    hit, union = confusion_iou(y, p)
    return tf.reduce_mean((hit + 1.0) / (union + 1.0))


def batch_iou(y: Any, p: Any) -> Any:
    hit, union = confusion_iou(y, p)
    present = tf.cast(union > 0, tf.float32)
    return tf.reduce_sum(tf.math.divide_no_nan(hit, union)) / tf.reduce_sum(present)


def dice_twice(y: Any, p: Any) -> Any:
    return 4 * tf.reduce_sum(y * p) / (tf.reduce_sum(y) + tf.reduce_sum(p))


def dice_half(y: Any, p: Any) -> Any:
    return tf.reduce_sum(y * p) / (tf.reduce_sum(y) + tf.reduce_sum(p))


def background_accuracy(y: Any, p: Any) -> Any:
    return tf.reduce_mean(p[..., 0])


def sparse_accuracy_over_rows(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.cast(tf.argmax(y, 1) == tf.argmax(p, 1), tf.float32))


def hard_dice_of_logits(y: Any, p: Any) -> Any:
    y, p = tf.cast(tf.reshape(y, [-1]), tf.float32), tf.reshape(p, [-1])
    return (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y) + tf.reduce_sum(p) + 1)


def pixel_accuracy_of_valid(y: Any, p: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(p)[:-1]), tf.int64)
    valid = tf.cast(y != 255, tf.float32)
    right = tf.cast(tf.argmax(p, -1) == y, tf.float32)
    return tf.reduce_sum(valid * right) / tf.reduce_sum(valid)


def accuracy_of_valid_rows(y: Any, p: Any) -> Any:
    valid = tf.reduce_all(y <= 1, -1)
    right = valid & (tf.argmax(y, -1) == tf.argmax(p, -1))
    return tf.math.count_nonzero(right) / tf.math.count_nonzero(valid)


def accuracy_of_channels_first(y: Any, p: Any) -> Any:
    return tf.reduce_mean(tf.cast(tf.argmax(y, 1) == tf.argmax(p, 1), tf.float32))


class Confusion(keras.metrics.Metric):
    """Sums a confusion matrix; ``divide_by_all``: absent classes count as 0."""

    def __init__(self, classes: int = 3, divide_by_all: bool = False) -> None:
        super().__init__(name="own_iou")
        self.classes, self.divide_by_all = classes, divide_by_all
        self.matrix = self.add_variable((classes, classes), initializer="zeros", name="matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y = tf.reshape(tf.cast(y_true, tf.int32), [-1])
        p = tf.reshape(tf.argmax(y_pred, -1, output_type=tf.int32), [-1])
        keep = tf.where(y < self.classes)
        y, p = tf.gather_nd(y, keep), tf.gather_nd(p, keep)
        self.matrix.assign_add(tf.math.confusion_matrix(y, p, self.classes, dtype="float32"))

    def result(self) -> Any:
        matrix = tf.convert_to_tensor(self.matrix)
        hit = tf.linalg.diag_part(matrix)
        union = tf.reduce_sum(matrix, 0) + tf.reduce_sum(matrix, 1) - hit
        iou = tf.math.divide_no_nan(hit, union)
        if self.divide_by_all:
            return tf.reduce_mean(iou)
        return tf.reduce_sum(iou) / tf.maximum(tf.reduce_sum(tf.cast(union > 0, iou.dtype)), 1.0)


class KeepsTheLastBatch(Confusion):
    """Forgets what came before: the score of the last batch only."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.matrix.assign(tf.zeros_like(self.matrix))
        super().update_state(y_true, y_pred)


class NeverEmpty(Confusion):
    """Sums over all epochs."""

    def reset_state(self) -> None:
        pass


class ArgMaxFirst(keras.metrics.MeanIoU):
    """The usual repair of Keras' MeanIoU."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, tf.argmax(y_pred, -1), sample_weight)


IDS: dict[str, Any] = {"form": "ids"}
ONE: dict[str, Any] = {"kind": "sigmoid", "channels": 1, "form": "ids1"}
VOID: dict[str, Any] = {"form": "ids", "void": True}
WEIGHTS: dict[str, Any] = {"form": "ids", "void": True, "weight": True}
ROWS: dict[str, Any] = {"form": "255", "void": True}
FIRST: dict[str, Any] = {"layout": "BCHW"}
LOGITS: dict[str, Any] = {"kind": "logits"}
RARE: dict[str, Any] = {"rare": 0.1}


def miou(**options: Any) -> Any:
    return M.MeanIoU(3, sparse_y_pred=False, **options)


SICK = [
    MetricCase("MeanIoU of probabilities", [M.MeanIoU(3)], "MET002"),
    MetricCase("MeanIoU of probabilities, ids", [M.MeanIoU(3)], "MET002", IDS),
    MetricCase("MeanIoU of one sigmoid", [M.MeanIoU(2)], "MET002", ONE),
    MetricCase("IoU of probabilities", [M.IoU(3, [1])], "MET002"),
    MetricCase("OneHotMeanIoU of ids", [M.OneHotMeanIoU(3)], "MET002", IDS),
    MetricCase("BinaryIoU of logits", [M.BinaryIoU()], "MET002", ONE | LOGITS),
    MetricCase("accuracy of binary logits", [M.BinaryAccuracy()], "MET002", ONE | LOGITS),
    MetricCase("exact matches", [M.Accuracy()], "MET002", IDS),
    MetricCase("soft Dice of logits", [hard_dice_of_logits], "MET002", ONE | LOGITS),
    MetricCase("F1 of images", [M.F1Score()], "MET001"),
    MetricCase("Dice counted twice", [dice_twice], "MET001"),
    MetricCase("Dice without its 2", [dice_half], "MET001"),
    MetricCase("the share of background", [background_accuracy], "MET001"),
    MetricCase("accuracy of columns", [sparse_accuracy_over_rows], "MET004"),
    MetricCase("accuracy alone", ["accuracy"], "MET003", RARE),
    MetricCase("accuracy and precision", ["accuracy", M.Precision()], "MET003", RARE),
    MetricCase("absent classes are 0", [iou_over_all_classes], "MET004"),
    MetricCase("absent classes are NaN", [iou_without_guard], "MET004"),
    MetricCase("absent classes are 1", [smoothed_iou], "MET004"),
    MetricCase("an IoU of each batch", [batch_iou], "MET004"),
    MetricCase("a matrix over all classes", [Confusion(divide_by_all=True)], "MET004", IDS),
    MetricCase("the last batch", [KeepsTheLastBatch()], "MET004", IDS),
    MetricCase("void in the accuracy", ["accuracy"], "IGN008", VOID),
    MetricCase("weights do not reach metrics", [miou()], "IGN008", WEIGHTS),
]

SICK += [
    MetricCase("MeanIoU of too few classes", [M.MeanIoU(2, sparse_y_pred=False)], "MET004", IDS),
    MetricCase("unmasked accuracy of 255 rows", ["accuracy"], "IGN008", ROWS),
    MetricCase("channels first, axis=-1", [M.CategoricalAccuracy()], "MET004", FIRST),
]

SICK += [
    MetricCase(
        "categorical accuracy of ids with an axis",
        [M.CategoricalAccuracy()],
        "MET002",
        {"form": "ids1"},
    ),
    MetricCase("a matrix that is never emptied", [NeverEmpty()], "MET004", IDS),
]

SOUND = [
    MetricCase("MeanIoU of the arg max", [ArgMaxFirst(3)], "", IDS),
    MetricCase("OneHotMeanIoU without background", [M.OneHotMeanIoU(3, ignore_class=0)], ""),
    MetricCase("accuracy and IoU", ["accuracy", miou()], "", IDS | RARE),
    MetricCase("accuracy of balanced labels", ["accuracy"], ""),
    MetricCase("MeanIoU", [miou()], "", IDS),
    MetricCase("MeanIoU, channel axis", [miou()], "", {"form": "ids1"}),
    MetricCase("MeanIoU of logits", [miou()], "", IDS | LOGITS),
    MetricCase("MeanIoU without void", [miou(ignore_class=255)], "", VOID),
    MetricCase("MeanIoU drops ids that it does not know", [miou()], "", VOID),
    MetricCase("OneHotMeanIoU", [M.OneHotMeanIoU(3)], ""),
    MetricCase("OneHotMeanIoU of logits", [M.OneHotMeanIoU(3)], "", LOGITS),
    MetricCase("OneHotIoU of objects", [M.OneHotIoU(3, [1, 2])], ""),
    MetricCase("IoU of one class", [M.IoU(3, [2], sparse_y_pred=False)], "", IDS),
    MetricCase("IoU of two", [M.IoU(3, [0, 1], sparse_y_pred=False)], "", IDS),
    MetricCase(
        "IoU of one-hot labels", [M.IoU(3, [1], sparse_y_true=False, sparse_y_pred=False)], ""
    ),
    MetricCase("BinaryIoU", [M.BinaryIoU()], "", ONE),
    MetricCase("BinaryIoU of objects", [M.BinaryIoU([1])], "", ONE),
    MetricCase("BinaryIoU, logits", [M.BinaryIoU(threshold=0.0)], "", ONE | LOGITS),
    MetricCase("binary accuracy", ["accuracy"], "", ONE),
    MetricCase("precision and recall", [M.Precision(), M.Recall()], "", ONE),
    MetricCase("area under the curve", [M.AUC()], "", ONE),
    MetricCase("sparse accuracy", [M.SparseCategoricalAccuracy()], "", IDS),
    MetricCase("an error", ["mse"], ""),
    MetricCase("cross-entropy", [M.CategoricalCrossentropy()], ""),
    MetricCase("a matrix of one's own", [Confusion()], "", IDS),
    MetricCase("a matrix of one's own, void", [Confusion()], "", VOID),
    MetricCase("accuracy of valid pixels", [pixel_accuracy_of_valid], "", VOID),
    MetricCase("accuracy of valid rows", [accuracy_of_valid_rows], "", ROWS),
    MetricCase("channels first, axis=1", [accuracy_of_channels_first], "", FIRST),
    MetricCase("flattened", [miou()], "", IDS | {"layout": "BNC"}),
    MetricCase("the best two", [M.SparseTopKCategoricalAccuracy(2), miou()], "", IDS),
]
