"""What nonlinearities give on the batch: dead channels, saturation, mean and spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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


@dataclass
class Activity:
    """What the watched layers gave, each in its first call; peaks over all calls."""

    names: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)

    def facts(self, depths: Mapping[str, float]) -> tuple[ActivationFacts, ...]:
        return tuple(
            _facts(path, name, self, depths.get(path, 0.0))
            for path, name in self.names.items()
            if path in self.samples
        )


@contextmanager
def activity(model: Any) -> Iterator[Activity]:
    """Watch every layer with a nonlinearity while the model is called inside the block, eagerly."""
    seen = Activity()
    with ExitStack() as stack:
        for path, layer in walk(model):
            name = _activation(layer)
            if name:
                seen.names[path] = name
                stack.enter_context(replaced_call(layer, _looking(path, seen)))
        yield seen


def _looking(path: str, seen: Activity) -> Any:
    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        y = original(*args, **kwargs)
        if not isinstance(y, tf.__internal__.EagerTensor) or len(y.shape) < 2:
            return y
        peak = tf.reduce_max(tf.stop_gradient(y), axis=list(range(len(y.shape) - 1)))
        held = seen.peaks.get(path)
        seen.peaks[path] = peak if held is None else tf.maximum(held, peak)
        if path not in seen.samples:
            flat = tf.reshape(tf.stop_gradient(y), [-1])
            size = int(flat.shape[0])
            # An odd stride, so that every channel has its part in the sample.
            seen.samples[path] = flat[:: max(1, size // _SAMPLE) | 1]
            seen.values[path] = size // max(int(y.shape[-1]), 1)
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


def _facts(path: str, name: str, seen: Activity, depth: float) -> ActivationFacts:
    sample = np.asarray(seen.samples[path], dtype=np.float64)
    peak = np.asarray(seen.peaks[path], dtype=np.float64)
    finite = bool(np.isfinite(sample).all() and np.isfinite(peak).all())
    low, high = _BOUNDS.get(name, (-np.inf, np.inf))
    ends = (sample <= low + _AT_THE_END) | (sample >= high - _AT_THE_END)
    return ActivationFacts(
        layer=path,
        activation=name,
        depth=depth,
        mean=float(sample.mean()),
        spread=float(sample.std()),
        dead=float((peak <= 0.0).mean()) if name in _RECTIFIERS else 0.0,
        saturated=float(ends.mean()) if name in _BOUNDS else 0.0,
        channels=len(peak),
        values=seen.values[path],
        finite=finite,
    )
