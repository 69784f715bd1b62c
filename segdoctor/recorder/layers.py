"""The layers of a live model with their paths, for Keras 3 and tf_keras alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def walk(model: Any) -> Iterator[tuple[str, Any]]:
    """Every layer below ``model`` once, with its path: ``outer/inner`` in nested models.

    Models that are layers come before their own layers. The order is that of the model: of the
    graph for functional ones, of the attributes for subclassed ones.

    Yields
    ------
    path : str
    layer : keras.Layer
    """
    seen = {id(model)}
    yield from _below(model, "", seen)


def _below(parent: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    children = getattr(parent, "layers", None)
    if children is None:
        children = parent._flatten_layers(include_self=False, recursive=False)
    for layer in list(children):
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from _below(layer, f"{path}/", seen)


def is_batch_norm(layer: Any) -> bool:
    """Whether ``layer`` normalises with moving statistics: Keras' own layer or one of its kind."""
    return all(
        getattr(layer, name, None) is not None
        for name in ("moving_mean", "moving_variance", "epsilon")
    )


def batch_norm_layers(model: Any) -> tuple[tuple[str, Any], ...]:
    """``(path, layer)`` of every batch normalisation below ``model``, in the model's order."""
    return tuple((path, layer) for path, layer in walk(model) if is_batch_norm(layer))


def is_tf_keras(model: Any) -> bool:
    """Whether the object belongs to tf_keras (Keras 2) and not to Keras 3."""
    return any(
        kind.__module__.split(".")[0] == "tf_keras" or kind.__module__.startswith("tensorflow.")
        for kind in type(model).__mro__
        if kind.__name__ in ("Model", "Layer", "Optimizer", "Loss")
    )


def package_flavour(model: Any) -> str:
    """``"tf_keras"`` or ``"keras3"``: the Keras whose losses and metrics fit the live object.

    Not the flavour under which a file is judged: one of tf.keras 2 is rebuilt in Keras 3.
    """
    return "tf_keras" if is_tf_keras(model) else "keras3"


def tf_variable(variable: Any) -> Any:
    """The ``tf.Variable`` behind a Keras 3 variable; a ``tf.Variable`` itself as it is."""
    return getattr(variable, "_value", variable)


def values_of(variable: Any) -> NDArray[Any]:
    """A copy of a variable's values, of any Keras, as an array of its own type."""
    return np.array(view_of(variable))


def view_of(variable: Any) -> NDArray[Any]:
    """A variable's values as they are now, without a copy, to be read only.

    TensorFlow writes a changed variable into new memory while someone holds the old one.
    """
    raw = tf_variable(variable)
    if not hasattr(raw, "handle"):
        return np.asarray(raw)
    from tensorflow import raw_ops

    # What .value() comes to, without its bookkeeping for tapes and devices.
    return np.asarray(raw_ops.ReadVariableOp(resource=raw.handle, dtype=raw.dtype))
