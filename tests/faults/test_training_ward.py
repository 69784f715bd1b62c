"""The ward of the training: graph, gradients, optimisation and history through the whole check.

Each sick run stands beside its healthy twin and a look-alike; nets are small, no trial is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.core.finding import Finding
from segdoctor.recorder.live_graph import live_graph
from segdoctor.recorder.pixel_order import pixel_order
from tests.recorder import nets

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")

X, Y = nets.batch(examples=4)
S, C = nets.SIZE, nets.CLASSES
FAMILIES = ("MDL", "BN", "GRAD", "OPT", "HIST")


@pytest.fixture(scope="module")
def keras() -> Any:
    package = pytest.importorskip("keras")
    package.utils.set_random_seed(0)
    return package


def check(keras: Any, model: Any, data: Any = (X, Y), **options: Any) -> Any:
    given = {
        "loss": nets.crossentropy(keras),
        "optimizer": keras.optimizers.Adam(1e-3),
        "batch_size": 8,
    }
    report = segdoctor.check(
        model,
        data,
        trial=False,
        num_classes=C,
        ignore_label=False,
        **(given | options),
    )
    assert not [o for o in report.outcomes if o.status == "crashed"], report.outcomes
    return report


def found(report: Any) -> dict[str, Finding]:
    return {f.code: f for f in report.findings if f.code.startswith(FAMILIES)}


def outcome(report: Any, code: str) -> Any:
    return next(o for o in report.outcomes if o.code == code)


def status(report: Any, code: str) -> str:
    return str(outcome(report, code).status)


def net(keras: Any, body: Callable[[Any], Any], side: int | None = S) -> Any:
    image = keras.Input((side, side, 3), name="image")
    return keras.Model(image, body(image))


def conv(keras: Any, filters: int = 8, **options: Any) -> Any:
    settings = {"padding": "same", "activation": "relu", **options}
    return keras.layers.Conv2D(filters, settings.pop("size", 3), **settings)


def head(keras: Any, **options: Any) -> Any:
    return keras.layers.Conv2D(C, 1, name="head", **options)


# --- the graph ---------------------------------------------------------------------------------


def test_an_operation_without_a_gradient_is_named(keras: Any) -> None:
    class Hard(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return keras.ops.one_hot(keras.ops.argmax(x, axis=-1), 8)

    sick = net(keras, lambda x: head(keras)(Hard(name="hard")(conv(keras)(x))))
    report = check(keras, sick)
    told = found(report)
    assert told["MDL005"].evidence[0].value == "ArgMax"
    assert told["MDL005"].evidence[0].where == "hard"
    assert told["GRAD001"].because_of == "MDL005"

    class Rounded(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return keras.ops.round(x)

    def rounded(x: Any) -> Any:
        x = Rounded(name="rounded")(conv(keras)(x))
        return head(keras)(keras.layers.BatchNormalization()(conv(keras)(x)))

    # The constants that a batch normalisation behind it takes out of the path cut nothing.
    told = found(check(keras, net(keras, rounded)))
    assert [each.value for each in told["MDL005"].evidence] == ["Round"]

    class Soft(keras.layers.Layer):  # type: ignore[misc]
        """argmax beside the path: a mask that weights features, with a gradient around it."""

        def call(self, x: Any) -> Any:
            mask = keras.ops.one_hot(keras.ops.argmax(x, axis=-1), 8)
            return x * keras.ops.stop_gradient(mask)

    assert found(check(keras, net(keras, lambda x: head(keras)(Soft()(conv(keras)(x)))))) == {}


def test_an_output_of_another_size(keras: Any) -> None:
    sick = net(keras, lambda x: head(keras)(conv(keras, strides=2)(x)))
    told = found(check(keras, sick))
    assert "MDL008" in told
    assert told["MDL008"].evidence[0].limit == "16×16"
    twin = net(
        keras, lambda x: keras.layers.UpSampling2D(2)(head(keras)(conv(keras, strides=2)(x)))
    )
    assert found(check(keras, twin)) == {}

    def resizing(y_true: Any, y_pred: Any) -> Any:
        y_pred = keras.ops.image.resize(y_pred, (S, S))
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    assert "MDL008" not in found(check(keras, sick, loss=resizing))


@pytest.mark.parametrize("flat", [False, True])
def test_scrambled_pixels(keras: Any, flat: bool) -> None:
    layers = keras.layers

    def scrambled(x: Any) -> Any:
        x = layers.Permute((2, 1))(layers.Reshape((C, S * S))(head(keras)(conv(keras)(x))))
        return x if flat else layers.Reshape((S, S, C))(x)

    def ordered(x: Any) -> Any:
        x = layers.Reshape((S * S, C))(head(keras)(conv(keras)(x)))
        return x if flat else layers.Reshape((S, S, C))(x)

    data = (X, Y.reshape(4, -1)) if flat else (X, Y)
    told = found(check(keras, net(keras, scrambled), data))
    assert set(told) == {"MDL009"}
    assert int(told["MDL009"].evidence[0].value or 0) < 8
    assert found(check(keras, net(keras, ordered), data)) == {}

    def turned(x: Any) -> Any:
        return layers.Permute((2, 1, 3))(head(keras)(conv(keras)(x)))

    assert "MDL009" in found(check(keras, net(keras, turned)))


def test_an_arg_max_scrambles_nothing(keras: Any) -> None:
    def answered(x: Any) -> Any:
        one_hot = keras.layers.Lambda(lambda t: keras.ops.one_hot(keras.ops.argmax(t, -1), C))
        return one_hot(head(keras)(conv(keras)(x)))

    model = net(keras, answered)
    order = pixel_order(model, live_graph(model, "keras3"))
    assert order is not None
    assert order.place_right == order.class_right == order.marks


def test_variables_that_nobody_knows(keras: Any) -> None:
    import tensorflow as tf

    hidden = keras.layers.Dense(8)
    hidden.build((None, None, None, 8))
    sick = net(
        keras, lambda x: head(keras)(keras.layers.Lambda(lambda t: hidden(t))(conv(keras)(x)))
    )
    told = found(check(keras, sick))
    assert set(told) == {"MDL010"}
    assert len(told["MDL010"].evidence) == 2

    class Loose(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, trainable_scale: bool) -> None:
            super().__init__()
            self.scale = tf.Variable(2.0, trainable=trainable_scale)

        def call(self, x: Any) -> Any:
            return x * tf.convert_to_tensor(self.scale)

    loose = net(keras, lambda x: head(keras)(Loose(True)(conv(keras)(x))))
    assert "MDL010" in found(check(keras, loose))
    table = net(keras, lambda x: head(keras)(Loose(False)(conv(keras)(x))))
    assert found(check(keras, table)) == {}

    class Tracked(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.scale

    assert found(check(keras, net(keras, lambda x: head(keras)(Tracked()(conv(keras)(x)))))) == {}


def test_convolutions_with_nothing_between(keras: Any) -> None:
    layers = keras.layers

    def plain(x: Any, bend: bool) -> Any:
        for _ in range(3):
            x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
            x = layers.ReLU()(x) if bend else x
        return head(keras)(x)

    assert "MDL011" in found(check(keras, net(keras, lambda x: plain(x, bend=False))))
    assert found(check(keras, net(keras, lambda x: plain(x, bend=True)))) == {}

    def bottleneck(x: Any) -> Any:
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(4, 1)(x))
        return head(keras)(layers.Conv2D(8, 3, padding="same", activation="relu")(x))

    assert "MDL011" not in found(check(keras, net(keras, bottleneck)))


def test_rates_beyond_the_map(keras: Any) -> None:
    layers = keras.layers

    def pyramid(x: Any, rates: tuple[int, ...]) -> Any:
        x = conv(keras, strides=2)(x)
        branches = [conv(keras, dilation_rate=rate)(x) for rate in rates]
        x = layers.Concatenate()(branches)
        return layers.UpSampling2D(2)(head(keras)(x))

    told = found(check(keras, net(keras, lambda x: pyramid(x, (6, 12, 18)))))
    assert set(told) == {"MDL006"}
    assert told["MDL006"].severity == "warning"
    assert found(check(keras, net(keras, lambda x: pyramid(x, (1, 2, 4))))) == {}
    # Of a free size nothing is known.
    free = net(keras, lambda x: pyramid(x, (6, 12, 18)), side=None)
    assert found(check(keras, free)) == {}


# --- gradients ---------------------------------------------------------------------------------


def test_dead_units_and_an_idle_branch(keras: Any) -> None:
    layers = keras.layers
    low = keras.initializers.Constant(-50.0)

    def dead(x: Any) -> Any:
        a, b = conv(keras, 8, bias_initializer=low, name="a")(x), conv(keras, 8, name="b")(x)
        return head(keras)(layers.Concatenate()([a, b]))

    told = found(check(keras, net(keras, dead)))
    assert set(told) == {"GRAD005"}
    assert told["GRAD005"].evidence[0].where == "a"
    model = net(
        keras,
        lambda x: head(keras)(
            layers.Concatenate()([conv(keras, name="a")(x), conv(keras, name="b")(x)])
        ),
    )
    assert found(check(keras, model)) == {}
    kernel = np.array(model.get_layer("head").kernel)
    kernel[..., :8, :] = 0.0
    model.get_layer("head").kernel.assign(kernel)
    told = found(check(keras, model))
    assert "nothing (a)" in told["GRAD005"].message
    # A head that starts at zero gives a constant: nothing before it could move that.
    model.get_layer("head").kernel.assign(0.0 * kernel)
    assert found(check(keras, model)) == {}


def test_a_saturated_head(keras: Any) -> None:
    loss = nets.crossentropy(keras, from_logits=False)

    def saturating(x: Any) -> Any:
        # A layer behind the softmax: Keras cannot reach back to the logits.
        x = head(keras, activation="softmax")(conv(keras)(x))
        return keras.layers.Reshape((S, S, C))(x)

    model = net(keras, saturating)
    assert found(check(keras, model, loss=loss)) == {}
    kernel = np.array(model.get_layer("head").kernel)
    model.get_layer("head").kernel.assign(kernel * 1e4)
    assert "GRAD006" in found(check(keras, model, loss=loss))
    # As sure, and right: the labels are what it says.
    right = model.predict(X, verbose=0).argmax(-1)
    assert "GRAD006" not in found(check(keras, model, (X, right), loss=loss))


def test_the_first_operation_that_gives_nan(keras: Any) -> None:
    class Logarithm(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return keras.ops.log(x)

    model = net(
        keras, lambda x: head(keras)(Logarithm(name="log")(conv(keras, activation=None)(x)))
    )
    told = found(check(keras, model))
    assert "BN003" not in told
    assert ("Log", "log") in [(e.value, e.where) for e in told["GRAD004"].evidence]


def test_what_is_inside_the_model_and_around_it(keras: Any) -> None:
    """A flip inside the model, batches of two in a tf.data set, a gradient that clipping eats."""
    import tensorflow as tf

    def flipping(x: Any) -> Any:
        x = keras.layers.RandomFlip("horizontal", name="flip")(x)
        return head(keras)(nets.conv_bn(keras.layers, x, 8, "a"))

    def huge(y_true: Any, y_pred: Any) -> Any:
        return 1e5 * keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    pairs = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(4, seed=0).batch(2)
    clipping = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    report = check(
        keras, net(keras, flipping), pairs, loss=huge, optimizer=clipping, batch_size=None
    )
    told = {f.code: f for f in report.findings}
    assert told["DATA004"].evidence[0].where == "flip"
    assert (told["BN002"].evidence[0].value, told["GRAD003"].severity) == (2, "warning")
    assert "BN003" not in told


# --- batch norm, optimisation ------------------------------------------------------------------


def test_momentum_beside_the_planned_steps(keras: Any) -> None:
    model = nets.functional(keras)
    plan = {"epochs": 2, "steps_per_epoch": 30}
    short = found(check(keras, model, (40 * X + 10, Y), **plan))
    assert short["BN007"].evidence[0].value == pytest.approx(0.99**60, rel=0.01)
    long = found(check(keras, model, (40 * X + 10, Y), epochs=50, steps_per_epoch=100))
    assert "BN007" not in long
    report = check(keras, model, (40 * X + 10, Y))
    assert status(report, "BN007") == "not examined"


def test_a_change_after_compile(keras: Any) -> None:
    model = nets.functional(keras)
    model.compile(keras.optimizers.SGD(1e-2), nets.crossentropy(keras))
    compiled = {"loss": None, "optimizer": None}
    model.get_layer("a_conv").trainable = model.get_layer("a_bn").trainable = False
    model.fit(X, Y, verbose=0)
    assert "BN010" not in found(check(keras, model, **compiled))
    model.get_layer("a_conv").trainable = model.get_layer("a_bn").trainable = True
    assert "BN010" in found(check(keras, model, **compiled))
    # What is given here is a fresh compile.
    assert "BN010" not in found(check(keras, model))
    model.compile(keras.optimizers.SGD(1e-2), nets.crossentropy(keras))
    assert "BN010" not in found(check(keras, model, **compiled))


def test_a_freeze_past_the_head(keras: Any) -> None:
    model = nets.functional(keras)
    told = found(check(keras, model, freeze=356))
    assert told["GRAD007"].because_of == "OPT009"
    assert "only" in told["OPT009"].message
    assert "OPT009" not in found(check(keras, nets.functional(keras), freeze=4))
    model = nets.functional(keras)
    for layer in model.layers:
        layer.trainable = False
    model.trainable = True  # does nothing
    told = found(check(keras, model))
    assert (told["GRAD007"].severity, told["OPT009"].severity) == ("error", "info")
    model.trainable = False
    model.trainable = True
    assert found(check(keras, model)) == {}


def test_schedule_and_steps(keras: Any) -> None:
    schedules = keras.optimizers.schedules
    model = nets.functional(keras)

    def with_rate(rate: Any, **plan: Any) -> dict[str, Finding]:
        plan = {"epochs": 30, "steps_per_epoch": 145, **plan}
        return found(check(keras, model, optimizer=keras.optimizers.SGD(rate), **plan))

    assert "OPT005" in with_rate(schedules.CosineDecay(0.05, 145))
    assert with_rate(schedules.CosineDecay(0.05, 30 * 145)) == {}
    warm = schedules.CosineDecay(0.0, 29 * 145, warmup_target=0.05, warmup_steps=145)
    assert with_rate(warm) == {}
    assert "rises" in with_rate(schedules.PolynomialDecay(1e-5, 1000))["OPT005"].message
    assert "OPT007" in with_rate(0.05, epochs=8)
    quality = {"loss": [1.0] * 5 + [0.2] * 3, "mean_iou": [0.1] * 4 + [0.6] * 4}
    assert "OPT007" not in with_rate(0.05, epochs=8, history=quality)


def test_class_weight(keras: Any) -> None:
    model = nets.functional(keras)
    assert "OPT008" in found(check(keras, model, class_weight={0: 1.0, 1: 5.0}))
    assert found(check(keras, model)) == {}


def test_a_rate_far_off_is_told_by_the_sweep(keras: Any) -> None:
    model = nets.functional(keras)
    slow = check(keras, model, optimizer=keras.optimizers.Adam(2e-6), select="OPT003")
    assert found(slow)["OPT003"].fix is not None
    assert found(check(keras, model, select="OPT003")) == {}
    off = outcome(check(keras, model), "OPT003")
    assert (off.status, "no trial" in off.reason or "budget" in off.reason) == (
        "not examined",
        True,
    )


def test_a_sweep_is_made_where_the_budget_has_room(keras: Any) -> None:
    from segdoctor.core.run import Batch, Run
    from segdoctor.core.training_facts import SweepFacts
    from segdoctor.examination.optimising import sweep_field

    optimizer = keras.optimizers.Adam(1e-3)
    run = Run(nets.functional(keras), Batch(X, Y), nets.crossentropy(keras), optimizer)
    asked: dict[str, Any] = {"asked": False, "known": True}
    assert isinstance(sweep_field(run, None, recording_s=0.5, budget_s=60, **asked), SweepFacts)
    slow = sweep_field(run, None, recording_s=5.0, budget_s=60, **asked)
    assert "about 20 s" in str(slow)
    assert "133s" in str(slow)
    fixed = sweep_field(run, None, recording_s=0.5, budget_s=None, **asked)
    assert "budget in seconds" in str(fixed)


def test_clipping_that_eats_the_step(keras: Any) -> None:
    model = nets.functional(keras)
    clipped = found(check(keras, model, optimizer=keras.optimizers.SGD(0.1, clipvalue=1e-9)))
    assert "clipping" in clipped["OPT001"].message
    usual = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0)
    assert found(check(keras, model, optimizer=usual)) == {}


def test_penalties(keras: Any) -> None:
    model = nets.functional(keras)
    heavy = keras.optimizers.SGD(1e-2, weight_decay=30.0)
    assert "OPT004" in found(check(keras, model, optimizer=heavy))
    usual = keras.optimizers.SGD(1e-2, momentum=0.9, weight_decay=4e-5)
    assert found(check(keras, model, optimizer=usual)) == {}


def test_half_precision_without_scaling(keras: Any) -> None:
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = net(keras, lambda x: head(keras, dtype="float32")(conv(keras)(x)))
        bare = net(keras, lambda x: head(keras)(conv(keras)(x)))
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    compiled = {"loss": None, "optimizer": None}
    model.compile(keras.optimizers.SGD(1e-2), nets.crossentropy(keras), auto_scale_loss=False)
    assert found(check(keras, model, **compiled))["OPT006"].severity == "error"
    model.compile(keras.optimizers.SGD(1e-2), nets.crossentropy(keras))
    assert "OPT006" not in found(check(keras, model, **compiled))
    assert found(check(keras, bare))["OPT006"].severity == "warning"


# --- history and callbacks ---------------------------------------------------------------------


def test_history_and_callbacks_through_the_check(keras: Any) -> None:
    model = nets.functional(keras)
    flat = {"loss": [1.386, 1.385, 1.387, 1.386, 1.386, 1.387], "val_loss": [1.4] * 6}
    watch = keras.callbacks
    told = found(
        check(
            keras,
            model,
            history=flat,
            validation_data=(X, Y),
            metrics=[keras.metrics.MeanIoU(C, name="miou")],
            callbacks=[
                watch.ModelCheckpoint(
                    "m.keras", monitor="val_miou", mode="min", save_best_only=True
                ),
                watch.EarlyStopping("val_mean_iou", mode="max"),
            ],
        )
    )
    assert set(told) == {"HIST001", "HIST005", "HIST006"}
    alone = found(check(keras, model, callbacks=[watch.EarlyStopping("val_loss")]))
    assert alone["HIST006"].severity == "warning"
    report = check(keras, model, history=flat)
    assert report.to_dict()["measured"]["history"]["epochs"] == [0, 1, 2, 3, 4, 5]


def test_weights_of_another_corner_convention(keras: Any) -> None:
    import tensorflow as tf

    class Aligned(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return tf.raw_ops.ResizeBilinear(images=x, size=[48, 48], align_corners=True)

    rng = np.random.default_rng(0)
    cells = rng.integers(0, C, (8, 13, 13))
    grid = np.rint(np.linspace(0, 12, 48)).astype(int)
    ids = cells[:, grid][:, :, grid].astype("int32")
    x = np.eye(C, dtype="float32")[cells] * 2.0 - 1.0
    x = np.asarray(tf.raw_ops.ResizeBilinear(images=x, size=[48, 48], align_corners=True))
    image = keras.Input((48, 48, C))
    small = keras.layers.Conv2D(16, 5, strides=4, padding="same", activation="relu")(image)
    small = keras.layers.Conv2D(C, 3, padding="same", name="head")(small)
    model = keras.Model(image, Aligned()(small))
    model.compile(keras.optimizers.Adam(1e-2), nets.crossentropy(keras))
    model.fit(x, ids, epochs=60, batch_size=8, verbose=0)
    halves = keras.Model(image, keras.layers.Resizing(48, 48, interpolation="bilinear")(small))
    told = found(check(keras, halves, (x, ids), select="MDL"))
    assert set(told) == {"MDL007"}
    fresh = keras.models.clone_model(halves)
    fresh.compile(keras.optimizers.Adam(1e-2), nets.crossentropy(keras))
    assert status(check(keras, fresh, (x, ids), select="MDL"), "MDL007") == "not examined"
    fresh.fit(x, ids, epochs=60, batch_size=8, verbose=0)
    assert found(check(keras, fresh, (x, ids), select="MDL")) == {}
