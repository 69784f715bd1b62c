"""What nonlinearities give on the batch: dead channels, saturation, mean and spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from segdoctor.core.network_facts import ActivationFacts
from segdoctor.recorder.layers import walk
from segdoctor.recorder.recalibrate import replaced_call
from segdoctor.recorder.rectifiers import rectifiers_before, rectifying_functions

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
    """What the nonlinearities gave: a sample of the first call, the peaks over all calls.

    ``names`` : path → nonlinearity; ``raw`` : path → tensors, in the order of the calls. A layer
    without weights that is called for several others has a path for each call. ``given_by``: what
    the rectifiers among them gave.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.raw: dict[str, tuple[Any, ...]] = {}
        self.given_by: list[Any] = []

    def given(self, values: Sequence[tuple[Any, ...]]) -> Activity:
        """The same layers with the values that a traced pass gave for ``raw``."""
        activity = Activity()
        activity.names = self.names
        activity.raw = dict(zip(self.raw, values, strict=True))
        return activity

    def facts(self, depths: Mapping[str, float]) -> tuple[ActivationFacts, ...]:
        return tuple(
            _facts(path, self.names[path], raw, depths.get(_layer_of(path), 0.0))
            for path, raw in self.raw.items()
        )

    def note(self, path: str, name: str, y: Any, *, apart: bool) -> None:
        """Look at what a nonlinearity gave; ``apart``: each of its calls for itself."""
        import tensorflow as tf

        if not tf.is_tensor(y) or y.shape.rank is None or y.shape.rank < 2:
            return
        if name in _RECTIFIERS:
            self.given_by.append(y)
        given = tf.stop_gradient(y)
        peak = tf.reduce_max(given, axis=list(range(y.shape.rank - 1)))
        if path in self.raw and not apart and self.raw[path][0].shape == peak.shape:
            held = self.raw[path]
            self.raw[path] = (tf.maximum(held[0], peak), *held[1:])
            return
        size = y.shape.num_elements()
        # An odd stride, so that every channel has its part in the sample.
        stride = 1 if size is None else max(1, size // _SAMPLE) | 1
        flat = tf.reshape(given, [-1])
        free = _free(path, self.raw)
        self.names[free] = name
        self.raw[free] = (peak, flat[::stride], tf.size(flat) // tf.shape(y)[-1])

    def look_back(self, output: Any) -> None:
        """Look at the rectifiers on the way to ``output``, in a trace, that no layer and no watched
        function is: whatever name they were called by."""
        for path, name, y in rectifiers_before(output, self.given_by):
            self.note(path, name, y, apart=True)


@contextmanager
def activity(model: Any) -> Iterator[Activity]:
    """Watch every nonlinearity while the model is called inside the block, in a trace or eagerly:
    those of layers, and the rectifiers that a net calls as functions."""
    seen = Activity()
    layers = {path: (layer, name) for path, layer in walk(model) if (name := _activation(layer))}
    by_functions = rectifying_functions(model, [layer for layer, _ in layers.values()])
    with ExitStack() as stack:
        for path, (layer, name) in layers.items():
            stack.enter_context(replaced_call(layer, _looking(path, name, layer, seen)))
        stack.enter_context(by_functions(lambda *told: seen.note(*told, apart=True)))
        yield seen


def _looking(path: str, name: str, layer: Any, seen: Activity) -> Callable[..., Any]:
    def call(original: Any, *args: Any, **kwargs: Any) -> Any:
        y = original(*args, **kwargs)
        seen.note(path, name, y, apart=not layer.weights)
        return y

    return call


def _layer_of(path: str) -> str:
    return path.partition(" (call ")[0].partition(": ")[0]


def _free(path: str, taken: Mapping[str, Any]) -> str:
    number, free = 1, path
    while free in taken:
        number += 1
        free = f"{path} (call {number})"
    return free


def _activation(layer: Any) -> str:
    """Name of the nonlinearity of a layer, "" for none."""
    kind = type(layer).__name__
    if kind == "ReLU":
        slope = float(getattr(layer, "negative_slope", 0.0) or 0.0)
        if slope or float(getattr(layer, "threshold", 0.0) or 0.0):
            return "leaky_relu"
        return "relu6" if getattr(layer, "max_value", None) == 6 else "relu"
    if kind == "TFOpLambda":  # tf_keras: a function of TensorFlow in a functional model
        return {"nn.relu": "relu", "nn.relu6": "relu6"}.get(getattr(layer, "symbol", ""), "")
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
