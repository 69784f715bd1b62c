"""The ward of the network: small nets, each sick one beside its healthy twin, run and examined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.finding import Finding
from segdoctor.core.measured import Declared
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.batch_norm import (
    FrozenUsesBatchStatistics,
    TrainableForcedInference,
    TrainInferenceGap,
    WiredModeOverridden,
)
from segdoctor.probes.batch_norm_degenerate import Degenerate
from segdoctor.probes.batch_norm_statistics import (
    BatchTooSmall,
    StatisticsAtDefault,
    StatisticsStale,
)
from segdoctor.probes.freeze_boundary import FreezeSplitsBlock
from segdoctor.probes.gradient_flow import GradientNotFinite, NoGradientPath
from segdoctor.probes.gradient_scale import GradientExplodes, GradientVanishes
from segdoctor.probes.optimisation import UpdateTooLarge, UpdateTooSmall
from segdoctor.probes.trainable_head import NothingToTrain
from segdoctor.probes.weights import WeightsNeverLoaded
from segdoctor.recorder.layers import batch_norm_layers
from segdoctor.recorder.network import record_network
from segdoctor.recorder.recalibrate import recalibrate
from tests.recorder import nets

PROBES = (
    FrozenUsesBatchStatistics(),
    BatchTooSmall(),
    TrainInferenceGap(),
    StatisticsAtDefault(),
    StatisticsStale(),
    TrainableForcedInference(),
    Degenerate(),
    FreezeSplitsBlock(),
    WiredModeOverridden(),
    NoGradientPath(),
    GradientVanishes(),
    GradientExplodes(),
    GradientNotFinite(),
    NothingToTrain(),
    UpdateTooSmall(),
    UpdateTooLarge(),
    WeightsNeverLoaded(),
)
X, Y = nets.batch(examples=4)
PERSON = (
    Path(__file__).parents[2] / "../shared/data/models/deeplabv3_mnv2_dm05_person_trained.k3.keras"
)


@pytest.fixture(scope="module")
def keras() -> Any:
    package = pytest.importorskip("keras")
    package.utils.set_random_seed(0)
    return package


def findings(
    keras: Any,
    model: Any,
    x: Any = X,
    y: Any = Y,
    *,
    loss: Any = None,
    optimizer: Any = None,
    flavour: str | None = None,
) -> dict[str, Finding]:
    optimizer = optimizer or keras.optimizers.Adam(1e-3)
    loss = loss or nets.crossentropy(keras)
    fields = record_network(model, loss, x, y, optimizer=optimizer, flavour=flavour)
    rate = float(np.asarray(optimizer.learning_rate))
    settings = CompileFacts(optimizer=type(optimizer).__name__, learning_rate=rate)
    trace = Trace({**fields, "declared": Declared(batch_size=8), "compiled": settings})
    outcomes = [examine(probe, trace) for probe in PROBES]
    assert not [outcome for outcome in outcomes if outcome.status == "crashed"]
    return {outcome.code: outcome.findings[0] for outcome in outcomes if outcome.findings}


def trained(model: Any, x: Any = X) -> Any:
    """As if trained: gammas, betas and kernels moved, statistics those of the data."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = np.asarray(variable.numpy())
        variable.assign(
            value * rng.lognormal(0, 0.6, value.shape) + rng.normal(0, 0.02, value.shape)
        )
    recalibrate(model, [x], [layer for _, layer in batch_norm_layers(model)])
    return model


def freeze(model: Any, *starts: str) -> Any:
    for layer in model.layers:
        if layer.name.startswith(starts):
            layer.trainable = False
    return model


# --- healthy -----------------------------------------------------------------------------------

