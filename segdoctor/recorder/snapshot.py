"""Leaves the user's objects as they were: weights, flags, optimizer, compile and random state."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.recorder.layers import tf_variable, values_of, view_of

Restore = Callable[[], None]

_PLAIN = frozenset((str, int, float, bool, type(None), tuple, list, dict, set))

# Turns the user's global TensorFlow seed into one of our own.
_OWN_STREAM = 0x5E6D0C

# What compiling and training set on a model beside its variables.
_COMPILE_STATE = (
    "train_function",
    "test_function",
    "predict_function",
    "train_tf_function",
    "optimizer",
    "loss",
    "compiled",
    "compiled_loss",
    "compiled_metrics",
    "stop_training",
    "_compile_loss",
    "_compile_metrics",
    "_compile_config",
    "_compiled_trainable_state",
    "_is_compiled",
    "_loss_tracker",
    "_jit_compile",
    "_run_eagerly",
    "_train_counter",
    "_test_counter",
    "_predict_counter",
)


@contextmanager
def preserved(model: Any, optimizer: Any = None, *, untouched: bool = False) -> Iterator[None]:
    """Make everything of the user's objects bit for bit what it was when the block ends.

    Preserved: all variables (weights, batch-norm statistics, seed generators, metrics),
    ``trainable`` flags, collected losses, the optimizer's variables, the compile state, and the
    random state of Python, NumPy, TensorFlow and Keras, with the counters of automatic names.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        Built; variables that the block creates are not removed.
    optimizer : optional
        An optimizer that is not the one the model was compiled with.
    untouched : bool
        The block at most reads the optimizers' variables: they are not looked at.
    """
    optimizers = [] if untouched else [getattr(model, "optimizer", None), optimizer]
    restores: list[Restore] = [
        _random_state(),
        _variables([model], optimizers),
        _trainable_flags(model),
        _layer_state(model),
        _compile_state(model),
    ]
    with ExitStack() as stack:
        for restore in restores:
            stack.callback(restore)
        yield


@contextmanager
def preserved_variables(variables: Any) -> Iterator[None]:
    """Give these variables their values back when the block ends."""
    restore = _values(list(variables))
    try:
        yield
    finally:
        restore()


def _variables(models: list[Any], optimizers: list[Any]) -> Restore:
    found: dict[int, Any] = {}
    for model in models:
        for variable in [*model.variables, *_stray_variables(model)]:
            found[id(tf_variable(variable))] = variable
    for optimizer in optimizers:
        for variable in optimizer_variables(optimizer):
            found[id(tf_variable(variable))] = variable
    return _values(list(found.values()))


def optimizer_variables(optimizer: Any) -> list[Any]:
    """All variables of an optimizer of any Keras; none for None or a name."""
    variables = getattr(optimizer, "variables", [])
    return list(variables() if callable(variables) else variables)


def _stray_variables(model: Any) -> list[Any]:
    """``tf.Variable`` attributes that Keras does not track, and random generators' states."""
    import tensorflow as tf

    found = []
    for layer in model._flatten_layers():
        for value in vars(layer).values():
            if type(value) in _PLAIN:
                continue
            if isinstance(value, tf.Variable):
                found.append(value)
            elif isinstance(value, tf.random.Generator):
                found.append(value.state)
            inner = getattr(value, "_generator", None)
            if isinstance(inner, tf.random.Generator):
                found.append(inner.state)
    return found


def _values(variables: list[Any]) -> Restore:
    # Views cost no memory: TensorFlow writes a changed variable elsewhere while they are held.
    saved = [(variable, _as_it_is(variable)) for variable in variables]

    def restore() -> None:
        for variable, value in saved:
            if not _same(view_of(variable), value):
                tf_variable(variable).assign(value)

    return restore


