"""Gradients of the loss for every weight, as norms along the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from segdoctor.core.measured import GradientFacts
from segdoctor.recorder.layers import tf_variable
from segdoctor.recorder.live_graph import owned_variables, variable_dtype, variable_name


def gradient_facts(
    model: Any, gradients: dict[int, Any], depths: dict[str, float]
) -> tuple[GradientFacts, ...]:
    """One line a weight, in the model's order; frozen ones without a norm.

    Parameters
    ----------
    gradients : ``id`` of the ``tf.Variable`` → gradient, or None where no path leads to it; the
        variables that ``fit`` trains.
    depths : layer path → 0 (input) … 1 (output).
    """
    lines = []
    for path, variable in owned_variables(model):
        if not np.issubdtype(np.dtype(variable_dtype(variable)), np.floating):
            continue
        raw = tf_variable(variable)
        trained = id(raw) in gradients
        norm, finite = norm_of(gradients.get(id(raw)))
        weight_norm, _ = norm_of(raw)
        lines.append(
            GradientFacts(
                layer=path,
                variable=variable_name(variable),
                depth=depths.get(path, 0.0),
                size=int(np.prod(raw.shape)),
                trainable=trained,
                norm=norm,
                weight_norm=weight_norm or 0.0,
                finite=finite,
            )
        )
    return tuple(lines)


def norm_of(values: Any) -> tuple[float | None, bool]:
    """Euclidean norm, in double precision, and whether all values are finite; None for None.

    Of values that are not all finite the norm is that of the finite ones.
    """
    import tensorflow as tf

    if values is None:
        return None, True
    if isinstance(values, tf.IndexedSlices):
        values = tf.convert_to_tensor(values)
    flat = np.asarray(values, dtype=np.float64).ravel()
    square = float(flat @ flat)
    if np.isfinite(square):
        return float(np.sqrt(square)), True
    finite = flat[np.isfinite(flat)]
    return float(np.linalg.norm(finite)), len(finite) == len(flat)
