"""A training loop of the user's own: which model, which loss, which batch one step uses.

From the moment a ``GradientTape`` is entered until its gradient is taken, Python's profile hook
sees each call: the model's own, and the first function of the user's (or loss of Keras) that is
handed the model's output. That function is the loss if its value is what the gradient is taken of.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np

from segdoctor.sources.script.captured import Captured, loss_place
from segdoctor.sources.script.places import is_users, place_of, users_frames

_KERAS_LOSSES = ("keras.src.losses", "tf_keras.src.losses")
_OF_TENSORFLOW = {
    "sparse_softmax_cross_entropy_with_logits_v2": ("labels", "logits"),
    "softmax_cross_entropy_with_logits_v2": ("labels", "logits"),
    "sigmoid_cross_entropy_with_logits_v2": ("labels", "logits"),
}
CLOSE = 1e-3  # relative: a loss's mean against the value that is differentiated


@dataclass(slots=True)
class _Call:
    """A function that was handed the model's output: as ``(y_true, y_pred)``, and its value."""

    name: str
    function: Callable[..., Any]
    y_true: Any
    weight: Any
    output: int
    value: Any = None


class LoopWatch:
    """What one step of a loop does, seen through the profile hook."""

    def __init__(self) -> None:
        self.outputs: list[tuple[Any, Any, Any]] = []  # model, its input, its output
        self.calls: list[_Call] = []
        self.target: Any = None
        self._open: FrameType | None = None
        self._layer_calls = frozenset(_layer_calls())
        self._before: Any = None

    def start(self) -> None:
        self._before = sys.getprofile()
        sys.setprofile(self._seen)

    def stop(self) -> None:
        if sys.getprofile() == self._seen:
            sys.setprofile(self._before)

    def _seen(self, frame: FrameType, event: str, value: Any) -> None:
        if event == "return":
            if frame.f_code in self._layer_calls:
                self._called(frame, value)
            elif frame is self._open:
                self._open = None
                self.calls[-1].value = value
        elif event == "call" and self._open is None and self.outputs:
            call = self._loss_call(frame)
            if call is not None:
                self._open = frame
                self.calls.append(call)

    def _called(self, frame: FrameType, value: Any) -> None:
        """A layer was called; models are kept, with what they were given."""
        owner = frame.f_locals.get("self")
        if value is None or not hasattr(owner, "train_step"):
            return
        given = frame.f_locals.get("args") or ()
        first = given[0] if given else next(iter((frame.f_locals.get("kwargs") or {}).values()), 0)
        if "inputs" in frame.f_locals:  # tf_keras has split them off by now
            first = frame.f_locals["inputs"]
        self.outputs.append((owner, first, value))

    def _loss_call(self, frame: FrameType) -> _Call | None:
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[:count]
        if count < 2 or not _may_be_a_loss(frame):
            return None
        held = {name: frame.f_locals.get(name) for name in names}
        for index, (_, _, output) in enumerate(self.outputs):
            mine = [name for name, value in held.items() if value is output]
            others = [n for n, v in held.items() if n not in mine and _shape(v)]
            if len(mine) == 1 and others:
                return _arranged(frame, held, mine[0], others, index)
        return None


def _layer_calls() -> list[CodeType]:
    """The code of ``Layer.__call__`` in each Keras that is loaded."""
    found = []
    for module, name in (
        ("keras.src.layers.layer", "Layer"),
        ("tf_keras.src.engine.base_layer", "Layer"),
    ):
        layer = getattr(sys.modules.get(module), name, None)
        if layer is not None:
            found.append(inspect.unwrap(layer.__call__).__code__)
    return found


