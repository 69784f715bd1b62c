"""Gradients, steps and facts of whole nets against slow, obvious twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.core.trace import Missing
from segdoctor.measures.graph_depth import layer_depths
from segdoctor.recorder import network, tape_size, updates
from segdoctor.recorder.layers import values_of
from segdoctor.recorder.live_graph import live_facts
from segdoctor.recorder.network import NetworkRecorder, record_network
from segdoctor.recorder.snapshot import preserved
from tests.recorder import nets

KINDS = ("functional", "sequential", "nested", "subclassed", "shared")


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


def build(keras: Any, kind: str) -> Any:
    keras.utils.set_random_seed(7)
    return getattr(nets, kind)(keras)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_norms_equal_one_tape_per_variable(library: str, kind: str) -> None:
    import tensorflow as tf

    keras = pytest.importorskip(library)
    model = build(keras, kind)
    x, y = nets.batch()
    loss = nets.crossentropy(keras)
    found = {
        (fact.layer.rpartition("/")[2], fact.variable): fact
        for fact in record_network(model, loss, x, y)["gradients"]  # type: ignore[attr-defined]
        if fact.trainable
    }
    assert len(found) == len(model.trainable_variables)
    for variable in model.trainable_variables:
        with preserved(model), tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        raw = getattr(variable, "_value", variable)
        wanted = float(tf.norm(tape.gradient(value, raw)))
        parts = (variable.path if library == "keras" else variable.name.partition(":")[0]).split(
            "/"
        )
        fact = found[parts[-2], parts[-1]]
        # A bias in front of BN has the gradient 0 by design: what is left is rounding.
        assert fact.norm == pytest.approx(wanted, rel=1e-5, abs=1e-6), variable.name
        assert fact.weight_norm == pytest.approx(float(tf.norm(raw)), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_depth_grows_along_the_graph(keras: Any, kind: str) -> None:
    model = build(keras, kind)
    graph, _, _ = live_facts(model)
    depths = layer_depths(graph)
    head = "out" if kind == "subclassed" else "head"
    if kind == "shared":
        assert depths["twice"] < depths["join"] < depths["head"]
    assert depths[head] == max(depths.values()) == 1.0
    if kind == "nested":
        assert 0 < depths["backbone/base_conv"] < depths["backbone/base2_conv"] < depths["top_conv"]


def test_live_facts_of_a_nested_model(keras: Any) -> None:
    model = build(keras, "nested")
    model.get_layer("backbone").trainable = False
    graph, weights, norms = live_facts(model)
    names = {layer.name for layer in graph.layers}
    assert {"backbone", "backbone/base_conv", "top_bn"} <= names
    assert sum(weight.count for weight in weights) == model.count_params()
    by_name = {fact.layer: fact for fact in norms}
    assert by_name["backbone/base_bn"].trainable is False
    assert by_name["backbone/base_bn"].feeds_from == "backbone/base_conv"
    assert by_name["top_bn"].moving_variance is not None
    assert by_name["top_bn"].moving_variance.minimum == 1.0
    assert graph.flavour == "keras3"


def test_facts_of_a_subclassed_model(keras: Any) -> None:
    graph, weights, norms = live_facts(build(keras, "subclassed"))
    assert graph.kind == "subclassed"
    assert [layer.name for layer in graph.layers] == ["first", "norm", "out"]
    assert [fact.layer for fact in norms] == ["norm"]
    assert {"kernel", "bias", "gamma", "moving_mean"} <= {weight.name for weight in weights}


def test_the_real_step_of_the_optimizer(keras: Any) -> None:
    model = build(keras, "functional")
    x, y = nets.batch()
    loss = nets.crossentropy(keras)

    def ratio(optimizer: Any) -> float:
        lines: Any = record_network(model, loss, x, y, optimizer=optimizer)["updates"]
        return next(line.ratio for line in lines if line.layer == "a_conv")

    kernel = values_of(model.get_layer("a_conv").kernel)
    gradient = next(
        fact.norm
        for fact in record_network(model, loss, x, y)["gradients"]  # type: ignore[attr-defined]
        if fact.layer == "a_conv"
    )
    assert ratio(keras.optimizers.SGD(0.01)) == pytest.approx(
        0.01 * gradient / np.linalg.norm(kernel), rel=1e-3
    )
    assert ratio(keras.optimizers.Adam(1e-3)) == pytest.approx(
        1e-3 * np.sqrt(kernel.size) / np.linalg.norm(kernel), rel=0.02
    )
    small = ratio(keras.optimizers.Adadelta(1e-3))
    assert ratio(keras.optimizers.Adadelta(1.0)) == pytest.approx(1000 * small, rel=0.05)
    adam = ratio(keras.optimizers.Adam(1e-3))
    accumulating = keras.optimizers.Adam(1e-3, gradient_accumulation_steps=4)
    assert ratio(accumulating) == pytest.approx(adam, rel=0.05)
    # A warm-up begins at zero; the step is judged at the schedule's peak.
    warm = keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=1e-3, warmup_steps=10)
    assert ratio(keras.optimizers.Adam(warm)) == pytest.approx(adam, rel=0.05)


def test_a_net_stepped_in_parts_gives_what_the_whole_gives(
    keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(keras, "sequential")
    x, y = nets.batch()
    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1e-3)
    model.compile(optimizer, nets.crossentropy(keras))
    model.train_on_batch(x, y)  # its slots hold something
    told = []
    for size, calls in ((1 << 22, 1), (200, 2)):
        monkeypatch.setattr(updates, "_PART", size)
        recorder = NetworkRecorder(model, nets.crossentropy(keras), optimizer=optimizer)
        told += [recorder(x, y) for _ in range(calls)]
        assert (len(recorder._step._parts) > 1) == (size == 200)
    whole = told[0]
    for fields in told[1:]:
        for one, other in zip(whole["updates"], fields["updates"], strict=True):  # type: ignore[call-overload]
            assert (other.layer, other.variable) == (one.layer, one.variable)
            # A bias in front of BN has the gradient 0 by design: what is left is rounding.
            assert one.variable == "bias" or other.ratio == pytest.approx(one.ratio, rel=1e-4)
        effects = [fields["step_effect"], whole["step_effect"]]
        assert effects[0].promised == pytest.approx(effects[1].promised, rel=1e-4)  # type: ignore[attr-defined]


def test_dropout_is_no_gap(keras: Any) -> None:
    keras.utils.set_random_seed(1)
    model = nets.functional(keras, dropout=0.5)
    x, y = nets.batch()
    recorder = NetworkRecorder(model, nets.crossentropy(keras))
    for _ in ("eager", "traced"):
        modes: Any = recorder(x, y)["modes"]
        assert modes.gap > 0.1  # a new net: its moving averages lag
        assert modes.gap_recalibrated < 1e-3
        assert modes.first_layer == "a_bn"


def test_what_is_missing_says_why(keras: Any) -> None:
    model = build(keras, "functional")
    x, y = nets.batch()

    def broken(y_true: Any, y_pred: Any) -> Any:
        raise ValueError("shapes do not fit")

    fields = record_network(model, broken, x, y)
    assert isinstance(fields["gradients"], Missing)
    assert "shapes do not fit" in str(fields["gradients"])
    assert fields["y_train"].shape == (2, 16, 16, 4)  # type: ignore[attr-defined]
    fields = record_network(model, None, x, y)
    assert "no loss is known" in str(fields["gradients"])
    fields = record_network(model, nets.crossentropy(keras), x[..., :2], y)
    assert "does not run on the batch" in str(fields["y_infer"])


def test_a_bare_softmax_is_seen_as_fit_sees_it(keras: Any) -> None:
    keras.utils.set_random_seed(7)
    bare = nets.functional(keras, "bare softmax")
    keras.utils.set_random_seed(7)
    logits = nets.functional(keras, "logits")
    x, y = nets.batch()
    one, other = (
        record_network(model, nets.crossentropy(keras), x, y)["gradients"]
        for model in (bare, logits)
    )
    for a, b in zip(one, other, strict=True):  # type: ignore[call-overload]
        assert a.norm == (None if b.norm is None else pytest.approx(b.norm, rel=1e-3, abs=1e-6))


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_the_traced_passes_give_what_the_eager_ones_give(library: str) -> None:
    keras = pytest.importorskip(library)
    model = build(keras, "shared")
    x, y = nets.batch()
    before = [values_of(variable) for variable in model.variables]
    recorder = NetworkRecorder(
        model, nets.crossentropy(keras), optimizer=keras.optimizers.Adam(1e-3)
    )
    eager, traced = recorder(x, y), recorder(x, y)
    other = recorder(x[::-1].copy(), y[::-1].copy())
    for name in ("y_train", "y_infer"):
        np.testing.assert_allclose(traced[name], eager[name], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other[name], np.asarray(eager[name])[::-1], rtol=1e-3, atol=1e-4)
    for name, field in (("gradients", "norm"), ("updates", "ratio"), ("blocks", "gradient")):
        pairs = zip(eager[name], traced[name], strict=True)  # type: ignore[call-overload]
        for one, two in pairs:
            value, again = getattr(one, field), getattr(two, field)
            assert again == (None if value is None else pytest.approx(value, rel=1e-3, abs=1e-6))
    assert [line.training_mode for line in traced["bn_observed"]] == ["batch", "batch"]  # type: ignore[attr-defined]
    assert all(
        np.array_equal(one, values_of(variable))
        for one, variable in zip(before, model.variables, strict=True)
    )
    # A changed flag begins anew: what is frozen now has no gradient.
    model.get_layer("head").trainable = False
    facts: Any = recorder(x, y)["gradients"]
    assert [fact.trainable for fact in facts if fact.layer == "head"] == [False, False]


def test_a_large_batch_is_traced_at_once(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, y) = build(keras, "functional"), nets.batch()
    eager = record_network(model, nets.crossentropy(keras), x, y)
    monkeypatch.setattr(tape_size, "_MUCH", 0)
    traced = record_network(model, nets.crossentropy(keras), x, y)
    np.testing.assert_allclose(traced["y_train"], eager["y_train"], rtol=1e-4, atol=1e-5)
    for one, two in zip(eager["gradients"], traced["gradients"], strict=True):  # type: ignore[call-overload]
        assert two.norm == (
            None if one.norm is None else pytest.approx(one.norm, rel=1e-3, abs=1e-6)
        )


def test_what_no_trace_can_hold_is_recorded_eagerly(
    keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.head = keras.layers.Conv2D(nets.CLASSES, 1)

        def call(self, x: Any) -> Any:
            return self.head(x) if float(keras.ops.sum(x * x)) > 0.0 else x

    monkeypatch.setattr(network, "holds_much", lambda graph, x: True)
    net, (x, y) = Net(), nets.batch()
    net(x)
    recorder = NetworkRecorder(net, nets.crossentropy(keras))
    for _ in range(2):
        facts: Any = recorder(x, y)["gradients"]
        assert [fact.norm > 0.0 for fact in facts] == [True, True]


def test_the_gradient_at_a_merge_equals_a_tape_of_its_own(keras: Any) -> None:
    import tensorflow as tf

    model = build(keras, "shared")
    x, y = nets.batch()
    (flow,) = record_network(model, nets.crossentropy(keras), x, y)["blocks"]  # type: ignore[misc, attr-defined]
    assert flow.layer == "join"
    join = model.get_layer("join")
    front = keras.Model(model.inputs, join.output)
    back = keras.Model(join.output, model.outputs)
    with preserved(model), tf.GradientTape() as tape:
        at = front(x, training=True)
        tape.watch(at)
        value = nets.crossentropy(keras)(y, back(at, training=True))
    gradient = np.asarray(tape.gradient(value, at))
    assert flow.gradient == pytest.approx(float(np.sqrt((gradient**2).mean())), rel=1e-4)
    assert flow.activation == pytest.approx(float(np.sqrt((np.asarray(at) ** 2).mean())), rel=1e-4)
