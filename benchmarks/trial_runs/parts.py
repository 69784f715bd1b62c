"""Layers, losses and optimizers of one's own, sick in ways that no probe knows."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

CLASSES = 21


class SpatialMean(keras.layers.Layer):  # type: ignore[misc]
    """Gives every pixel the mean of the map: where something is gets lost."""

    def call(self, x: Any) -> Any:
        return tf.zeros_like(x) + tf.reduce_mean(x, axis=(1, 2), keepdims=True)


class ReversedGradient(keras.layers.Layer):  # type: ignore[misc]
    """Left over from domain adaptation: what lies before it is trained to be wrong."""

    def call(self, x: Any) -> Any:
        @tf.custom_gradient
        def reverse(x: Any) -> Any:
            return tf.identity(x), lambda upstream: -upstream

        return reverse(x)


class ShuffledBatch(keras.layers.Layer):  # type: ignore[misc]
    """Hands each image the features of another one, anew in every call."""

    def call(self, x: Any) -> Any:
        return tf.gather(x, tf.random.shuffle(tf.range(tf.shape(x)[0])))


class Noise(keras.layers.Layer):  # type: ignore[misc]
    """Noise that was meant for training and is added always, a hundred times too strong."""

    def call(self, x: Any) -> Any:
        return x + 100.0 * tf.random.normal(tf.shape(x))


def _entropy(y_true: Any, y_pred: Any) -> Any:
    ids = tf.reshape(tf.cast(y_true, tf.int32), tf.shape(y_pred)[:-1])
    valid = tf.cast(ids < CLASSES, tf.float32)
    ids = tf.where(ids < CLASSES, ids, 0)
    terms = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, y_pred)
    return terms * valid


def first_row_only(y_true: Any, y_pred: Any) -> Any:
    """A slice too many: only a strip of the picture is ever learnt."""
    return tf.reduce_mean(_entropy(y_true, y_pred)[:, :6])


def reversed_gradient(y_true: Any, y_pred: Any) -> Any:
    """The value is right and falls never: the gradient points the other way."""

    @tf.custom_gradient
    def reverse(x: Any) -> Any:
        return tf.identity(x), lambda upstream: -upstream

    return tf.reduce_mean(_entropy(y_true, reverse(y_pred)))


def averaged_gradient(y_true: Any, y_pred: Any) -> Any:
    """The value is right; the gradient is the same for every pixel of a picture."""
    mean = tf.reduce_mean(y_pred, axis=(1, 2), keepdims=True)
    return tf.reduce_mean(_entropy(y_true, tf.stop_gradient(y_pred - mean) + mean))


class Uphill(keras.optimizers.SGD):  # type: ignore[misc]
    """A sign lost when the update was rewritten."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(-gradient, variable, learning_rate)


class Forgetful(keras.optimizers.SGD):  # type: ignore[misc]
    """A decay that was meant for one step in a thousand pulls back to the start every step."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, learning_rate)
        variable.assign(0.5 * variable)


class OneInTen(keras.optimizers.SGD):  # type: ignore[misc]
    """Mixes the gradients up: each kernel gets noise of the gradient's size."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        size = tf.math.reduce_std(tf.cast(gradient, tf.float32))
        noise = size * tf.random.normal(tf.shape(gradient))
        super().update_step(noise, variable, learning_rate)


def dice_of_gathered(y_true: Any, y_pred: Any) -> Any:
    """What is not 255, gathered: one flat vector, in which which class a pixel has is lost."""
    kept = tf.where(tf.not_equal(y_true, 255.0))
    truth, guess = tf.gather_nd(y_true, kept), tf.gather_nd(tf.nn.softmax(y_pred), kept)
    total = tf.reduce_sum(truth) + tf.reduce_sum(guess)
    return 1.0 - (2.0 * tf.reduce_sum(truth * guess) + 1.0) / (total + 1.0)


def soft_dice_and_entropy(y_true: Any, y_pred: Any) -> Any:
    """A sound one: Dice by class beside cross-entropy."""
    ids = tf.reshape(tf.cast(y_true, tf.int32), tf.shape(y_pred)[:-1])
    valid = tf.cast(ids < CLASSES, tf.float32)[..., None]
    truth = tf.one_hot(ids, CLASSES) * valid
    guess = tf.nn.softmax(y_pred) * valid
    hit = 2.0 * tf.reduce_sum(truth * guess, (0, 1, 2)) + 1.0
    dice = hit / (tf.reduce_sum(truth, (0, 1, 2)) + tf.reduce_sum(guess, (0, 1, 2)) + 1.0)
    return 1.0 - tf.reduce_mean(dice) + tf.reduce_mean(_entropy(y_true, y_pred))


def focal(y_true: Any, y_pred: Any) -> Any:
    """A sound one: pixels that are sure count less."""
    terms = _entropy(y_true, y_pred)
    return tf.reduce_mean((1.0 - tf.exp(-terms)) ** 2 * terms)
