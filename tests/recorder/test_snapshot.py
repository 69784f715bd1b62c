"""Whatever is done inside the block, the user's objects are bit for bit as before."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from segdoctor.recorder.layers import values_of
from segdoctor.recorder.network import record_network
from segdoctor.recorder.snapshot import optimizer_variables, preserved
from tests.recorder import nets

KINDS = ("functional", "sequential", "nested", "subclassed")


def package(name: str) -> Any:
    return pytest.importorskip(name)


def build(keras: Any, kind: str) -> Any:
    if kind == "functional":
        return nets.functional(keras, dropout=0.5)
    return getattr(nets, kind)(keras)


def fingerprint(model: Any, optimizer: Any) -> dict[str, Any]:
    """All that must not change, as bytes and plain values."""
    import tensorflow as tf

    layers = list(model._flatten_layers())
    return {
        "variables": [values_of(v).tobytes() for v in model.variables],
        "optimizer": [values_of(v).tobytes() for v in optimizer_variables(optimizer)],
        "flags": [layer._trainable for layer in layers],
        "variable flags": [v.trainable for v in model.variables],
        "functions": [getattr(model, "train_function", None), model.optimizer],
        "instance attributes": [sorted(vars(layer)) for layer in layers],
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),
        "names": type(model).__name__,
        "losses": [len(layer._losses) for layer in layers],
        "tensorflow": tf.random.uniform((3,)).numpy().tobytes(),
    }


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", KINDS)
def test_recording_leaves_everything_as_it_was(library: str, kind: str) -> None:
    keras = package(library)
    x, y = nets.batch()

    def run(record: bool) -> dict[str, Any]:
        keras.backend.clear_session()  # automatic names begin anew
        keras.utils.set_random_seed(11)
        model = build(keras, kind)
        optimizer = keras.optimizers.Adam(1e-2)
        loss = nets.crossentropy(keras)
        model.compile(optimizer=optimizer, loss=loss)
        model.fit(x, y, epochs=1, batch_size=2, verbose=0)
        keras.utils.set_random_seed(5)
        if record:
            record_network(model, loss, x, y, optimizer=optimizer)
        found = fingerprint(model, optimizer)
        model.fit(x, y, epochs=1, batch_size=2, verbose=0)  # dropout draws, slots, statistics
        found["fit again"] = [values_of(v).tobytes() for v in model.trainable_variables]
        found["functions"] = [found["functions"][0] is not None, True]
        found["next name"] = keras.layers.Dense(1).name
        return found

    plain, recorded = run(False), run(True)
    for name in plain:
        assert plain[name] == recorded[name], name


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", ["two_outputs", "mixed precision"])
def test_recording_leaves_these_as_they_were_too(library: str, kind: str) -> None:
    keras = package(library)
    keras.utils.set_random_seed(3)
    x, y = nets.batch()
    loss: Any = nets.crossentropy(keras)
    if kind == "two_outputs":
        model = nets.two_outputs(keras)
        loss, y = [loss, nets.crossentropy(keras)], [y, y]
    else:
        keras.mixed_precision.set_global_policy("mixed_float16")
        try:
            model = nets.functional(keras, dropout=0.5)
        finally:
            keras.mixed_precision.set_global_policy("float32")
    model.compile(optimizer=keras.optimizers.SGD(1e-2, momentum=0.9), loss=loss)
    model.fit(x, y, verbose=0)
    before = fingerprint(model, model.optimizer)
    before.pop("tensorflow")  # to look at it draws from it
    fields = record_network(model, loss, x, y, optimizer=model.optimizer)
    assert all(fact.norm for fact in fields["gradients"] if fact.variable == "kernel")
    after = fingerprint(model, model.optimizer)
    for name, value in before.items():
        assert value == after[name], name


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_what_is_done_inside_is_undone(library: str) -> None:
    keras = package(library)
    keras.utils.set_random_seed(0)
    model = nets.functional(keras, dropout=0.5)
    model.compile(optimizer="adam", loss=nets.crossentropy(keras))
    x, y = nets.batch()
    model.fit(x, y, verbose=0)
    function, optimizer = model.train_function, model.optimizer
    before = [values_of(v).tobytes() for v in [*model.variables, *optimizer_variables(optimizer)]]
    flags = [layer._trainable for layer in model._flatten_layers()]
    with preserved(model):
        model.fit(x, y, verbose=0)
        model.trainable = False
        model.get_layer("a_conv").set_weights([np.zeros((3, 3, 3, 8))])
        model.compile(optimizer="sgd", loss="mse")
        random.random()
        np.random.rand()
        keras.layers.Dense(3)
    after = [values_of(v).tobytes() for v in [*model.variables, *optimizer_variables(optimizer)]]
    assert before == after
    assert flags == [layer._trainable for layer in model._flatten_layers()]
    assert model.optimizer is optimizer
    assert model.train_function is function
    history = model.fit(x, y, verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_a_block_within_a_block_draws_nothing_of_mine() -> None:
    import tensorflow as tf

    keras = package("tf_keras")
    model = nets.sequential(keras)

    def drawn(*, blocks: int) -> bytes:
        keras.utils.set_random_seed(5)
        with ExitStack() as stack:
            for _ in range(blocks):
                stack.enter_context(preserved(model))
                tf.nn.dropout(tf.ones((4,)), 0.5)
        return bytes(tf.random.uniform((3,)).numpy().tobytes())

    assert drawn(blocks=0) == drawn(blocks=1) == drawn(blocks=2) == drawn(blocks=3)


def test_one_frozen_layer_in_a_trainable_model_stays_so() -> None:
    keras = package("keras")
    model = nets.functional(keras)
    model.get_layer("a_conv").trainable = False
    names = [v.path for v in model.trainable_variables]
    with preserved(model):
        model.trainable = False
        model.trainable = True
    assert [v.path for v in model.trainable_variables] == names


def test_an_exception_inside_restores_too() -> None:
    keras = package("keras")
    model = nets.functional(keras)
    before = values_of(model.get_layer("a_bn").gamma)

    def fail() -> None:
        with preserved(model):
            model.get_layer("a_bn").gamma.assign(before * 0 + 7)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert np.array_equal(before, values_of(model.get_layer("a_bn").gamma))
