"""Schedule, sweep, penalties, precision, freezing and the compiled step, measured on small nets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.history_facts import CallbackFacts, HistoryFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.freeze_blocks import in_words
from segdoctor.recorder.compiled_before import compiled_before
from segdoctor.recorder.freeze import freeze_facts
from segdoctor.recorder.live_graph import live_facts
from segdoctor.recorder.network import record_network
from segdoctor.recorder.precision import precision_facts
from segdoctor.recorder.schedule import schedule_facts
from segdoctor.recorder.sweep import sweep, useful_range
from tests.recorder import nets

X, Y = nets.batch(examples=4)


@pytest.fixture(scope="module")
def keras() -> Any:
    package = pytest.importorskip("keras")
    package.utils.set_random_seed(0)
    return package


def test_schedules_over_the_plan(keras: Any) -> None:
    schedules = keras.optimizers.schedules
    one_epoch = keras.optimizers.SGD(schedules.CosineDecay(0.007, 145))
    facts = schedule_facts(one_epoch, 8, 145)
    assert facts is not None
    assert (facts.planned, facts.by) == (1160, "optimizer")
    assert 140 < (facts.asleep_from(1e-3) or 0) < 170
    whole = schedule_facts(keras.optimizers.SGD(schedules.CosineDecay(0.007, 1160)), 8, 145)
    assert whole is not None
    assert (whole.asleep_from(1e-3) or 1160) > 1120
    assert schedule_facts(keras.optimizers.SGD(0.1), 8, 145) is None
    with pytest.raises(NotExaminedError, match="steps-per-epoch"):
        schedule_facts(one_epoch, 8, None)


def test_a_callback_goes_before_the_optimizer(keras: Any) -> None:
    callback = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.01**epoch)
    facts = schedule_facts(keras.optimizers.SGD(0.1), 10, 20, [callback])
    assert facts is not None
    assert (facts.by, facts.rates[0], facts.steps[1]) == ("LearningRateScheduler", 0.1, 20)
    flat = HistoryFacts("dict", tuple(range(12)), {"val_loss": (1.0,) * 12})
    watching = CallbackFacts("ReduceLROnPlateau", "val_loss", "min", "min", 1, factor=0.1)
    facts = schedule_facts(keras.optimizers.SGD(0.1), 12, 20, None, [watching], flat)
    assert facts is not None
    assert facts.by == "ReduceLROnPlateau"
    assert facts.rates[-1] < 1e-9


def test_the_sweep_finds_the_range_and_changes_nothing(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    model = nets.functional(keras)
    model.compile(keras.optimizers.Adam(1e-3), nets.crossentropy(keras))
    before = [np.array(weight) for weight in model.get_weights()]
    facts = sweep(model, model.loss, X, Y, optimizer=model.optimizer)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert facts.run == pytest.approx(1e-3)
    assert facts.low is not None
    assert facts.high is not None
    assert 1e-5 < facts.low < facts.high < 1.0
    assert useful_range([1e-3] * 9, [1.0] * 9) == (None, None)


@pytest.mark.parametrize(("strength", "dominates"), [(1e-4, False), (30.0, True)])
def test_l2_beside_the_data(keras: Any, strength: float, dominates: bool) -> None:
    layers = keras.layers
    image = keras.Input((nets.SIZE, nets.SIZE, 3))
    decay = keras.regularizers.L2(strength)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", kernel_regularizer=decay)(image)
    model = keras.Model(image, layers.Conv2D(nets.CLASSES, 1, kernel_regularizer=decay)(x))
    penalties: Any = record_network(model, nets.crossentropy(keras), X, Y)["penalties"]
    (fact,) = penalties
    assert (fact.ratio > 10.0) is dominates
    assert fact.loss_penalty == pytest.approx(
        strength
        * sum(
            float((np.array(w) ** 2).sum())
            for w in (v.value for v in model.weights)
            if len(w.shape) == 4
        ),
        rel=1e-3,
    )


def test_weight_decay_of_the_optimizer(keras: Any) -> None:
    def ratio(optimizer: Any) -> float:
        model = nets.functional(keras)
        fields = record_network(model, nets.crossentropy(keras), X, Y, optimizer=optimizer)
        return float(fields["penalties"][0].ratio)  # type: ignore[index]

    assert ratio(keras.optimizers.AdamW(1e-3, weight_decay=4e-3)) < 0.1
    assert ratio(keras.optimizers.SGD(1e-2, weight_decay=30.0)) > 10.0


def test_half_precision(keras: Any) -> None:
    assert precision_facts(nets.functional(keras), None, np.zeros(1), own=True) is None
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = nets.functional(keras)
        model.compile(keras.optimizers.Adam(), nets.crossentropy(keras), auto_scale_loss=False)
        y = np.zeros(1, np.float16)
        bare = precision_facts(model, model.optimizer, y, own=True)
        assert bare is not None
        assert (bare.scaled, bare.output) == (False, "float16")
        fresh = precision_facts(model, keras.optimizers.Adam(), y, own=False)
        assert fresh is not None
        assert fresh.scaled is None
        model.compile(keras.optimizers.Adam(), nets.crossentropy(keras))
        scaled = precision_facts(model, model.optimizer, y, own=True)
        assert scaled is not None
        assert scaled.scaled is True
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def test_what_trains_is_read_back(keras: Any) -> None:
    model = nets.functional(keras)
    for layer in model.layers[:4]:
        layer.trainable = False
    graph, _, _ = live_facts(model)
    facts = freeze_facts(model, graph)
    assert [(b.name, b.trains, b.norms) for b in facts.blocks] == [
        ("a", False, 1),
        ("b", True, 1),
        ("c", True, 1),
        ("head", True, 0),
    ]
    assert in_words(facts.blocks, False) == "a"
    assert (facts.head, facts.head_trains) == ("head", True)


def test_the_step_that_was_compiled(keras: Any) -> None:
    model = nets.sequential(keras)
    model.compile(keras.optimizers.SGD(1e-3), nets.crossentropy(keras))
    assert compiled_before(model) is None
    model.layers[0].trainable = False  # between compile and fit: it works
    model.fit(X, Y, verbose=0)
    facts = compiled_before(model)
    assert facts is not None
    assert (facts.only_stepped, facts.only_flagged) == ((), ())
    model.layers[0].trainable = True
    facts = compiled_before(model)
    assert facts is not None
    assert len(facts.only_flagged) == 2
    model.get_layer("head").trainable = False
    facts = compiled_before(model)
    assert facts is not None
    assert len(facts.only_stepped) == 2
    model.compile(keras.optimizers.SGD(1e-3), nets.crossentropy(keras))
    assert compiled_before(model) is None


def test_the_step_that_tf_keras_compiled() -> None:
    keras = pytest.importorskip("tf_keras")
    model = nets.sequential(keras)
    model.compile(keras.optimizers.SGD(1e-3), nets.crossentropy(keras))
    model.fit(X, Y, verbose=0)
    facts = compiled_before(model)
    assert facts is not None
    assert facts.only_stepped == facts.only_flagged == ()
    model.layers[0].trainable = False
    facts = compiled_before(model)
    assert facts is not None
    assert len(facts.only_stepped) == 2
    assert model.layers[0].trainable is False
