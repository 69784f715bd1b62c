"""Observed modes, recalibration and the Keras of old."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.measured import BatchNormObserved
from segdoctor.recorder.batch_norm import observed, watched
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.layers import batch_norm_layers, values_of
from segdoctor.recorder.legacy_batch_norm import legacy_batch_norm
from segdoctor.recorder.network import record_network
from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.recorder.snapshot import preserved
from tests.recorder import nets


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def look(model: Any, x: Any) -> dict[str, BatchNormObserved]:
    with preserved(model), watched(model) as fit:
        TracedForward(model, training=True, eager=True)(x)
    with preserved(model), watched(model) as predict:
        TracedForward(model, training=False, eager=True)(x)
    return {seen.layer: seen for seen in observed(model, fit.seen, predict.seen, {})}


def test_trainable_and_frozen_layers(keras: Any) -> None:
    model = nets.functional(keras)
    model.get_layer("a_bn").trainable = False
    seen = look(model, nets.batch()[0])
    assert (seen["b_bn"].training_mode, seen["b_bn"].inference_mode) == ("batch", "moving")
    assert seen["b_bn"].moved
    assert (seen["a_bn"].training_mode, seen["a_bn"].moved) == ("moving", False)
    assert seen["a_bn"].values_per_example == nets.SIZE**2


@pytest.mark.parametrize(("library", "mode"), [("keras", "batch"), ("tf_keras", "moving")])
def test_a_wired_inference_mode_is_observed_and_not_read(library: str, mode: str) -> None:
    model = nets.nested(pytest.importorskip(library), base_training=False)
    seen = look(model, nets.batch()[0])
    assert seen["backbone/base_bn"].training_mode == mode
    assert seen["backbone/base_bn"].moved is (mode == "batch")
    assert seen["top_bn"].training_mode == "batch"


@pytest.mark.parametrize(
    ("library", "wired", "modes"),
    [
        ("keras", True, ("batch", "moving", "batch")),
        ("keras", False, ("batch", "moving", "moving")),
        ("tf_keras", True, ("batch", "batch", "batch")),
        ("tf_keras", False, ("moving", "moving", "moving")),
    ],
)
def test_the_mode_in_fit_in_predict_and_in_a_plain_call(
    library: str, wired: bool, modes: tuple[str, ...]
) -> None:
    keras = pytest.importorskip(library)
    x, y = nets.batch()
    model = nets.nested(keras, base_training=wired)
    facts: Any = record_network(model, nets.crossentropy(keras), 3.0 * x + 1.0, y)["bn_observed"]
    seen = {fact.layer: fact for fact in facts}
    told = seen["backbone/base_bn"]
    assert (told.training_mode, told.inference_mode, told.plain_mode) == modes


def test_a_subclass_that_ignores_trainable_is_seen(keras: Any) -> None:
    class Stubborn(keras.layers.BatchNormalization):  # type: ignore[misc]
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            mean, variance = keras.ops.moments(inputs, axes=[0, 1, 2])
            y = (inputs - mean) / keras.ops.sqrt(variance + self.epsilon)
            return y * self.gamma + self.beta

    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = Stubborn(name="stubborn", trainable=False)(keras.layers.Conv2D(4, 3)(image))
    seen = look(keras.Model(image, x), nets.batch()[0])["stubborn"]
    assert (seen.training_mode, seen.inference_mode) == ("batch", "batch")


def test_gaps_of_a_shifted_input(keras: Any) -> None:
    model = nets.functional(keras)
    x, _ = nets.batch()
    recalibrate(model, [x])
    calm = look(model, x)["a_bn"]
    assert calm.mean_gap < 0.01
    assert calm.variance_gap < 0.01
    far = look(model, 127.5 * x + 127.5)["a_bn"]
    assert far.variance_gap == pytest.approx(np.log10(127.5**2), abs=0.1)
    assert far.mean_gap > 3


def test_lag_is_told_from_a_stale_average(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    model = nets.functional(keras)
    x, _ = nets.batch()
    for _ in range(20):
        model(x, training=True)
    lagging = look(model, x)["a_bn"]
    assert lagging.variance_gap_beyond_lag < 0.1
    assert lagging.mean_gap_beyond_lag < 0.1
    recalibrate(model, [x])
    stale = look(model, 127.5 * x + 127.5)["a_bn"]
    assert stale.variance_gap_beyond_lag > 0.3


def test_recalibrated_inference_equals_training_mode(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    model = nets.functional(keras)
    x, _ = nets.batch()
    training = np.asarray(model(x, training=True))
    before = [values_of(v) for v in model.non_trainable_variables]
    with preserved(model):
        assert set(recalibrate(model, [x])) == {"a_bn", "b_bn", "c_bn"}
        np.testing.assert_allclose(model(x, training=False), training, rtol=1e-3, atol=1e-4)
    assert all(
        np.array_equal(a, b) for a, b in zip(before, model.non_trainable_variables, strict=True)
    )
    assert "call" not in vars(model.get_layer("a_bn"))


def test_moments_of_several_batches_are_pooled(keras: Any) -> None:
    model = nets.functional(keras)
    (one, _), (two, _) = nets.batch(1), nets.batch(2)
    recalibrate(model, [one, two + 3.0])
    split = values_of(model.get_layer("a_bn").moving_variance)
    recalibrate(model, [np.concatenate([one, two + 3.0])])
    np.testing.assert_allclose(split, model.get_layer("a_bn").moving_variance, rtol=1e-4)


def test_frozen_layers_keep_their_statistics_unless_asked(keras: Any) -> None:
    model = nets.functional(keras)
    frozen = model.get_layer("a_bn")
    frozen.trainable = False
    x, _ = nets.batch()
    assert "a_bn" not in recalibrate(model, [x])
    assert np.all(np.asarray(frozen.moving_mean) == 0)
    assert recalibrate(model, [x], [frozen]) == ("a_bn",)
    assert not np.all(np.asarray(frozen.moving_mean) == 0)


@pytest.mark.parametrize(
    ("flavour", "moves"), [("keras<=2.1.2", True), ("keras2.1.3-2.3.1", False)]
)
def test_frozen_layers_as_old_keras_ran_them(keras: Any, flavour: str, moves: bool) -> None:
    keras.utils.set_random_seed(0)
    model = nets.functional(keras)
    for _, layer in batch_norm_layers(model):
        layer.trainable = False
    model.get_layer("a_bn").gamma.assign(np.linspace(0.5, 1.5, 8))
    x, y = nets.batch()
    fields = record_network(model, nets.crossentropy(keras), x, y, flavour=flavour)
    seen = {line.layer: line for line in fields["bn_observed"]}  # type: ignore[attr-defined]
    assert all(line.training_mode == "batch" for line in seen.values())
    assert all(line.moved is moves for line in seen.values())
    modes: Any = fields["modes"]
    assert modes.gap > 0.25
    assert (modes.gap_recalibrated < 0.05) is moves
    # The trace of a trial behaves so too, and afterwards the layer is Keras 3's again.
    with preserved(model), legacy_batch_norm(model, flavour) as layers:
        assert len(layers) == 3
        traced = np.asarray(TracedForward(model, training=True)(x).y_pred)
    np.testing.assert_allclose(traced, fields["y_train"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model(x, training=True), fields["y_infer"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("flavour", ["keras3", "tf_keras"])
def test_a_wired_mode_is_kept_where_the_file_is_of_keras_2(keras: Any, flavour: str) -> None:
    model = nets.nested(keras, base_training=False)
    x, y = nets.batch()
    fields = record_network(model, nets.crossentropy(keras), x, y, flavour=flavour)
    seen: Any = fields["bn_observed"]
    wanted = "batch" if flavour == "keras3" else "moving"
    assert {line.training_mode for line in seen if "/" in line.layer} == {wanted}
    assert any(line.moved for line in seen if "/" in line.layer) is (flavour == "keras3")


def test_legacy_equals_a_trainable_layer_of_today(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    model = nets.functional(keras)
    x, _ = nets.batch()
    with preserved(model):
        today = np.asarray(model(x, training=True))
        moved = values_of(model.get_layer("b_bn").moving_variance)
    for _, layer in batch_norm_layers(model):
        layer.trainable = False
    with legacy_batch_norm(model, "keras<=2.1.2"):
        np.testing.assert_allclose(model(x, training=True), today, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_layer("b_bn").moving_variance, moved, rtol=1e-4)
