"""Live nets with their losses, measured, and what the probes say. Sick cases with their twins."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses

from segdoctor.core.engine import examine
from segdoctor.core.measured import Declared, HeadFacts, LossAsRun
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Trace
from segdoctor.measures.graph_config import graph_from_config
from segdoctor.measures.labels import label_facts
from segdoctor.probes.ignore_label import VoidInsideOneHot, VoidOutOfRange, VoidReachesLoss
from segdoctor.probes.labels_as_fed import (
    LabelShapeMismatch,
    OnehotMalformed,
    SparseOnehotMismatch,
)
from segdoctor.probes.loss_contract import (
    LossHasNoGradient,
    LossNotFinite,
    PerfectPredictionNotBest,
)
from segdoctor.probes.loss_raises import LossRaises
from segdoctor.probes.output_activation import (
    ActivationAppliedTwice,
    RectifiedLogits,
    SoftmaxOverOneChannel,
    SoftmaxOverWrongAxis,
)
from segdoctor.probes.output_channels import ChannelsDifferFromClasses
from segdoctor.probes.output_scale import (
    LogitsIntoProbabilityLoss,
    SigmoidWithCategoricalLoss,
    SoftmaxOnSoftmaxLoss,
)
from segdoctor.recorder.head import measure_head
from segdoctor.recorder.loss_answers import ask_loss
from segdoctor.recorder.loss_as_run import measure_loss_as_run
from segdoctor.recorder.stand_in import right_loss

PROBES = (
    SoftmaxOnSoftmaxLoss(),
    LogitsIntoProbabilityLoss(),
    ActivationAppliedTwice(),
    SoftmaxOverOneChannel(),
    SigmoidWithCategoricalLoss(),
    SoftmaxOverWrongAxis(),
    RectifiedLogits(),
    ChannelsDifferFromClasses(),
    VoidReachesLoss(),
    VoidInsideOneHot(),
    VoidOutOfRange(),
    SparseOnehotMismatch(),
    LabelShapeMismatch(),
    OnehotMalformed(),
    LossRaises(),
    PerfectPredictionNotBest(),
    LossHasNoGradient(),
    LossNotFinite(),
)
SIZE, CLASSES = 8, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
IDS = RNG.integers(0, CLASSES, (2, SIZE, SIZE)).astype(np.int32)
VOID = np.zeros(IDS.shape, dtype=bool)
VOID[:, :2] = True
MASKED = np.where(VOID, 255, IDS).astype(np.int32)
ONEHOT = np.eye(CLASSES, dtype=np.float32)[IDS]
BINARY = (IDS > 0).astype(np.int32)[..., None]

Sparse = losses.SparseCategoricalCrossentropy


def net(*tail: Any, channels: int = CLASSES, activation: str | None = None) -> keras.Model:
    """A convolution, a batch norm, scores wide enough to leave [0, 1], and ``tail``."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs))
    wide = keras.initializers.RandomNormal(stddev=2.0, seed=1)
    x = layers.Conv2D(channels, 1, activation=activation, kernel_initializer=wide)(x)
    for layer in tail:
        x = layer(x)
    return keras.Model(inputs, x)


def trace(
    model: Any,
    loss: Any,
    y: Any,
    *,
    ignore: int | bool | None = None,
    sample_weight: Any = None,
    declared: Declared | None = None,
) -> Trace:
    declared = declared or Declared(ignore_label=ignore)
    graph = graph_from_config(
        {"class_name": type(model).__name__, "config": model.get_config()}, keras.__version__
    )
    output = model(X, training=False)
    head = measure_head(model, output, graph)
    void = VOID if ignore is not None and ignore is not False else None
    return Trace(
        {
            "declared": declared,
            "graph": graph,
            "head": head,
            "labels": label_facts(np.asarray(y), head.channels, ignore),
            "loss_contract": ask_loss(loss, head.channels, head_kind=head.kind),
            "loss_as_run": measure_loss_as_run(model, loss, X, y, sample_weight, void),
        }
    )