HEALTHY: dict[str, Callable[[Any], Any]] = {
    "new": nets.functional,
    "new, sequential": nets.sequential,
    "new, nested": nets.nested,
    "new, subclassed": nets.subclassed,
    "with dropout": lambda keras: nets.functional(keras, dropout=0.5),
    "trained": lambda keras: trained(nets.functional(keras)),
    "trained, part frozen": lambda keras: freeze(trained(nets.functional(keras)), "a_", "b_"),
    "trained, all BN frozen": lambda keras: freeze_norms(trained(nets.functional(keras))),
    "lagging averages": lambda keras: lagging(nets.functional(keras)),
}


def freeze_norms(model: Any) -> Any:
    for _, layer in batch_norm_layers(model):
        layer.trainable = False
    return model


def lagging(model: Any) -> Any:
    for _ in range(30):
        model(40.0 * X + 10.0, training=True)
    return model


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_nets_are_silent(keras: Any, name: str) -> None:
    x = 40.0 * X + 10.0 if name == "lagging averages" else X
    assert findings(keras, HEALTHY[name](keras), x) == {}


def test_zero_gammas_and_an_unused_branch_are_by_design(keras: Any) -> None:
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    for block in range(4):
        y = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"b{block}_conv")(x)
        y = layers.BatchNormalization(gamma_initializer="zeros", name=f"b{block}_bn")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    model = keras.Model(image, layers.Conv2D(nets.CLASSES, 1, name="head")(x))
    assert findings(keras, model) == {}

    class Spare(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.used = layers.Conv2D(nets.CLASSES, 3, padding="same")
            self.spare = layers.Conv2D(4, 1)
            self.spare.build((None, None, None, 3))

        def call(self, x: Any) -> Any:
            return self.used(x)

    spare = Spare()
    spare(X)
    assert findings(keras, spare) == {}


@pytest.mark.parametrize(
    ("name", "rate"), [("SGD", 1e-3), ("Adam", 1e-5), ("Adam", 1e-2), ("Adadelta", 1.0)]
)
def test_sane_optimizers_are_silent(keras: Any, name: str, rate: float) -> None:
    optimizer = getattr(keras.optimizers, name)(rate)
    assert findings(keras, nets.functional(keras), optimizer=optimizer) == {}


# --- batch normalisation -----------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["keras<=2.1.2", "keras2.1.3-2.3.1"])
def test_frozen_layers_of_old_keras(keras: Any, flavour: str) -> None:
    model = freeze(trained(nets.functional(keras)), "a_", "b_")
    assert "BN001" not in findings(keras, model)
    found = findings(keras, model, 2.0 * X + 1.0, flavour=flavour)
    assert found["BN001"].fix is not None
    assert found["BN001"].fix.patch == {"bn.training": "inference"}
    assert found["BN001"].evidence[0].value == 2


def test_a_gap_that_no_recalibration_closes(keras: Any) -> None:
    model = freeze(trained(nets.functional(keras)), "a_", "b_")
    found = findings(keras, model, 3.0 * X**2, flavour="keras2.1.3-2.3.1")
    assert found["BN003"].evidence[0].value > 0.25


def test_a_layer_that_does_another_thing_in_training(keras: Any) -> None:
    class Doubles(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool = False) -> Any:
            return x * 4.0 if training else x

    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = Doubles()(keras.layers.Conv2D(8, 3, padding="same")(image))
    model = keras.Model(image, keras.layers.Conv2D(nets.CLASSES, 1)(x))
    assert set(findings(keras, model)) == {"BN003"}


def test_statistics_reset_beside_trained_weights(keras: Any) -> None:
    model = trained(nets.functional(keras))
    for _, layer in batch_norm_layers(model):
        layer.moving_mean.assign(np.zeros(8))
        layer.moving_variance.assign(np.ones(8))
    found = findings(keras, model)
    assert set(found) == {"BN004"}
    assert found["BN004"].evidence[0].value == 3


@pytest.mark.parametrize("frozen", [False, True])
def test_another_input_range(keras: Any, frozen: bool) -> None:
    x = 0.5 * X  # the spread of images in [-1, 1]
    model = trained(nets.functional(keras), x)
    if frozen:
        freeze(model, "a_", "b_", "c_")
    assert findings(keras, model, x) == {}
    assert "BN005" in findings(keras, model, 127.5 * x + 127.5)


def test_wired_modes_in_both_keras(keras: Any) -> None:
    found = findings(keras, trained(nets.nested(keras, base_training=False)))
    assert set(found) == {"BN011"}
    tf_keras = pytest.importorskip("tf_keras")
    found = findings(tf_keras, nets.nested(tf_keras, base_training=False))
    assert set(found) == {"BN006"}
    assert found["BN006"].severity == "warning"
    found = findings(tf_keras, trained(nets.nested(tf_keras, base_training=False)), 1.2 * X)
    assert found["BN006"].severity == "info"


def test_degenerate_layers(keras: Any) -> None:
    model = trained(nets.functional(keras))
    model.get_layer("b_bn").gamma.assign(np.zeros(8))
    assert "BN008" in findings(keras, model)


def test_freezes_that_cut(keras: Any) -> None:
    model = trained(nets.functional(keras))
    model.get_layer("a_conv").trainable = False
    found = findings(keras, model)
    assert set(found) == {"BN009"}
    assert found["BN009"].evidence[0].where == "a_bn"


# --- gradients ---------------------------------------------------------------------------------


def stack(keras: Any, depth: int, activation: str, scale: float = 1.0, bias: float = 0.0) -> Any:
    layers = keras.layers
    image = x = keras.Input((nets.SIZE, nets.SIZE, 3))
    for place in range(depth):
        x = layers.Conv2D(
            8,
            3,
            padding="same",
            activation=activation,
            kernel_initializer=keras.initializers.VarianceScaling(scale),
            bias_initializer=keras.initializers.Constant(bias),
            name=f"deep{place}",
        )(x)
    return keras.Model(image, layers.Conv2D(nets.CLASSES, 1, name="head")(x))


def test_a_deep_stack_of_sigmoids(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    assert "GRAD002" in findings(keras, stack(keras, 12, "sigmoid"))
    assert findings(keras, stack(keras, 12, "relu", 2.0)) == {}


def test_a_cut_in_a_subclassed_net(keras: Any) -> None:
    layers = keras.layers

    class Cut(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.small = layers.Conv2D(4, 1, name="small")
            self.wide = layers.Conv2D(16, 3, padding="same", name="wide")
            self.out = layers.Conv2D(nets.CLASSES, 1, name="out")

        def call(self, x: Any) -> Any:
            return self.out(self.wide(keras.ops.stop_gradient(self.small(x))))

    model = Cut()
    model(X)
    assert "small" in findings(keras, model)["GRAD001"].message


def test_dead_features(keras: Any) -> None:
    found = findings(keras, stack(keras, 4, "relu", bias=-50.0))
    assert "GRAD002" in found


def test_weights_that_blow_up_the_gradient(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    # Tanh-free and without normalisation: each layer multiplies the gradient by ten.
    assert "GRAD003" not in findings(keras, stack(keras, 10, "relu", 2.0))
    model = stack(keras, 10, "linear", 1.0)
    for place, layer in enumerate(layer for layer in model.layers if "deep" in layer.name):
        layer.kernel.assign(layer.kernel * (1e-3 if place < 3 else 20.0))  # features of usual size
    assert "GRAD003" in findings(keras, model)


def test_an_argmax_on_the_path(keras: Any) -> None:
    ops, layers = keras.ops, keras.layers

    class Hard(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return ops.one_hot(ops.argmax(x, axis=-1), 8)

    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", name="before")(image)
    x = layers.Conv2D(nets.CLASSES, 1, name="head")(Hard(name="hard")(x))
    found = findings(keras, keras.Model(image, x))
    assert set(found) == {"GRAD001"}
    assert found["GRAD001"].evidence[2].value == "before"


def test_a_loss_that_gives_nan(keras: Any) -> None:
    def power_of_negatives(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean((y_pred - 100.0) ** 0.75)

    found = findings(keras, nets.functional(keras), loss=power_of_negatives)
    assert "loss itself" in found["GRAD004"].message


def test_images_that_hold_nan_are_not_blamed_on_an_operation(keras: Any) -> None:
    broken = X.copy()
    broken[0, 3, 3, 0] = np.nan
    found = findings(keras, nets.functional(keras), x=broken)
    assert "images that are fed hold them already" in found["GRAD004"].message


def test_nothing_trains(keras: Any) -> None:
    model = nets.functional(keras)
    for layer in model.layers:
        layer.trainable = False
    found = findings(keras, model)
    assert "GRAD007" in found
    assert found["GRAD007"].evidence[0].value == 0
    model = trained(nets.functional(keras))
    model.get_layer("head").trainable = False
    assert findings(keras, model)["GRAD007"].severity == "warning"


def test_a_fixed_upsampling_behind_the_head_is_sound(keras: Any) -> None:
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="features")(image)
    x = layers.Conv2D(nets.CLASSES, 1, name="head")(x)
    up = layers.Conv2DTranspose(nets.CLASSES, 4, strides=2, padding="same", name="up")
    model = keras.Model(image, up(x))
    up.trainable = False
    assert "GRAD007" not in findings(keras, model)


# --- optimisation and weights ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate", "code"),
    [
        ("Adadelta", 1e-3, "OPT001"),
        ("Adadelta", 1e-5, "OPT001"),
        ("Adam", 1e-7, "OPT001"),
        ("SGD", 1e-8, "OPT001"),
        ("Adam", 1.0, "OPT002"),
    ],
)
def test_insane_optimizers(keras: Any, name: str, rate: float, code: str) -> None:
    optimizer = getattr(keras.optimizers, name)(rate)
    assert set(findings(keras, nets.functional(keras), optimizer=optimizer)) == {code}


def test_a_frozen_backbone_that_was_never_loaded(keras: Any) -> None:
    found = findings(keras, freeze(nets.functional(keras), "a_", "b_"))
    assert set(found) == {"MDL003"}
    part = trained(nets.functional(keras))
    fresh = nets.functional(keras)
    for name in ("a_conv", "b_conv"):
        part.get_layer(name).set_weights(fresh.get_layer(name).get_weights())
    assert "in part" in findings(keras, freeze(part, "a_", "b_", "c_"))["MDL003"].message


# --- the trained person net --------------------------------------------------------------------


@pytest.fixture(scope="module")
def person(keras: Any) -> Any:
    if not PERSON.exists():
        pytest.skip("the trained person net is not at hand (../shared/data/models)")
    return keras.models.load_model(PERSON, compile=False)


def test_the_person_net_by_range(keras: Any, person: Any) -> None:
    image_module = pytest.importorskip("PIL.Image")
    folder = PERSON.parents[1] / "voc"
    masks = sorted(folder.rglob("SegmentationClass/*.png"))[8:10]
    if len(masks) < 2:
        pytest.skip("no VOC pairs are at hand (../shared/data/voc)")
    x, y = [], []
    for mask in masks:
        image = mask.parents[1] / "JPEGImages" / f"{mask.stem}.jpg"
        x.append(np.asarray(image_module.open(image).resize((513, 513))))
        ids = np.asarray(image_module.open(mask).resize((513, 513), 0))
        y.append(np.where(ids == 255, 255, ids == 15))
    images, labels = np.stack(x).astype("float32"), np.stack(y)
    loss = nets.crossentropy(keras, ignore_class=255)
    assert findings(keras, person, images / 127.5 - 1, labels, loss=loss) == {}
    found = findings(keras, person, images, labels, loss=loss)
    assert set(found) == {"BN005"}
    assert found["BN005"].evidence[0].value > 20
