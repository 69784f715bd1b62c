"""A model of several inputs is examined and tried with all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SIDE, CLASSES = 16, 4


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def net(keras: Any, named: bool = False, head: str | None = None, size: int | None = SIDE) -> Any:
    """An image, a depth map of its size, and a vector that is laid over the map."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((size, size, 3), name="picture" if named else "image")
    depth = keras.Input((size, size, 1), name="depth")
    about = keras.Input((5,), name="about", dtype="int32")
    h = layers.Concatenate()([image, depth])
    for width in (16, 16):
        h = layers.Conv2D(width, 3, padding="same", use_bias=False)(h)
        h = layers.ReLU()(layers.BatchNormalization()(h))
    gain = layers.Dense(16)(layers.Flatten()(layers.Embedding(7, 2)(about)))
    h = layers.Add()([h, layers.Reshape((1, 1, 16))(gain)])
    out = layers.Conv2D(CLASSES, 1, activation=head)(h)
    inputs: Any = [depth, image, about]  # the image is not the first
    if named:
        inputs = {"depth": depth, "picture": image, "about": about}
    model = keras.Model(inputs, out)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-2), loss)
    return model


def batch(named: bool = False) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, (4, 4, 4)).repeat(4, 1).repeat(4, 2).astype("int32")
    x = (y[..., None] * np.array([1.0, -0.5, 0.2]) + rng.normal(size=(*y.shape, 3)) * 0.1) / 2
    parts = [np.sin(y[..., None] * 2.0), x, rng.integers(0, 7, (4, 5))]
    given = [p.astype("float32") for p in parts]
    return (dict(zip(("depth", "picture", "about"), given, strict=True)) if named else given), y


def codes(report: Any) -> dict[str, str]:
    return {f.code: f.severity for f in report.findings if f.severity == "error"}


@pytest.mark.parametrize("named", [False, True])
def test_a_sound_one_learns_and_is_as_it_was(keras: Any, named: bool) -> None:
    import segdoctor

    model = net(keras, named)
    before = [np.array(v) for v in model.get_weights()]
    report = segdoctor.check(model, batch(named), trial=segdoctor.Trial(steps=60))
    assert (codes(report), report.trials[0].verdict) == ({}, "learns")
    assert report.diagnosis == ()
    said = [note for note in report.notes if "3 inputs" in note]
    assert said
    assert ("(picture, " if named else "(image, ") in said[0]
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(*batch(named), verbose=0)


def test_what_is_handed_on_is_what_was_given(keras: Any) -> None:
    from segdoctor.examination.request import Request
    from segdoctor.examination.several_inputs import as_one

    for named in (False, True):
        model = net(keras, named)
        x, y = batch(named)
        view, _ = as_one(Request(model=model, data=(x, y)))
        assert view.data[0].shape == (4, SIDE, SIDE, 5)
        np.testing.assert_array_equal(
            np.asarray(view.model(view.data[0], training=False)),
            np.asarray(model(x, training=False)),
        )


def test_data_sets_and_generators_are_taken(keras: Any) -> None:
    import tensorflow as tf

    import segdoctor

    (depth, image, about), y = batch()
    data = tf.data.Dataset.from_tensor_slices(((depth, image, about), y)).batch(2)
    drawn = (([depth, image, about], y) for _ in range(3))
    for given in (data, drawn):
        report = segdoctor.check(net(keras, size=None), given, trial=False)
        assert codes(report) == {}, report.findings


def test_a_fault_is_found(keras: Any) -> None:
    import segdoctor

    report = segdoctor.check(net(keras, head="relu"), batch(), trial=False)
    assert "OUT007" in codes(report)
    x, y = batch()
    report = segdoctor.check(net(keras), (x, y + 1), trial=False)
    assert set(codes(report)) & {"LBL008", "IGN003", "LBL003"}


def test_a_subclassed_net_is_taken_as_it_is_fed(keras: Any) -> None:
    import segdoctor

    class Net(keras.Model):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Conv2D(16, 3, padding="same", activation="relu")
            self.head = keras.layers.Conv2D(CLASSES, 1)

        def call(self, given: Any) -> Any:
            return self.head(self.first(given["picture"] + given["depth"]))

    keras.utils.set_random_seed(0)
    model, (x, y) = Net(), batch(named=True)
    fed = {name: x[name] for name in ("depth", "picture")}
    model(fed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-2), loss)
    report = segdoctor.check(model, (fed, y), trial=segdoctor.Trial(steps=60))
    assert (codes(report), report.trials[0].verdict) == ({}, "learns")
    report = segdoctor.check(model, (fed, y + 1), trial=False)
    assert codes(report)


def test_what_holds_no_image_is_one_line(keras: Any) -> None:
    import segdoctor
    from segdoctor.core.errors import UserError

    layers = keras.layers
    inputs = [keras.Input((8,)), keras.Input((8,))]
    model = keras.Model(inputs, layers.Dense(2)(layers.Add()(inputs)))
    rows = np.zeros((4, 8), "float32")
    with pytest.raises(UserError, match="image"):
        segdoctor.check(model, ([rows, rows], np.zeros((4, 2), "int32")), trial=False)