def findings(*arguments: Any, **settings: Any) -> dict[str, str]:
    """Code → severity of everything found."""
    recorded = trace(*arguments, **settings)
    outcomes = [examine(probe, recorded) for probe in PROBES]
    assert not [o for o in outcomes if o.status == "crashed"], outcomes
    return {f.code: f.severity for outcome in outcomes for f in outcome.findings}


def dice(y_true: Any, y_pred: Any) -> Any:
    overlap = 2 * tf.reduce_sum(y_true * y_pred, axis=(1, 2))
    total = tf.reduce_sum(y_true + y_pred, axis=(1, 2))
    return 1 - tf.reduce_mean((overlap + 1e-6) / (total + 1e-6))


def dice_logits(y_true: Any, y_pred: Any) -> Any:
    return dice(y_true, tf.nn.softmax(y_pred))


def ce_and_dice(y_true: Any, y_pred: Any) -> Any:
    return losses.categorical_crossentropy(y_true, y_pred) + dice(y_true, y_pred)


def boundary_weighted(y_true: Any, y_pred: Any) -> Any:
    edge = tf.nn.max_pool2d(y_true, 3, 1, "SAME") + tf.nn.max_pool2d(-y_true, 3, 1, "SAME")
    weight = 1 + 4 * tf.reduce_max(edge, axis=-1)
    return weight * losses.categorical_crossentropy(y_true, y_pred)


def masked_ce(y_true: Any, y_pred: Any) -> Any:
    valid = tf.reduce_all(y_true != 255, axis=-1)
    rows = tf.where(valid[..., None], y_true, 0.0)
    return tf.cast(valid, y_pred.dtype) * losses.categorical_crossentropy(rows, y_pred)


def printed_dice(y_true: Any, y_pred: Any) -> Any:
    where = tf.where(y_true != 255)
    y_true, y_pred = tf.gather_nd(y_true, where), tf.gather_nd(y_pred, where)
    return 1 - 2 * tf.reduce_sum(y_true * y_pred, axis=1) / tf.reduce_sum(y_true + y_pred, axis=1)


def argmax_iou(y_true: Any, y_pred: Any) -> Any:
    same = tf.argmax(y_true, -1) == tf.argmax(y_pred, -1)
    return 1 - tf.reduce_mean(tf.cast(same, tf.float32))


SOFTMAX = {"activation": "softmax"}
HEALTHY: list[tuple[str, Callable[[], keras.Model], Any, Any, int | None]] = [
    ("logits", net, Sparse(from_logits=True), IDS, None),
    ("logits, void", net, Sparse(from_logits=True, ignore_class=255), MASKED, 255),
    ("logits, resized", lambda: net(layers.Resizing(8, 8)), Sparse(from_logits=True), IDS, None),
    ("softmax", lambda: net(**SOFTMAX), Sparse(), IDS, None),
    ("softmax, by name", lambda: net(**SOFTMAX), "sparse_categorical_crossentropy", IDS, None),
    ("softmax, void", lambda: net(**SOFTMAX), Sparse(ignore_class=255), MASKED, 255),
    (
        "softmax, resized",
        lambda: net(layers.Softmax(), layers.Resizing(8, 8)),
        Sparse(),
        IDS,
        None,
    ),
    ("ids with an axis", lambda: net(**SOFTMAX), Sparse(), IDS[..., None], None),
    ("one-hot", lambda: net(**SOFTMAX), losses.CategoricalCrossentropy(), ONEHOT, None),
    (
        "smoothed",
        net,
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        ONEHOT,
        None,
    ),
    ("focal", lambda: net(**SOFTMAX), losses.CategoricalFocalCrossentropy(), ONEHOT, None),
    ("Dice", lambda: net(**SOFTMAX), losses.Dice(), ONEHOT, None),
    ("Tversky", lambda: net(**SOFTMAX), losses.Tversky(), ONEHOT, None),
    ("own Dice", lambda: net(**SOFTMAX), dice, ONEHOT, None),
    ("own Dice of logits", net, dice_logits, ONEHOT, None),
    ("CE + Dice", lambda: net(**SOFTMAX), ce_and_dice, ONEHOT, None),
    ("boundaries", lambda: net(**SOFTMAX), boundary_weighted, ONEHOT, None),
    ("squared error", lambda: net(**SOFTMAX), losses.MeanSquaredError(), ONEHOT, None),
    (
        "binary",
        lambda: net(channels=1, activation="sigmoid"),
        losses.BinaryCrossentropy(),
        BINARY,
        None,
    ),
    (
        "binary logits",
        lambda: net(channels=1),
        losses.BinaryCrossentropy(from_logits=True),
        BINARY[..., 0],
        None,
    ),
    (
        "several labels",
        lambda: net(activation="sigmoid"),
        losses.BinaryCrossentropy(),
        np.maximum(ONEHOT, np.roll(ONEHOT, 1, axis=1)),
        None,
    ),
    (
        "255 rows, masked",
        lambda: net(**SOFTMAX),
        masked_ce,
        np.where(VOID[..., None], 255, ONEHOT).astype(np.float32),
        255,
    ),
]


