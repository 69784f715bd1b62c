"""A model that trains itself: the loss of its own ``train_step`` or ``compute_loss`` is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segdoctor

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")
import keras
import tensorflow as tf

SIDE, CLASSES = 16, 3
FAMILIES = ("OUT", "LOSS")


def arrays() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CLASSES, (2, 4, 4)).repeat(4, 1).repeat(4, 2).astype(np.int32)
    return rng.random((2, SIDE, SIDE, 3), dtype=np.float32), ids


def score(y: Any, z: Any) -> Any:
    rows, p = tf.one_hot(tf.cast(y, tf.int32), CLASSES), tf.nn.softmax(z)
    both, total = tf.reduce_sum(rows * p, (1, 2)), tf.reduce_sum(rows + p, (1, 2))
    return tf.reduce_mean((2 * both + 1) / (total + 1))


class Steps(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss = score(y, self(x, training=True))
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


class Computes(keras.Model):  # type: ignore[misc]
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred))


class Looks(keras.Model):  # type: ignore[misc]
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
        return keras.ops.mean(x**2) + score(y, y_pred)


def net(kind: Any, loss: Any = None) -> Any:
    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    model = kind(image, layers.Conv2D(CLASSES, 1)(x))
    model.compile("adam", loss=loss)
    return model


@pytest.mark.parametrize(("kind", "code"), [(Steps, "LOSS010"), (Computes, "OUT002")])
def test_the_loss_that_the_model_brings_along_is_asked(kind: Any, code: str) -> None:
    right = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = net(kind, loss=right if kind is Steps else None)  # compile's is not what it trains
    before = [np.array(weight) for weight in model.get_weights()]
    report = segdoctor.check(model, arrays(), trial=False, select=FAMILIES)
    assert report.findings[0].code == code
    assert "the model's own" in report.notes[0]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_loss_that_needs_the_images_is_said_to_be_not_examined() -> None:
    report = segdoctor.check(net(Looks), arrays(), trial=False, select=FAMILIES)
    assert not report.findings
    outcome = next(o for o in report.outcomes if o.code == "LOSS002")
    assert outcome.status == "not examined"
    assert "compute_loss was not examined: it looks at the images" in outcome.reason


def test_a_generator_gives_its_first_batch_again() -> None:
    x, y = arrays()
    batches = iter([(x, y)])
    report = segdoctor.check(net(Computes), batches, trial=False, select=FAMILIES)
    assert report.findings[0].code == "OUT002"


def test_several_outputs_are_said_to_be_not_examined() -> None:
    x, y = arrays()
    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    model = Steps(image, [layers.Conv2D(CLASSES, 1, name=name)(image) for name in ("a", "b")])
    model.compile("adam")
    report = segdoctor.check(model, (x, [y, y]), trial=False, select=FAMILIES)
    outcome = next(o for o in report.outcomes if o.code == "LOSS002")
    assert outcome.status == "not examined"
    assert "the labels are of several outputs" in outcome.reason


class Forgets(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        return {"loss": loss, "size": tape.gradient(loss, self.trainable_variables)[0]}


class Collects(Forgets):
    """Steps elsewhere, and not at every batch."""

    def train_step(self, data: Any) -> dict[str, Any]:
        return super().train_step(data)

    def step(self, gradients: Any) -> None:
        self.optimizer.apply(gradients, self.trainable_variables)


@pytest.mark.parametrize(("kind", "code"), [(Forgets, {"OPT001"}), (Collects, set())])
def test_a_step_that_applies_no_gradient(kind: Any, code: set[str]) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = net(kind, loss=loss)
    report = segdoctor.check(model, arrays(), trial=False, select="OPT001")
    assert report.codes == code
    assert ("applies no gradient" in report.notes[0]) == bool(code)
