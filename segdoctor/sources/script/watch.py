"""Watches Keras while the user's script runs, and says when it is about to train.

Keras is not imported before the script imports it (a script may choose backend, device or legacy
Keras first): the calls are replaced at the moment in which their module is loaded, and put back at
the end.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

import wrapt

from segdoctor.core.errors import UserError
from segdoctor.core.finding import Place
from segdoctor.sources.script.captured import Captured, from_fit
from segdoctor.sources.script.loop import LoopWatch, captured_step
from segdoctor.sources.script.places import place_of

Caught = Callable[[Captured], None]
"""Called with the training; returns if the script is to go on, or raises."""

_FITS = {
    "keras.src.backend.tensorflow.trainer": ("TensorFlowTrainer", ("fit", "train_on_batch")),
    "tf_keras.src.engine.training": ("Model", ("fit", "fit_generator", "train_on_batch")),
}
_COMPILES = {
    "keras.src.trainers.trainer": "Trainer",
    "tf_keras.src.engine.training": "Model",
}
_OTHER_BACKENDS = {
    "keras.src.backend.jax.trainer": "JAXTrainer",
    "keras.src.backend.torch.trainer": "TorchTrainer",
}
_STEPS = {
    "keras.src.optimizers.base_optimizer": (("BaseOptimizer", "apply"),),
    "keras.src.optimizers.loss_scale_optimizer": (("LossScaleOptimizer", "apply"),),
    "tf_keras.src.optimizers.optimizer": (
        ("_BaseOptimizer", "apply_gradients"),
        ("Optimizer", "apply_gradients"),
    ),
    "tf_keras.src.optimizers.legacy.optimizer_v2": (("OptimizerV2", "apply_gradients"),),
    "tf_keras.src.mixed_precision.loss_scale_optimizer": (
        ("LossScaleOptimizer", "apply_gradients"),
        ("LossScaleOptimizerV3", "apply_gradients"),
    ),
}
_TAPE = "tensorflow.python.eager.backprop"
_FUNCTION = "tensorflow.python.eager.polymorphic_function.polymorphic_function"
_HOOKED = tuple(dict.fromkeys((*_FITS, *_COMPILES, *_OTHER_BACKENDS, *_STEPS, _TAPE, _FUNCTION)))


class _InGraph(BaseException):
    """A step that is being traced into a graph: it is run again eagerly, where it can be seen."""


class Watch:
    """The hooks of one script. ``caught`` is called at its ``number``-th training."""

    def __init__(self, caught: Caught, number: int = 1) -> None:
        self._caught = caught
        self._number = number
        self.seen = 0
        self._quiet = 0  # > 0 while Keras or segdoctor itself is at work
        self._thread = threading.get_ident()
        self._loop: LoopWatch | None = None
        self._loops: set[int] = set()
        self._compiled: dict[int, Place | None] = {}
        self._undo: list[tuple[type, str, Any]] = []
        self._over = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks are in place within the block, in modules loaded before it as well."""
        for name in _HOOKED:
            if name in sys.modules:
                self._hook(sys.modules[name])
            else:
                wrapt.register_post_import_hook(self._hook, name)
        try:
            yield
        finally:
            self._over = True
            self._end_loop()
            for owner, name, original in reversed(self._undo):
                setattr(owner, name, original)

    def _hook(self, module: ModuleType) -> None:
        if self._over:
            return
        name = module.__name__
        if name in _FITS:
            owner, calls = _FITS[name]
            for call in calls:
                self._replace(module, owner, call, self._fit)
        if name in _COMPILES:
            self._replace(module, _COMPILES[name], "compile", self._compile)
        if name in _OTHER_BACKENDS:
            self._replace(module, _OTHER_BACKENDS[name], "fit", self._other_backend)
        for owner, call in _STEPS.get(name, ()):
            self._replace(module, owner, call, self._apply)
        if name == _TAPE:
            self._replace(module, "GradientTape", "__enter__", self._enter)
            self._replace(module, "GradientTape", "gradient", self._gradient)
        if name == _FUNCTION:
            self._replace(module, "Function", "__call__", self._traced)

    def _replace(self, module: ModuleType, owner: str, name: str, hook: Callable[..., Any]) -> None:
        kind = getattr(module, owner, None)
        original = None if kind is None else vars(kind).get(name)
        if kind is None or original is None:  # another release of Keras
            return

        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            if self._over or self._quiet or threading.get_ident() != self._thread:
                return original(*args, **kwargs)
            return hook(original, sys._getframe(1), args, kwargs)

        self._undo.append((kind, name, original))
        setattr(kind, name, hooked)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _compile(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        self._compiled[id(args[0])] = place_of(caller, "the compile")
        return original(*args, **kwargs)

    def _other_backend(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        backend = sys.modules["keras"].backend.backend()
        raise UserError(
            f"the script runs Keras on {backend}: expected the TensorFlow backend, which is the "
            "one that segdoctor examines (KERAS_BACKEND=tensorflow)"
        )

    def _fit(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        self._end_loop()
        self.seen += 1
        if self.seen == self._number:
            plain = _unwrapped(original)
            found = from_fit(
                plain, args[0], args[1:], kwargs, caller, self._compiled.get(id(args[0]))
            )
            with self._quietly():
                self._caught(found)
            given = found.go_on()
            if "x" in given and len(args) > 1:
                args = (args[0], given["x"], *args[2:])
            elif "generator" in given and len(args) > 1:
                args = (args[0], given["generator"], *args[2:])
            else:
                kwargs = {**kwargs, **given}
        with self._quietly():
            return original(*args, **kwargs)

    def _enter(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        import tensorflow as tf

        if self.seen < self._number:
            if not tf.executing_eagerly():
                raise _InGraph
            self._end_loop()
            self._loop = LoopWatch()
            tape = original(*args, **kwargs)
            self._loop.start()
            return tape
        return original(*args, **kwargs)

    def _gradient(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        if self._loop is not None:
            self._loop.stop()
            self._loop.target = args[1] if len(args) > 1 else kwargs.get("target")
        return original(*args, **kwargs)

    def _apply(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        loop = self._loop
        if loop is not None and loop.target is not None:
            self._end_loop()
            args, variables = _variables(args, kwargs)
            with self._quietly():
                found = captured_step(loop, args[0], variables, caller)
            if found is not None and self._first_step(found):
                with self._quietly():
                    self._caught(found)
        with self._quietly():
            return original(*args, **kwargs)

    def _first_step(self, found: Captured) -> bool:
        """Whether this step opens the training that is asked for: each model's loop counts once."""
        if id(found.model) in self._loops:
            return False
        self._loops.add(id(found.model))
        self.seen += 1
        return self.seen == self._number

    def _traced(self, original: Any, caller: FrameType, args: Any, kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except _InGraph:
            import tensorflow as tf

            if not tf.executing_eagerly():  # an outer function is being traced: it is its turn
                raise
            return args[0].python_function(*args[1:], **kwargs)

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.stop()
            self._loop = None


def _unwrapped(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _variables(args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """The variables of ``apply(grads, variables)`` or ``apply_gradients(pairs)``; the arguments
    come back, since the pairs may be an iterator that can be read only once."""
    if len(args) > 2 and isinstance(args[2], list | tuple):
        return args, list(args[2])
    if kwargs.get("trainable_variables"):
        return args, list(kwargs["trainable_variables"])
    if len(args) < 2:
        return args, []
    given = list(args[1])
    args = (args[0], given, *args[2:])
    if given and isinstance(given[0], tuple | list) and len(given[0]) == 2:
        return args, [pair[1] for pair in given]
    return args, list(getattr(args[0], "_trainable_variables", []))