def _as_it_is(variable: Any) -> NDArray[Any]:
    view = view_of(variable)
    # The counters and states of random generators are few numbers, and their kernels many.
    return view if np.issubdtype(view.dtype, np.floating) else view.copy()


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Bit for bit, NaN included; nothing is read where both lie in the same memory."""
    if one.__array_interface__["data"] == other.__array_interface__["data"]:
        return True
    return one.tobytes() == other.tobytes()


def _trainable_flags(model: Any) -> Restore:
    layers = [(layer, layer._trainable) for layer in model._flatten_layers()]
    variables = [
        (variable, variable._trainable)
        for variable in model.variables
        if hasattr(variable, "_trainable")
    ]

    def restore() -> None:
        # Not through the setter, which would hand the flag down to all sub-layers.
        for thing, flag in [*layers, *variables]:
            if thing._trainable is not flag:
                thing._trainable = flag

    return restore


def _layer_state(model: Any) -> Restore:
    """Collected losses, and whether tf_keras' random generators were already built."""
    lists = []
    generators = []
    for layer in model._flatten_layers():
        for name in ("_losses", "_eager_losses", "_loss_ids"):
            held = vars(layer).get(name)
            if isinstance(held, (list, set)):
                lists.append((held, type(held)(held)))
        generator = vars(layer).get("_random_generator")
        if generator is not None and hasattr(generator, "_built"):
            generators.append((generator, generator._built, generator._seed))

    def restore() -> None:
        for held, before in lists:
            held.clear()
            held.extend(before) if isinstance(held, list) else held.update(before)
        for generator, built, seed in generators:
            generator._seed = seed
            if not built:
                generator._built = False

    return restore


def _compile_state(model: Any) -> Restore:
    held = {name: vars(model)[name] for name in _COMPILE_STATE if name in vars(model)}

    def restore() -> None:
        for name in _COMPILE_STATE:
            if name in held:
                if vars(model).get(name) is not held[name]:
                    vars(model)[name] = held[name]
            else:
                vars(model).pop(name, None)

    return restore


def _random_state() -> Restore:
    restores = [_python_and_numpy(), _tensorflow_random(), _keras_random(), _tf_keras_names()]

    def restore() -> None:
        for one in restores:
            one()

    return restore


def _python_and_numpy() -> Restore:
    python, legacy = random.getstate(), np.random.get_state()

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(legacy)

    return restore


def _tensorflow_random() -> Restore:
    from tensorflow.python.eager import context as eager  # the seed has no public getter
    from tensorflow.python.ops import stateful_random_ops as stateful

    context = eager.context()
    seed, source = context._seed, getattr(context, "_rng", None)
    state = source.getstate() if source is not None else None
    generator = stateful.global_generator
    value = None if generator is None else values_of(generator.state)
    if seed is not None:
        # TensorFlow keeps the state of a random operation by its seeds: with the user's seeds
        # the operations of the block would draw from the user's streams. A sum, for an exclusive
        # or would lead a block within a block back to them.
        context._seed = (seed + _OWN_STREAM) % 2**31
        context._rng = random.Random(context._seed)

    def restore() -> None:
        context._seed = seed
        if source is not None:
            context._rng = source
            source.setstate(state)
        stateful.global_generator = generator
        if generator is not None:
            generator.state.assign(value)

    return restore


def _keras_random() -> Restore:
    """Keras 3: the global seed, its seed generator and the counters of automatic names."""
    from keras.src.backend.common import global_state  # none of the three has a public getter

    plain = {
        name: global_state.get_global_attribute(name)
        for name in ("global_random_seed", "global_seed_generator")
    }
    generator = plain["global_seed_generator"]
    value = None if generator is None else values_of(generator.state)
    names = global_state.get_global_attribute("object_name_uids")
    counts = None if names is None else dict(names)

    def restore() -> None:
        for name, before in plain.items():
            global_state.set_global_attribute(name, before)
        if generator is not None:
            generator.state.assign(value)
        now = global_state.get_global_attribute("object_name_uids")
        if now is not None:
            now.clear()
            now.update(counts or {})

    return restore


def _tf_keras_names() -> Restore:
    if "tf_keras" not in sys.modules:
        return lambda: None
    from tf_keras.src import backend

    counters = backend.PER_GRAPH_OBJECT_NAME_UIDS
    held = [(graph, dict(counts)) for graph, counts in counters.items()]

    def restore() -> None:
        for graph, counts in held:
            counters[graph].clear()
            counters[graph].update(counts)

    return restore
