"""Losses that are right, in all their forms: none may be called an error."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

L = keras.losses
Sparse, Categorical, Binary = (
    L.SparseCategoricalCrossentropy,
    L.CategoricalCrossentropy,
    L.BinaryCrossentropy,
)


class Sound(NamedTuple):
    """``most``: the severest thing that may be said (a note or a warning, with its code)."""

    name: str
    loss: Any
    settings: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    may: frozenset[str] = frozenset()


def dice(y: Any, p: Any) -> Any:
    overlap = tf.reduce_sum(y * p, axis=(1, 2))
    total = tf.reduce_sum(y + p, axis=(1, 2))
    return 1 - tf.reduce_mean((2 * overlap + 1) / (total + 1))


def dice_of_the_batch(y: Any, p: Any) -> Any:
    overlap = tf.reduce_sum(y * p, axis=(0, 1, 2))
    total = tf.reduce_sum(y * y + p * p, axis=(0, 1, 2))
    return -tf.reduce_mean((2 * overlap + 1) / (total + 1))


def dice_of_logits(y: Any, z: Any) -> Any:
    return dice(y, tf.nn.softmax(z))


def dice_without_background(y: Any, p: Any) -> Any:
    return dice(y[..., 1:], p[..., 1:])


def generalised_dice(y: Any, p: Any) -> Any:
    weight = 1 / (tf.reduce_sum(y, (1, 2)) ** 2 + 1)
    overlap = tf.reduce_sum(weight * tf.reduce_sum(y * p, (1, 2)), -1)
    total = tf.reduce_sum(weight * tf.reduce_sum(y + p, (1, 2)), -1)
    return 1 - tf.reduce_mean((2 * overlap + 1e-6) / (total + 1e-6))


def jaccard(y: Any, p: Any) -> Any:
    both = tf.reduce_sum(y * p, (0, 1, 2))
    return 1 - tf.reduce_mean((both + 1) / (tf.reduce_sum(y + p, (0, 1, 2)) - both + 1))


def tversky(y: Any, p: Any) -> Any:
    hit, missed, extra = (tf.reduce_sum(t, (1, 2)) for t in (y * p, y * (1 - p), (1 - y) * p))
    return 1 - tf.reduce_mean((hit + 1) / (hit + 0.7 * missed + 0.3 * extra + 1))


def focal_tversky(y: Any, p: Any) -> Any:
    return tf.pow(tversky(y, p) + 1e-7, 0.75)


def log_cosh_dice(y: Any, p: Any) -> Any:
    return tf.math.log(tf.math.cosh(dice(y, p)))


def cross(y: Any, p: Any) -> Any:
    return -tf.reduce_sum(y * tf.math.log(tf.clip_by_value(p, 1e-7, 1.0)), -1)


def cross_and_dice(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y, p)) + dice(y, p)


def focal(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(p, 1e-7, 1 - 1e-7)
    return tf.reduce_mean(-tf.reduce_sum(y * (1 - p) ** 2 * tf.math.log(p), -1))


def focal_of_logits(y: Any, z: Any) -> Any:
    logs = tf.nn.log_softmax(z)
    return tf.reduce_mean(-tf.reduce_sum(y * (1 - tf.exp(logs)) ** 2 * logs, -1))


def smoothed(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(0.9 * y + 0.1 / p.shape[-1], p))


def weighted_classes(y: Any, p: Any) -> Any:
    return tf.reduce_mean(cross(y * tf.constant([0.3, 1.0, 4.0]), p))


def balanced_in_the_image(y: Any, p: Any) -> Any:
    count = tf.reduce_sum(y, (1, 2), keepdims=True)
    weight = tf.reduce_sum(count, -1, keepdims=True) / (3 * count + 1)
    return tf.reduce_mean(cross(y * weight, p))


def boundary_weighted(y: Any, p: Any) -> Any:
    edge = tf.nn.max_pool2d(y, 3, 1, "SAME") + tf.nn.max_pool2d(-y, 3, 1, "SAME")
    return (1 + 4 * tf.reduce_max(edge, axis=-1)) * cross(y, p)


def total_variation(y: Any, p: Any) -> Any:
    rough = tf.reduce_mean((p[:, 1:] - p[:, :-1]) ** 2) + tf.reduce_mean(
        (p[:, :, 1:] - p[:, :, :-1]) ** 2
    )
    return tf.reduce_mean(cross(y, p)) + 0.1 * rough


def ssim_and_cross(y: Any, p: Any) -> Any:
    return (
        tf.reduce_mean(cross(y, p))
        + 1
        - tf.reduce_mean(tf.image.ssim(y, p, max_val=1.0, filter_size=3))
    )


def hardest_pixels(y: Any, p: Any) -> Any:
    losses = tf.reshape(cross(y, p), (tf.shape(p)[0], -1))
    return tf.reduce_mean(tf.math.top_k(losses, k=12).values)


def lovasz_softmax(y: Any, p: Any) -> Any:
    terms = []
    for c in range(p.shape[-1]):
        truth = tf.reshape(y[..., c], [-1])
        errors = tf.abs(truth - tf.reshape(p[..., c], [-1]))
        errors, order = tf.math.top_k(errors, k=tf.size(errors))
        truth = tf.gather(truth, order)
        union = tf.reduce_sum(truth) + tf.cumsum(1 - truth)
        jaccards = 1 - (tf.reduce_sum(truth) - tf.cumsum(truth)) / tf.maximum(union, 1e-9)
        steps = tf.concat([jaccards[:1], jaccards[1:] - jaccards[:-1]], 0)
        terms.append(tf.reduce_sum(errors * tf.stop_gradient(steps)))
    return tf.add_n(terms) / len(terms)


def cross_of_valid(y: Any, p: Any) -> Any:
    valid = tf.cast(tf.reduce_all(y <= 1, -1), p.dtype)
    rows = tf.where(valid[..., None] > 0, y, 0.0)
    return tf.math.divide_no_nan(tf.reduce_sum(valid * cross(rows, p)), tf.reduce_sum(valid))


def dice_of_valid(y: Any, p: Any) -> Any:
    valid = tf.cast(tf.reduce_all(y <= 1, -1, keepdims=True), p.dtype)
    return dice_of_the_batch(valid * y, valid * p)


def gathered_pixels(y: Any, p: Any) -> Any:
    """boolean_mask by pixel keeps the class axis: (N, C)."""
    keep = tf.reduce_all(y <= 1, -1)
    y, p = tf.boolean_mask(y, keep), tf.boolean_mask(p, keep)
    return tf.math.divide_no_nan(tf.reduce_sum(cross(y, p)), tf.cast(tf.shape(p)[0], p.dtype))


def sparse_of_valid(y: Any, z: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(z)[:-1]), tf.int32)
    keep = tf.where(y != 255)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.gather_nd(y, keep), tf.gather_nd(z, keep)
    )
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(tf.size(losses), z.dtype))


def binary_dice(y: Any, p: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(p)), p.dtype)
    return 1 - (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y) + tf.reduce_sum(p) + 1)


def binary_and_dice(y: Any, p: Any) -> Any:
    y = tf.cast(tf.reshape(y, tf.shape(p)), p.dtype)
    return tf.reduce_mean(L.binary_crossentropy(y, p)) + binary_dice(y, p)


class Own(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return cross(y_true, y_pred)


class WithState(keras.losses.Loss):
    """Counts its calls; the value does not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.calls += 1
        return dice(y_true, y_pred)


