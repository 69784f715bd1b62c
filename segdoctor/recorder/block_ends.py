"""Where blocks of the network end: merges, and models within the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from segdoctor.core.network_facts import BlockFlow
from segdoctor.recorder.layers import walk
from segdoctor.recorder.recalibrate import replaced_call

_MERGES = ("Add", "Concatenate", "Multiply", "Average", "Maximum", "Subtract")
# So that the gradient at them costs no more than the pass: the ends nearest to the output.
_MOST = 48


@contextmanager
def block_ends(model: Any, depths: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """What each block gives in its first call while the model is called inside the block.

    Only ends that trained weights lead to, so that a frozen backbone needs no backward pass.

    Yields
    ------
    dict : layer path → tensor (B, …), filled while the model runs.
    """
    found: dict[str, Any] = {}
    trained = [depths.get(path, 0.0) for path, layer in walk(model) if _trains_itself(layer)]
    first = min(trained, default=1.0)
    ends = [
        (path, layer)
        for path, layer in walk(model)
        if (type(layer).__name__ in _MERGES or _is_model(layer)) and depths.get(path, 0.0) > first
    ]
    with ExitStack() as stack:
        for path, layer in ends[-_MOST:]:
            stack.enter_context(replaced_call(layer, _looking(path, found)))
        yield found


def _trains_itself(layer: Any) -> bool:
    return bool(layer.trainable_weights) and not hasattr(layer, "layers")


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "layers") and bool(layer.trainable_weights)


def _looking(path: str, found: dict[str, Any]) -> Any:
    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        y = original(*args, **kwargs)
        if path not in found and tf.is_tensor(y) and y.dtype.is_floating:
            found[path] = y
        return y

    return call


def sizes(values: Any, gradient: Any) -> tuple[Any, Any]:
    """Root mean square of an end's values and of the loss's gradient there, as tensors."""
    import tensorflow as tf

    return tuple(
        tf.constant(np.nan, tf.float32)
        if tensor is None
        else tf.sqrt(tf.reduce_mean(tf.square(tf.cast(tensor, tf.float32))))
        for tensor in (values, gradient)
    )


def block_flow(
    ends: Mapping[str, tuple[Any, Any]], depths: Mapping[str, float]
) -> tuple[BlockFlow, ...]:
    """A line an end, from the input to the output."""
    lines = []
    for path, (values, gradient) in ends.items():
        norm = float(np.asarray(gradient))
        lines.append(
            BlockFlow(
                path,
                depths.get(path, 0.0),
                float(np.asarray(values)),
                None if np.isnan(norm) else norm,
            )
        )
    return tuple(sorted(lines, key=lambda line: line.depth))
