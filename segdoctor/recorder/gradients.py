"""Gradients of the loss for every weight, as norms along the network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from segdoctor.core.measured import GradientFacts
from segdoctor.core.model_facts import WeightFacts
from segdoctor.recorder.layers import tf_variable, view_of
from segdoctor.recorder.live_graph import owned_variables, variable_dtype, variable_name

_BLOCK = 1 << 16  # elements
_ROW = 512  # elements
_TINY = 1e-25  # a sum of squares below has lost digits in single precision


def gradient_facts(
    model: Any,
    gradients: dict[int, Any],
    depths: dict[str, float],
    weights: Iterable[WeightFacts] = (),
) -> tuple[GradientFacts, ...]:
    """One line a weight, in the model's order; frozen ones without a norm.

    Parameters
    ----------
    gradients : ``id`` of the ``tf.Variable`` → gradient, or None where no path leads to it; the
        variables that ``fit`` trains.
    depths : layer path → 0 (input) … 1 (output).
    weights : statistics known already, whose norms need not be summed again.
    """
    known: dict[tuple[Any, ...], WeightFacts | None] = {}
    for weight in weights:
        key = (weight.layer, weight.name, weight.shape)
        known[key] = None if key in known or weight.not_finite else weight
    lines = []
    for path, variable in owned_variables(model):
        if not np.issubdtype(np.dtype(variable_dtype(variable)), np.floating):
            continue
        raw = tf_variable(variable)
        trained = id(raw) in gradients
        norm, finite = norm_of(gradients.get(id(raw)))
        name = variable_name(variable)
        fact = known.get((path, name, tuple(raw.shape)))
        if fact is None:
            weight_norm, _ = norm_of(view_of(raw))
        else:
            weight_norm = math.sqrt(fact.count * (fact.mean**2 + fact.std**2))
        lines.append(
            GradientFacts(
                layer=path,
                variable=name,
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
    """Euclidean norm, summed in double precision, and whether all values are finite; None for
    None.

    Of values that are not all finite the norm is that of the finite ones.
    """
    import tensorflow as tf

    if values is None:
        return None, True
    if isinstance(values, tf.IndexedSlices):
        values = tf.convert_to_tensor(values)
    flat = np.asarray(values).reshape(-1)
    square = _square(flat)
    if np.isfinite(square):
        return float(np.sqrt(square)), True
    wide = flat.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    return float(np.linalg.norm(finite)), len(finite) == len(wide)


def _square(flat: Any) -> float:
    """Sum of squares: of float32 in rows of single precision, each good to seven digits, where
    none of them leaves its range; else block by block in double precision."""
    total = 0.0
    with np.errstate(all="ignore"):
        if flat.dtype == np.float32 and flat.size >= _ROW:
            whole = flat.size // _ROW * _ROW
            rows = flat[:whole].reshape(-1, _ROW)
            sums = np.einsum("ij,ij->i", rows, rows)
            if sums.min() > _TINY and np.isfinite(sums.max()):
                total, flat = float(sums.sum(dtype=np.float64)), flat[whole:]
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK].astype(np.float64)
            total += float(np.einsum("i,i->", block, block))
    return total
