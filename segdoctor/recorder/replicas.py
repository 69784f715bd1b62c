"""A model that was made under a distribution strategy, as its first replica runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from segdoctor.recorder.layers import is_tf_keras, tf_variable
from segdoctor.recorder.snapshot import optimizer_variables


def replicas_of(model: Any) -> int:
    """Copies of the model among which ``fit`` shares out a batch; 1 without a strategy."""
    for variable in getattr(model, "variables", ()):
        strategy = getattr(tf_variable(variable), "distribute_strategy", None)
        return int(getattr(strategy, "num_replicas_in_sync", 1))
    return 1


@contextmanager
def first_replica(model: Any) -> Iterator[None]:
    """While the block runs, the model's variables (under Keras 3 its optimizer's, too) are the
    ones that the first replica holds: each operation runs once, on one device."""
    places = _in_layers(model) if is_tf_keras(model) else _in_variables(model)
    with ExitStack() as stack:
        for whole, put in list(places):
            stack.callback(put, whole)
            put(whole.values[0])
        yield


_Place = tuple[Any, Callable[[Any], None]]  # a distributed variable, and what sets its place


def _in_variables(model: Any) -> Iterator[_Place]:
    """Keras 3's variables hold the distributed ones."""
    optimizer = getattr(model, "optimizer", None)
    for variable in [*getattr(model, "variables", ()), *optimizer_variables(optimizer)]:
        whole = tf_variable(variable)
        if whole is not variable and _distributed(whole):
            yield whole, partial(setattr, variable, "_value")


def _in_layers(model: Any) -> Iterator[_Place]:
    """tf_keras' layers hold them as attributes, and in lists."""
    for layer in model._flatten_layers():
        held = vars(layer)
        for name, value in held.items():
            if _distributed(value):
                yield value, partial(held.__setitem__, name)
            elif isinstance(value, list):
                for at, one in enumerate(value):
                    if _distributed(one):
                        yield one, partial(value.__setitem__, at)


def _distributed(value: Any) -> bool:
    import tensorflow as tf

    return isinstance(value, tf.distribute.DistributedValues)