@pytest.mark.parametrize(
    ("model", "loss", "y", "ignore"),
    [case[1:] for case in HEALTHY],
    ids=[case[0] for case in HEALTHY],
)
def test_healthy_runs_are_silent(
    model: Callable[[], keras.Model], loss: Any, y: Any, ignore: int | None
) -> None:
    assert findings(model(), loss, y, ignore=ignore) == {}


def tf_softmax(x: Any) -> Any:
    return tf.nn.softmax(x)


SICK: list[tuple[str, Callable[[], keras.Model], Any, Any, int | None, str, str]] = [
    ("rescued", lambda: net(**SOFTMAX), Sparse(from_logits=True), IDS, None, "OUT001", "info"),
    (
        "rescued by the operation",
        lambda: net(layers.Lambda(tf_softmax)),
        Sparse(from_logits=True),
        IDS,
        None,
        "OUT001",
        "info",
    ),
    (
        "not rescued: ignore_class",
        lambda: net(**SOFTMAX),
        Sparse(from_logits=True, ignore_class=255),
        MASKED,
        255,
        "OUT001",
        "error",
    ),
    (
        "not rescued: a reshape",
        lambda: net(layers.Softmax(), layers.Reshape((8, 8, 3))),
        Sparse(from_logits=True),
        IDS,
        None,
        "OUT001",
        "error",
    ),
    (
        "not rescued: a resize",
        lambda: net(layers.Softmax(), layers.UpSampling2D(), layers.MaxPooling2D()),
        Sparse(from_logits=True),
        IDS,
        None,
        "OUT001",
        "error",
    ),
    ("softmax, own logits", lambda: net(**SOFTMAX), dice_logits, ONEHOT, None, "OUT001", "error"),
    (
        "sigmoid, binary logits, a dropout",
        lambda: net(layers.Dropout(0.1), channels=1, activation="sigmoid"),
        losses.BinaryCrossentropy(from_logits=True),
        BINARY,
        None,
        "OUT001",
        "error",
    ),
    ("logits, probabilities", net, Sparse(), IDS, None, "OUT002", "error"),
    ("logits, Dice", net, dice, ONEHOT, None, "OUT002", "error"),
    (
        "logits, binary",
        lambda: net(channels=1),
        losses.BinaryCrossentropy(),
        BINARY,
        None,
        "OUT002",
        "error",
    ),
    ("twice", lambda: net(layers.Softmax(), **SOFTMAX), Sparse(), IDS, None, "OUT003", "error"),
    (
        "one channel",
        lambda: net(channels=1, **SOFTMAX),
        losses.BinaryCrossentropy(),
        BINARY,
        None,
        "OUT004",
        "error",
    ),
    (
        "softmax, binary",
        lambda: net(**SOFTMAX),
        losses.BinaryCrossentropy(),
        ONEHOT,
        None,
        "OUT005",
        "warning",
    ),
    ("rows", lambda: net(layers.Softmax(axis=2)), Sparse(), IDS, None, "OUT006", "error"),
    (
        "relu",
        lambda: net(activation="relu"),
        Sparse(from_logits=True),
        IDS,
        None,
        "OUT007",
        "error",
    ),
    ("channels", lambda: net(channels=2), Sparse(from_logits=True), IDS, None, "OUT008", "error"),
    (
        "zero rows",
        lambda: net(**SOFTMAX),
        losses.CategoricalCrossentropy(),
        ONEHOT * ~VOID[..., None],
        255,
        "IGN001",
        "warning",
    ),
    (
        "255 rows",
        lambda: net(**SOFTMAX),
        losses.CategoricalCrossentropy(),
        np.where(VOID[..., None], 255, ONEHOT).astype(np.float32),
        255,
        "IGN002",
        "error",
    ),
    ("255 ids", net, Sparse(from_logits=True), MASKED, 255, "IGN003", "error"),
    ("one-hot, sparse", net, Sparse(from_logits=True), ONEHOT, None, "LBL001", "error"),
    (
        "ids, categorical",
        lambda: net(**SOFTMAX),
        losses.CategoricalCrossentropy(),
        IDS,
        None,
        "LBL001",
        "error",
    ),
    ("sizes", net, Sparse(from_logits=True), np.repeat(IDS, 2, 1), None, "LBL002", "error"),
    ("printed Dice", lambda: net(**SOFTMAX), printed_dice, ONEHOT, None, "LOSS001", "error"),
    (
        "a score",
        lambda: net(**SOFTMAX),
        lambda y, p: 1 - dice(y, p),
        ONEHOT,
        None,
        "LOSS002",
        "error",
    ),
    ("no gradient", lambda: net(**SOFTMAX), argmax_iou, ONEHOT, None, "LOSS003", "error"),
    (
        "log of zero",
        lambda: net(**SOFTMAX),
        lambda y, p: -tf.reduce_sum(y * tf.math.log(p), -1),
        ONEHOT,
        None,
        "LOSS004",
        "error",
    ),
]