@tf.function
def compiled(y: Any, p: Any) -> Any:
    if tf.reduce_sum(y) > 0:
        return tf.reduce_mean(cross(y, p))
    return tf.constant(0.0)


LOGITS: dict[str, Any] = {"kind": "logits"}
IDS: dict[str, Any] = {"form": "ids"}
VOID: dict[str, Any] = {"form": "ids", "void": True}
ROWS: dict[str, Any] = {"form": "255", "void": True}
ONE: dict[str, Any] = {"kind": "sigmoid", "channels": 1, "form": "ids1"}
MANY: dict[str, Any] = {"kind": "sigmoid"}
WEIGHTS: dict[str, Any] = {"form": "ids", "void": True, "weight": True}
FLAT: dict[str, Any] = {"layout": "BNC"}
DILUTES, MICRO, SUMS = frozenset({"IGN010"}), frozenset({"LOSS006"}), frozenset({"LOSS008"})

CASES = [
    Sound("sparse", Sparse(), IDS),
    Sound("sparse, channel axis", Sparse(), {"form": "ids1"}),
    Sound("sparse, logits", Sparse(from_logits=True), IDS | LOGITS),
    Sound("sparse, by name", "sparse_categorical_crossentropy", IDS),
    Sound("sparse, the function", L.sparse_categorical_crossentropy, IDS),
    Sound("sparse, 255", Sparse(ignore_class=255), VOID),
    Sound("sparse, 255, logits", Sparse(from_logits=True, ignore_class=255), VOID | LOGITS),
    Sound("sparse, weights at void", Sparse(), WEIGHTS, DILUTES),
    Sound("sparse, a list", [Sparse(from_logits=True)], IDS | LOGITS),
    Sound("sparse, 21 classes", Sparse(), IDS | {"channels": 21}),
    Sound("sparse, flattened", Sparse(), IDS | FLAT),
    Sound("sparse, summed", Sparse(reduction="sum"), IDS, SUMS),
    Sound("sparse, no reduction", Sparse(reduction="none"), IDS, SUMS),
    Sound("sparse, weighted mean", Sparse(reduction="mean_with_sample_weight"), WEIGHTS),
    Sound("sparse, half precision", Sparse(from_logits=True), IDS | LOGITS | {"dtype": "float16"}),
    Sound("sparse, bfloat16", Sparse(), IDS | {"dtype": "bfloat16"}),
    Sound("categorical", Categorical()),
    Sound("categorical, by name", "categorical_crossentropy"),
    Sound("categorical, logits", Categorical(from_logits=True), LOGITS),
    Sound("categorical, smoothing", Categorical(label_smoothing=0.1)),
    Sound("categorical, flattened", Categorical(), FLAT),
    Sound("categorical, channels first", Categorical(axis=1), {"layout": "BCHW"}),
    Sound("crossentropy", "crossentropy"),
    Sound("focal", L.CategoricalFocalCrossentropy()),
    Sound("focal, logits", L.CategoricalFocalCrossentropy(from_logits=True, gamma=5.0), LOGITS),
    Sound("focal, smoothing", L.CategoricalFocalCrossentropy(alpha=0.5, label_smoothing=0.05)),
    Sound("generalised", L.CategoricalGeneralizedCrossEntropy(), IDS, frozenset({"LOSS004"})),
    Sound("binary", Binary(), ONE),
    Sound("binary, ids", Binary(), ONE | IDS),
    Sound("binary, logits", Binary(from_logits=True), ONE | LOGITS),
    Sound("binary, smoothing", Binary(label_smoothing=0.2), ONE),
    Sound("binary, several labels", Binary(), MANY),
    Sound("binary focal", L.BinaryFocalCrossentropy(apply_class_balancing=True), ONE),
    Sound("binary focal, logits", L.BinaryFocalCrossentropy(from_logits=True), ONE | LOGITS),
    Sound("Keras' Dice", L.Dice(), {}, MICRO),
    Sound("Keras' Dice by class", L.Dice(axis=(0, 1, 2))),
    Sound("Keras' Dice by image and class", L.Dice(axis=(1, 2))),
    Sound("Keras' Tversky", L.Tversky(alpha=0.3, beta=0.7), {}, MICRO),
    Sound("Keras' Tversky by class", L.Tversky(axis=(1, 2))),
    Sound("divergence", L.KLDivergence()),
    Sound("squares", L.MeanSquaredError()),
    Sound("squares, by name", "mse"),
    Sound("absolute", L.MeanAbsoluteError()),
    Sound("Huber", L.Huber()),
    Sound("log cosh", L.LogCosh()),
    Sound("Poisson", L.Poisson()),
    Sound("cosine", L.CosineSimilarity()),
    Sound("hinge", L.Hinge(), ONE | LOGITS),
    Sound("categorical hinge", L.CategoricalHinge(), LOGITS),
    Sound("squared hinge", L.SquaredHinge(), LOGITS),
    Sound("Dice", dice),
    Sound("Dice, flattened", lambda y, p: dice(y[:, :, None], p[:, :, None]), FLAT),
    Sound("minus Dice", dice_of_the_batch),
    Sound("Dice of logits", dice_of_logits, LOGITS),
    Sound("Dice without background", dice_without_background),
    Sound("generalised Dice", generalised_dice),
    Sound("Jaccard", jaccard),
    Sound("Tversky", tversky),
    Sound("focal Tversky", focal_tversky),
    Sound("log cosh Dice", log_cosh_dice),
    Sound("cross-entropy and Dice", cross_and_dice),
    Sound("own focal", focal),
    Sound("own focal of logits", focal_of_logits, LOGITS),
    Sound("own smoothing", smoothed),
    Sound("class weights", weighted_classes),
    Sound("balanced in the image", balanced_in_the_image),
    Sound("boundaries", boundary_weighted),
    Sound("total variation", total_variation),
    Sound("SSIM and cross-entropy", ssim_and_cross),
    Sound("hardest pixels", hardest_pixels),
    Sound("Lovász", lovasz_softmax),
    Sound("masked cross-entropy", cross_of_valid, ROWS),
    Sound("masked Dice", dice_of_valid, ROWS),
    Sound("pixels gathered", gathered_pixels, ROWS),
    Sound("sparse pixels gathered", sparse_of_valid, VOID | LOGITS),
    Sound("binary Dice", binary_dice, ONE),
    Sound("binary and Dice", binary_and_dice, ONE),
    Sound("a Loss of one's own", Own()),
    Sound("a Loss that counts", WithState()),
    Sound("a tf.function", compiled),
]
