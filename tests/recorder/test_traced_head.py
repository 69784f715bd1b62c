"""What leads to the output where no layer graph shows it."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

X = np.zeros((1, 8, 8, 3), np.float32)


def subclassed(tail: object) -> object:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scores = keras.layers.Conv2D(4, 1)

        def call(self, x: object) -> object:
            return tail(self.scores(x))  # type: ignore[operator]

    net = Net()
    net(X)
    return net


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        (lambda t: t, []),
        (lambda t: keras.ops.softmax(keras.ops.softmax(t)), ["softmax", "softmax"]),
        (lambda t: keras.ops.relu6(t), ["relu6"]),
        (lambda t: keras.ops.clip(t, -1, 1), ["clip", "clip"]),
        (lambda t: keras.ops.softmax(t, axis=1), ["softmax"]),
        (lambda t: keras.ops.image.resize(keras.ops.sigmoid(t), (16, 16)), ["sigmoid"]),
        (lambda t: t + keras.ops.mean(t, axis=(1, 2), keepdims=True), []),
    ],
)
def test_operations_before_the_output(tail: object, told: list[str]) -> None:
    from segdoctor.recorder.traced_head import traced_path

    path = traced_path(subclassed(tail), X)
    assert [a.activation for a in path.activations] == told
    assert path.complete


@pytest.mark.parametrize(
    "tail",
    [
        lambda t: keras.ops.sigmoid(t) + keras.ops.mean(keras.ops.sigmoid(t)),
        lambda t: 1 / (1 + keras.ops.exp(-t)),
        lambda t: keras.ops.sigmoid(t) * t,
    ],
)
def test_what_is_made_of_probabilities_is_no_known_score(tail: object) -> None:
    from segdoctor.recorder.traced_head import traced_path

    assert not traced_path(subclassed(tail), X).complete


def test_a_lambda_is_looked_into() -> None:
    from segdoctor.recorder.head import measure_head
    from segdoctor.recorder.live_graph import live_graph

    inputs = keras.Input((8, 8, 3))
    scores = keras.layers.Conv2D(4, 1)(inputs)
    tail = keras.layers.Lambda(keras.ops.tanh, output_shape=(8, 8, 4))
    model = keras.Model(inputs, tail(scores))
    head = measure_head(model, model(X), live_graph(model, "keras3"), X)
    assert [a.activation for a in head.activations] == ["tanh"]
    assert head.path_known