@pytest.mark.parametrize(
    ("model", "loss", "y", "ignore", "code", "severity"),
    [case[1:] for case in SICK],
    ids=[case[0] for case in SICK],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sick_runs_are_named(
    model: Callable[[], keras.Model],
    loss: Any,
    y: Any,
    ignore: int | None,
    code: str,
    severity: str,
) -> None:
    found = findings(model(), loss, y, ignore=ignore)
    assert found.get(code) == severity, found


def test_sample_weights_of_zero_keep_void_out() -> None:
    legal = np.where(VOID, 0, IDS)
    weights = (~VOID).astype(np.float32)
    model, loss = net(), Sparse(from_logits=True)
    assert findings(model, loss, legal, ignore=255, sample_weight=weights) == {}
    assert "IGN001" in findings(model, loss, legal, ignore=255)


def test_the_model_is_left_as_it_was() -> None:
    model = net()
    before = [variable.numpy() for variable in model.variables]
    measure_loss_as_run(model, Sparse(from_logits=True), X, IDS)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_the_rescue_is_told_though_the_labels_are_refused() -> None:
    """Void raises; with one-hot labels into a sparse loss nothing fits: still known."""
    for y in (MASKED, ONEHOT):
        measured = measure_loss_as_run(net(**SOFTMAX), Sparse(from_logits=True), X, y, None, VOID)
        assert measured.raises
        assert measured.rescued


def test_the_head() -> None:
    logits = net()
    assert measure_head(logits, logits(X)).kind == "logits"
    assert not measure_head(logits, logits(X)).keeps_logits
    softmax = net(**SOFTMAX)
    facts = measure_head(softmax, softmax(X))
    assert (facts.kind, facts.channels, facts.class_axis) == ("softmax", CLASSES, 3)
    assert facts.keeps_logits
    one = measure_head(net(channels=1), np.ones((2, 8, 8, 1), np.float32))
    assert one.kind == "constant"
    rows = np.full((2, 8, 8, 3), 1 / 8, np.float32)
    assert measure_head(None, rows).sums_to_one_over == (1,)
    assert measure_head(None, np.full((2, 8, 8, 3), np.nan)).kind == "unknown"
    with pytest.raises(NotExaminedError, match="2 outputs"):
        measure_head(None, [rows, rows])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_loss_as_run_is_that_of_fit() -> None:
    for model, loss in ((net(**SOFTMAX), Sparse(from_logits=True)), (net(), Sparse())):
        model.compile(loss=loss, optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
        measured = measure_loss_as_run(model, loss, X, IDS)
        history = model.fit(X, IDS, batch_size=2, epochs=1, verbose=0, shuffle=False)
        assert measured.value == pytest.approx(history.history["loss"][0], rel=1e-5)


def head_facts(kind: str, channels: int) -> HeadFacts:
    return HeadFacts((2, SIZE, SIZE, channels), channels, 3, kind, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("model", "kind", "y"),
    [
        (net, "logits", MASKED),
        (lambda: net(**SOFTMAX), "softmax", MASKED),
        (lambda: net(layers.Softmax(), layers.Reshape((8, 8, 3))), "softmax", MASKED[..., None]),
        (net, "logits", ONEHOT * ~VOID[..., None]),
        (lambda: net(**SOFTMAX), "softmax", np.where(VOID[..., None], 255, ONEHOT)),
        (lambda: net(activation="sigmoid"), "sigmoid", MASKED),
        (lambda: net(channels=1), "logits", np.where(VOID, 255, IDS > 0)),
        (
            lambda: net(channels=1, activation="sigmoid"),
            "sigmoid",
            np.where(VOID, 255, IDS > 0)[..., None],
        ),
    ],
)
def test_the_right_loss_leaves_void_out_exactly(
    model: Callable[[], keras.Model], kind: str, y: Any
) -> None:
    made = model()
    head = head_facts(kind, made.output_shape[-1])
    labels = label_facts(y, head.channels, 255)
    loss, words = right_loss(head, labels, 255)
    assert "255" in words
    measured = measure_loss_as_run(made, loss, X, y, None, VOID)
    assert measured.raises == ""
    assert measured.finite
    assert measured.void_gradient == 0.0
    assert measured.void_moves_value == 0.0
    assert measured.zero_gradient_share < 0.5
    weighted = measure_loss_as_run(made, loss, X, y, (~VOID).astype(np.float32), VOID)
    assert weighted.value is not None
    assert measured.value is not None
    assert weighted.value == pytest.approx(measured.value, rel=1e-5)


def test_the_right_loss_is_the_mean_over_valid_pixels() -> None:
    model = net()
    head = head_facts("logits", CLASSES)
    loss, _ = right_loss(head, label_facts(MASKED, CLASSES, 255), 255)
    own = measure_loss_as_run(model, Sparse(from_logits=True, ignore_class=255), X, MASKED)
    ours = measure_loss_as_run(model, loss, X, MASKED)
    assert ours.value == pytest.approx(own.value, rel=1e-5)


def test_tf_keras() -> None:
    tf_keras = pytest.importorskip("tf_keras")
    inputs = tf_keras.Input((SIZE, SIZE, 3))
    outputs = tf_keras.layers.Conv2D(CLASSES, 1, activation="softmax")(inputs)
    model = tf_keras.Model(inputs, outputs)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = ask_loss(loss, CLASSES, flavour="tf_keras")
    assert (found.labels, found.prediction) == ("ids", "logits")
    measured: LossAsRun = measure_loss_as_run(model, loss, X, IDS)
    assert measured.rescued
    right, _ = right_loss(
        head_facts("softmax", CLASSES), label_facts(MASKED, CLASSES, 255), 255, "tf_keras"
    )
    assert measure_loss_as_run(model, right, X, MASKED, None, VOID).void_gradient == 0.0
