"""A model of a fixed size on a smaller grid: the same weights, or a reason why not."""

from __future__ import annotations

import numpy as np
import pytest

from segdoctor.core.probe import NotExaminedError

keras = pytest.importorskip("keras", reason="rebuilding a model needs Keras")

from segdoctor.recorder.smaller import smaller  # noqa: E402


def body(side: int):
    x = inputs = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    return inputs, keras.layers.Conv2D(5, 1)(x)


def resized(side: int = 128):
    inputs, x = body(side)
    return keras.Model(inputs, keras.layers.Resizing(side, side, interpolation="bilinear")(x))


def flattened(side: int = 128):
    model = resized(side)
    return keras.Model(model.inputs, keras.layers.Reshape((side * side, 5))(model.outputs[0]))


def pooled(side: int = 128):
    inputs, x = body(side)
    whole = keras.layers.AveragePooling2D(side // 2)(x)
    back = keras.layers.Resizing(side // 2, side // 2, interpolation="nearest")(whole)
    return keras.Model(inputs, keras.layers.Add()([x, back]))


@pytest.mark.parametrize(
    ("make", "shape"),
    [(resized, (64, 64, 5)), (flattened, (64 * 64, 5)), (pooled, (32, 32, 5))],
)
def test_the_map_follows_the_input(make, shape) -> None:
    model = make()
    small = smaller(model, 64)
    assert small.output_shape == (None, *shape)
    x = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype(np.float32)
    twin = make(64)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(small(x), twin(x), atol=1e-6)


def test_what_would_be_another_net_at_its_old_size_is_refused() -> None:
    """A second resize to a size that no map of the small model stands for."""
    inputs, x = body(128)
    x = keras.layers.Resizing(37, 37, interpolation="bilinear")(x)
    x = keras.layers.Resizing(128, 128, interpolation="bilinear")(x)
    model = keras.Model(inputs, x)
    with pytest.raises(NotExaminedError, match="back at its old size"):
        smaller(model, 64)


def test_a_dense_layer_over_the_whole_map_is_refused() -> None:
    inputs, x = body(64)
    x = keras.layers.Dense(16 * 16 * 5)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Reshape((16, 16, 5))(x))
    with pytest.raises(NotExaminedError):
        smaller(model, 32)


def test_a_map_too_large_to_pass_twice_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison would need the memory that the smaller model is made to save."""
    monkeypatch.setattr("segdoctor.recorder.smaller._plain", lambda config: object())
    model = resized()
    monkeypatch.setattr("segdoctor.recorder.smaller._MOST", 64 * 64 * 4)
    monkeypatch.setattr(type(model), "__call__", None)
    assert smaller(model, 64).output_shape == (None, 64, 64, 5)
