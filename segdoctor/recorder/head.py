"""The head: measured on the real output, and told from the layers that lead to it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import HeadFacts
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.head_path import HeadPath, head_path
from segdoctor.recorder.traced_head import traced_path

SUM_TOLERANCE = 1e-2
"""Largest distance of a sum of probabilities from 1 (half precision has three digits)."""

_BELOW_ZERO = 1e-6


def measure_head(
    model: Any, y_pred: Any, graph: GraphFacts | None = None, x: Any = None
) -> HeadFacts:
    """What the output is: logits, softmax, sigmoid, constant, or unknown where it is not finite.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        Only asked for its number of outputs.
    y_pred : tensor or array (B, H, W, C), (B, H*W, C) or (B, C, H, W)
        The model's output on the batch, in inference mode (dropout behind a sigmoid would scale
        it beyond 1). A tensor that still carries Keras' way
        back to the logits (as :class:`~segdoctor.recorder.forward.TracedForward` gives it) is
        told from one that does not.
    graph : GraphFacts, optional
    x : the model's input for at least one example, optional
        Where the layers do not tell what leads to the output, the forward pass is traced with it.
        Without both, only the array is evidence.

    Raises
    ------
    NotExaminedError
        If the output is no single tensor with a class axis.
    """
    if isinstance(y_pred, list | tuple | dict):
        names = getattr(model, "output_names", "")
        raise NotExaminedError(f"the model has {len(y_pred)} outputs {names}, not one")
    output = np.asarray(y_pred, dtype=np.float32)
    if output.ndim < 3 or not output.size:
        raise NotExaminedError(f"the output of shape {output.shape} has no class axis")
    path = head_path(graph)
    if not path.complete and x is not None:
        traced = traced_path(model, x)
        path = traced if traced.complete else path
    axis = _class_axis(output, path)
    probabilities = float(output.min()) >= -_BELOW_ZERO
    error = _sum_error(output, axis)
    return HeadFacts(
        shape=output.shape,
        channels=output.shape[axis],
        class_axis=axis,
        kind=_kind(output, axis, error, path),
        minimum=float(output.min()),
        maximum=float(output.max()),
        channel_sum_error=error,
        dtype=_dtype(y_pred),
        activations=path.activations,
        layers_behind=path.layers_behind,
        keeps_logits=hasattr(y_pred, "_keras_logits"),
        sums_to_one_over=_other_axes(output, axis, error) if probabilities else (),
        path_known=path.complete,
    )


def _class_axis(output: NDArray[np.float32], path: HeadPath) -> int:
    """The last axis, unless the layer that makes the scores has its channels first, or a Permute
    behind it brings them there."""
    return 1 if path.class_axis == 1 and output.ndim == 4 else output.ndim - 1


def _sum_error(output: NDArray[np.float32], axis: int | tuple[int, ...]) -> float:
    return float(np.max(np.abs(output.sum(axis=axis, dtype=np.float64) - 1.0), initial=0.0))


def _kind(output: NDArray[np.float32], axis: int, error: float, path: HeadPath) -> str:
    low, high = float(output.min()), float(output.max())
    if not np.isfinite(output).all():
        return "unknown"
    bounded = low >= -_BELOW_ZERO and high <= 1.0 + _BELOW_ZERO
    if bounded and output.shape[axis] > 1 and error <= SUM_TOLERANCE:
        return "softmax"
    last = path.activations[-1].activation if path.activations else "linear"
    if low == high and last in ("softmax", "linear") and (low == 1.0 or not path.complete):
        return "constant"
    if not bounded:
        return "logits"
    if last in ("softmax", "sigmoid", "hard_sigmoid"):
        return "sigmoid"
    # Untrained scores may lie within [0, 1] by chance: where the graph is known, it decides.
    return "logits" if path.complete else "sigmoid"


def _other_axes(output: NDArray[np.float32], axis: int, error: float) -> tuple[int, ...]:
    """Other axes over which everything sums to one, where the class axis does not: one axis, or
    several that were flattened into one."""
    if error <= SUM_TOLERANCE:
        return ()
    longer = [a for a in range(output.ndim) if output.shape[a] > 1]
    for count in range(1, len(longer) + 1):
        for axes in combinations(longer, count):
            if axes != (axis,) and _sum_error(output, axes) <= SUM_TOLERANCE:
                return axes
    return ()


def _dtype(y_pred: Any) -> str:
    dtype = getattr(y_pred, "dtype", "float32")
    return str(getattr(dtype, "name", dtype))