def _may_be_a_loss(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    if module.startswith(_KERAS_LOSSES):
        return True
    name = frame.f_code.co_name
    if name in _OF_TENSORFLOW:
        return module.startswith("tensorflow.")
    if name == "compute_loss":
        return module.startswith(("keras.src.trainers", "tf_keras.src.engine")) or is_users(frame)
    return is_users(frame)


def _shape(value: Any) -> tuple[int, ...]:
    """Of an array or tensor with at least two axes; ``()`` marks anything else."""
    shape = getattr(value, "shape", None)
    try:
        sizes = tuple(shape) if shape is not None else ()
    except (TypeError, ValueError):
        return ()
    return sizes if len(sizes) >= 2 else ()


def _arranged(
    frame: FrameType, held: dict[str, Any], pred: str, others: list[str], index: int
) -> _Call | None:
    """The call as a loss ``(y_true, y_pred)``; None if it takes more than that and weights."""
    name = frame.f_code.co_name
    weights = [n for n in others if "weight" in n or "mask" in n]
    labels = [n for n in others if n not in weights and n != "x"]
    if len(labels) != 1 or len(weights) > 1:
        return None
    owner = held.get("self")
    function: Any
    if name == "compute_loss" and not is_users(frame):
        function = getattr(owner, "loss", None)
    elif owner is None:
        function = _function_of(frame)
    elif name == "__call__":
        function = owner
    else:
        function = getattr(owner, name, None)
    if function is None:
        return None
    weight = held[weights[0]] if weights else None
    plain = name in ("__call__", "compute_loss") and not isinstance(function, FunctionType)
    if weight is not None and not (plain and weights == ["sample_weight"]):
        return None
    if not plain:
        function = _by_name(function, labels[0], pred, name, held[labels[0]])
    return _Call(name, function, held[labels[0]], weight, index)


def _function_of(frame: FrameType) -> Any:
    """The function that a frame runs."""
    found = [
        one
        for one in gc.get_referrers(frame.f_code)
        if isinstance(one, FunctionType) and one.__code__ is frame.f_code
    ]
    return found[0] if len(found) == 1 else None


def _by_name(
    function: Callable[..., Any], label: str, pred: str, name: str, labels: Any
) -> Callable[..., Any]:
    """``function`` as a loss that Keras can call: Keras casts the labels to float, a loop does
    not."""
    import tensorflow as tf

    kind = tf.convert_to_tensor(labels).dtype

    def loss(y_true: Any, y_pred: Any) -> Any:
        y_true = tf.cast(y_true, kind)
        return function(**{label: y_true, pred: y_pred})

    loss.__name__ = name
    loss.__wrapped__ = function  # type: ignore[attr-defined]
    return loss


def captured_step(
    watch: LoopWatch, optimizer: Any, variables: list[Any], caller: FrameType | None
) -> Captured | None:
    """What a step used, when its gradients are handed to the optimizer; None if no model of the
    step owns one of the ``variables``."""
    wanted = {_identity(variable) for variable in variables}
    for index in reversed(range(len(watch.outputs))):
        model, x, output = watch.outputs[index]
        if wanted & {_identity(variable) for variable in model.trainable_variables}:
            break
    else:
        return None
    calls = [call for call in watch.calls if watch.outputs[call.output][2] is output]
    loss, why = _loss_of(calls, watch.target, model, optimizer)
    labels = calls[0].y_true if calls else _labels_beside(caller, x, output)
    weight = calls[0].weight if calls else None
    at = place_of(caller, "the step of the training loop")
    defined = loss_place(loss)
    places = {"fit": at, "compile": at, "loss": defined}
    return Captured(
        "a GradientTape loop",
        model,
        None if labels is None else (x, labels) if weight is None else (x, labels, weight),
        loss=loss,
        optimizer=optimizer,
        why_no_loss=why,
        batch_size=len(x),
        places={name: place for name, place in places.items() if place is not None},
        notes=("one step of the loop was caught: its stream, epochs and validation are unknown",),
    )


def _labels_beside(caller: FrameType | None, x: Any, output: Any) -> Any:
    """The one array of the user's frames that has the output's grid; None if none or several."""
    found = {
        id(value): value
        for frame in users_frames(caller)
        for value in frame.f_locals.values()
        if value is not x and value is not output and _shape(value)[:3] == _shape(output)[:3]
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _loss_of(calls: list[_Call], target: Any, model: Any, optimizer: Any) -> tuple[Any, str]:
    """The loss of the step, if its value explains what the gradient was taken of."""
    if not calls:
        return None, "no function is handed the model's output and the labels"
    values = [_mean(call.value) for call in calls]
    wanted = _targets(target, model, optimizer)
    for call, value in zip(calls, values, strict=True):
        if _any_close(value, wanted):
            return _averaged(call.function), ""
    if len(calls) > 1 and _any_close(sum(values), wanted):
        return _sum_of(calls), ""
    told = ", ".join(f"{c.name} {v:.4g}" for c, v in zip(calls, values, strict=True))
    return None, f"the step differentiates {wanted[0]:.4g}, which is not the mean of {told}"


def _averaged(function: Any) -> Any:
    """A Loss of Keras that leaves the map of the pixels to the step, which takes its mean: with
    that mean, as ``compile`` would be given it."""
    if getattr(function, "reduction", "sum") not in (None, "none"):
        return function
    try:
        options = {**function.get_config(), "reduction": "sum_over_batch_size"}
        return type(function).from_config(options)
    except Exception:  # noqa: BLE001 - the boundary: a Loss of the user's own may raise anything
        return function


def _targets(target: Any, model: Any, optimizer: Any) -> list[float]:
    """The value that is differentiated; without the model's penalties; without the loss scale."""
    value = _mean(target)
    penalty = float(sum(_mean(one) for one in getattr(model, "losses", []) or []))
    plain = [value, value - penalty]
    scale = getattr(optimizer, "dynamic_scale", getattr(optimizer, "loss_scale", None))
    if scale is None or callable(scale):
        return plain
    return [*plain, *(value / float(scale) for value in plain)]


def _mean(value: Any) -> float:
    try:
        return float(np.mean(np.asarray(value, np.float64)))
    except (TypeError, ValueError, NotImplementedError):
        return float("nan")


def _any_close(value: float, wanted: list[float]) -> bool:
    if not np.isfinite(value):  # a loss that is NaN explains a NaN
        return not np.isfinite(wanted[0])
    return any(abs(value - one) <= CLOSE * max(abs(one), 1e-6) for one in wanted)


def _sum_of(calls: list[_Call]) -> Callable[..., Any]:
    import tensorflow as tf

    functions = [call.function for call in calls]

    def loss(y_true: Any, y_pred: Any) -> Any:
        return sum(tf.reduce_mean(function(y_true, y_pred)) for function in functions)

    loss.__name__ = "_plus_".join(call.name for call in calls)
    return loss


def _identity(variable: Any) -> int:
    """Of the ``tf.Variable`` itself, which Keras 3 wraps."""
    wrapped = type(variable).__module__.startswith("keras.")
    return id(getattr(variable, "_value", variable) if wrapped else variable)
