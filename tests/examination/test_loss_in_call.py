"""A subclassed model that takes the labels as an input and adds its loss in its call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.core.errors import UserError

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")
import keras
import tensorflow as tf

FAMILIES = ("OUT", "LOSS")
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 3, (2, 4, 4)).repeat(4, 1).repeat(4, 2).astype(np.int32)
IMAGES = RNG.random((2, 16, 16, 3), dtype=np.float32)


class Net(keras.Model):  # type: ignore[misc]
    def __init__(self, kind: str) -> None:
        super().__init__()
        activation = "softmax" if kind == "softmax" else None
        self.body = keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")
        self.head = keras.layers.Conv2D(3, 1, activation=activation)
        self.kind = kind

    def call(self, inputs: Any, training: Any = None) -> Any:
        x, y = (inputs["x"], inputs["y"]) if isinstance(inputs, dict) else inputs
        z = self.head(self.body(x))
        if self.kind == "score":
            rows, p = tf.one_hot(tf.cast(y, tf.int32), 3), tf.nn.softmax(z)
            both, total = tf.reduce_sum(rows * p, (1, 2)), tf.reduce_sum(rows + p, (1, 2))
            self.add_loss(tf.reduce_mean((2 * both + 1) / (total + 1)))
        else:
            logits = self.kind != "softmax"
            terms = keras.losses.sparse_categorical_crossentropy(y, z, from_logits=logits)
            self.add_loss(tf.reduce_mean(terms))
        if self.kind == "images":
            self.add_loss(0.1 * tf.reduce_mean(tf.abs(x - z)))
        return z


def built(kind: str, data: Any) -> Any:
    model = Net(kind)
    model(data)
    model.compile("adam")
    return model


@pytest.mark.parametrize("kind", ["logits", "softmax", "score", "named"])
def test_the_loss_is_asked(kind: str) -> None:
    data: Any = {"x": IMAGES, "y": IDS} if kind == "named" else [IMAGES, IDS]
    model = built(kind, data)
    before = model.get_weights()
    report = segdoctor.check(model, (data,), trial=False, select=FAMILIES)
    errors = [f.code for f in report.findings if f.severity == "error"]
    assert errors == (["LOSS010"] if kind == "score" else [])
    assert "the model's call adds" in report.notes[0]
    clear = {o.code for o in report.outcomes if o.status == "clear"}
    assert {"LOSS001", "LOSS003", "LOSS005", "OUT001", "OUT002"} <= clear
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_loss_that_needs_the_images_is_refused_in_one_line() -> None:
    model = built("images", [IMAGES, IDS])
    with pytest.raises(UserError, match="looks at more than the label"):
        segdoctor.check(model, ([IMAGES, IDS],), trial=False, select=FAMILIES)
