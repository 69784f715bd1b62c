"""What nonlinearities give on the batch: dead channels, saturation, mean and spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from segdoctor.core.network_facts import ActivationFacts
from segdoctor.recorder.layers import walk
from segdoctor.recorder.recalibrate import replaced_call

_RECTIFIERS = ("relu", "relu6")
# Flat ends of bounded activations: (low, high).
_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "relu6": (-np.inf, 6.0),
}
_AT_THE_END = 1e-3
_SAMPLE = 16_384


class Activity:
    """What the watched layers gave: a sample of the first call, the peaks over all calls.

    ``names`` : path → nonlinearity; ``raw`` : path → tensors, in the order of the calls.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.raw: dict[str, tuple[Any, ...]] = {}

    def given(self, values: Sequence[tuple[Any, ...]]) -> Activity:
        """The same layers with the values that a traced pass gave for ``raw``."""
        activity = Activity(self.names)
        activity.raw = dict(zip(self.raw, values, strict=True))
        return activity

    def facts(self, depths: Mapping[str, float]) -> tuple[ActivationFacts, ...]:
        return tuple(
            _facts(path, name, self.raw[path], depths.get(path, 0.0))
            for path, name in self.names.items()
            if path in self.raw
        )


@contextmanager
def activity(model: Any) -> Iterator[Activity]:
    """Watch every layer with a nonlinearity while the model is called inside the block, in a
    trace or eagerly."""
    layers = {path: (layer, name) for path, layer in walk(model) if (name := _activation(layer))}
    seen = Activity({path: name for path, (_, name) in layers.items()})
    with ExitStack() as stack:
        for path, (layer, _) in layers.items():
            stack.enter_context(replaced_call(layer, _looking(path, seen)))
        yield seen


def _looking(path: str, seen: Activity) -> Any:
    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        y = original(*args, **kwargs)
        if not tf.is_tensor(y) or y.shape.rank is None or y.shape.rank < 2:
            return y
        given = tf.stop_gradient(y)
        peak = tf.reduce_max(given, axis=list(range(y.shape.rank - 1)))
        if path in seen.raw:
            held = seen.raw[path]
            seen.raw[path] = (tf.maximum(held[0], peak), *held[1:])
            return y
        size = y.shape.num_elements()
        # An odd stride, so that every channel has its part in the sample.
        stride = 1 if size is None else max(1, size // _SAMPLE) | 1
        flat = tf.reshape(given, [-1])
        seen.raw[path] = (peak, flat[::stride], tf.size(flat) // tf.shape(y)[-1])
        return y

    return call


def _activation(layer: Any) -> str:
    """Name of the nonlinearity of a layer, "" for none."""
    kind = type(layer).__name__
    if kind == "ReLU":
        slope = float(getattr(layer, "negative_slope", 0.0) or 0.0)
        if slope or float(getattr(layer, "threshold", 0.0) or 0.0):
            return "leaky_relu"
        return "relu6" if getattr(layer, "max_value", None) == 6 else "relu"
    if hasattr(layer, "layers"):
        return ""
    name = str(getattr(getattr(layer, "activation", None), "__name__", "") or "")
    return "" if name == "linear" else name


def _facts(path: str, name: str, raw: tuple[Any, ...], depth: float) -> ActivationFacts:
    peak, sample = (np.asarray(values, dtype=np.float32) for values in raw[:2])
    finite = bool(np.isfinite(sample).all() and np.isfinite(peak).all())
    low, high = _BOUNDS.get(name, (-np.inf, np.inf))
    ends = (sample <= low + _AT_THE_END) | (sample >= high - _AT_THE_END)
    return ActivationFacts(
        layer=path,
        activation=name,
        depth=depth,
        mean=float(sample.mean(dtype=np.float64)),
        spread=float(sample.std(dtype=np.float64)),
        dead=float((peak <= 0.0).mean()) if name in _RECTIFIERS else 0.0,
        saturated=float(ends.mean()) if name in _BOUNDS else 0.0,
        channels=len(peak),
        values=int(raw[2]),
        finite=finite,
    )
