"""The optimizer's real step: what it makes of the batch's gradient, on a copy of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from segdoctor.core.measured import UpdateFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.layers import is_tf_keras, tf_variable, values_of
from segdoctor.recorder.live_graph import owned_variables, variable_name
from segdoctor.recorder.snapshot import optimizer_variables

# A planned run of unknown length is looked at up to here for the peak of its schedule.
_UNKNOWN_STEPS = 100_000
# Bias-corrected or memoryless: the first step with a gradient is as large as the third.
_PART = 1 << 22  # elements that are stepped at a time
_STOCK = ("keras.", "tf_keras.")  # optimizers that step each variable by itself
_STEADY = ("SGD", "Adam", "AdamW", "Nadam", "Adamax", "Lion")


class RealStep:
    """Displacement of each weight, relative to it and per step, by the run's own optimizer.

    The optimizer is made anew from its configuration, with its slots where it has any, at the
    peak of its schedule; it takes ``steps`` steps with the same gradient; the weights are given
    back. Optimizers whose first step is like those that follow take one, the others three. A large
    net is stepped part by part, so that no more than a part of it is held twice.

    Parameters
    ----------
    planned_steps : length of the run, over which the schedule's peak is sought.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        steps: int | None = None,
        planned_steps: int | None = None,
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._steps, self._planned = steps, planned_steps
        self._variables: list[Any] = []
        self._parts: list[_Part] = []
        self._clip: float | None = None
        self._names: dict[int, tuple[str, str]] = {}
        self.promised = 0.0
        """The fall of the loss that the gradient promised for the last step, per step."""

    def __call__(
        self, gradients: dict[int, Any], *, traced: bool = False
    ) -> tuple[UpdateFacts, ...]:
        """
        Parameters
        ----------
        gradients : ``id`` of the ``tf.Variable`` → gradient or None.

        Raises
        ------
        NotExaminedError
            If the optimizer cannot be made anew, or no variable has a gradient.
        """
        reached = [
            variable
            for variable in self._model.trainable_variables
            if gradients.get(id(tf_variable(variable))) is not None
        ]
        if not reached:
            raise NotExaminedError("no trainable variable has a gradient")
        if [*map(id, reached)] != [*map(id, self._variables)]:
            self._begin(reached)
        self.promised = 0.0
        lines: list[UpdateFacts] = []
        scale = self._scale(gradients)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for part in self._parts:
                weights, moves, promised = part.measure(gradients, scale, traced=traced)
                # Of the gradient as it is, not of what clipping leaves.
                self.promised += (
                    float(promised) / part.steps / float(1.0 if scale is None else scale)
                )
                lines += self._lines(part, np.asarray(weights), np.asarray(moves))
        return tuple(lines)

    def loss_after(self, gradients: dict[int, Any], loss: Callable[[], float | None]) -> Any:
        """``loss()`` as it is after the step that was measured last; all is given back."""
        scale = self._scale(gradients)
        moved: list[tuple[Any, Any]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for part in self._parts:
                moved += part.moved(part.given(gradients, scale))
        held = [(raw, raw.read_value()) for raw, _ in moved]
        try:
            for raw, after in moved:
                raw.assign(after)
            return loss()
        finally:
            for raw, before in held:
                raw.assign(before)

    def _begin(self, reached: list[Any]) -> None:
        self._variables = []
        # Loss scaling changes the gradient's size and back again.
        original = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        twin = _inner(twin_of(self._optimizer, self._planned))
        parts = [reached]
        self._clip = None
        if is_stock(twin):
            parts = _parted(reached)
        if len(parts) > 1:  # what looks at all gradients at once is done before they are parted
            self._clip = getattr(twin, "global_clipnorm", None)
        apart = is_tf_keras(self._model)
        self._parts = []
        for variables in parts:
            twin = twin if len(parts) == 1 else _inner(twin_of(self._optimizer, self._planned))
            if self._clip is not None:
                twin.global_clipnorm = None
            self._parts.append(_Part(variables, twin, original, self._steps, apart))
        self._names = {
            id(tf_variable(variable)): (path, variable_name(variable))
            for path, variable in owned_variables(self._model)
        }
        self._variables = reached

    def _scale(self, gradients: dict[int, Any]) -> Any:
        """What clipping by the norm of all gradients leaves of them; None where none is done."""
        import tensorflow as tf

        if self._clip is None:
            return None
        given = [gradients[id(tf_variable(variable))] for variable in self._variables]
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in given])
        return self._clip / tf.maximum(norm, self._clip)

    def _lines(self, part: _Part, weights: Any, moves: Any) -> list[UpdateFacts]:
        lines = []
        for variable, size, move in zip(part.variables, weights, moves, strict=True):
            named = self._names.get(id(tf_variable(variable)))
            if named is not None and size > 0.0:
                lines.append(UpdateFacts(*named, float(move / size / part.steps), part.steps))
        return lines


class _Part:
    """Some variables and an optimizer of their own, with the slots that the run's has for them."""

    def __init__(
        self, variables: list[Any], twin: Any, original: Any, steps: int | None, apart: bool
    ) -> None:
        self.variables, self.twin = variables, twin
        self.steps = steps or (1 if type(twin).__name__ in _STEADY else 3)
        self._raw = [tf_variable(variable) for variable in variables]
        self._targets = self._raw if apart else variables
        self._traced: Any = None
        self._slots: list[tuple[Any, Any]] = []
        if hasattr(twin, "build"):  # tf_keras' legacy optimizers make their slots as they go
            twin.build(variables)
            self._slots = _slots(original, twin)

    def given(self, gradients: dict[int, Any], scale: Any) -> list[Any]:
        import tensorflow as tf

        found = [gradients[id(raw)] for raw in self._raw]
        if scale is None:
            return found
        return [tf.convert_to_tensor(one) * tf.cast(scale, one.dtype) for one in found]

    def measure(self, gradients: dict[int, Any], scale: Any, *, traced: bool) -> Any:
        """Norms of the weights and of their displacement, and the fall of the loss that the
        gradient promises for it."""
        import tensorflow as tf

        given = self.given(gradients, scale)
        if not traced or not hasattr(self.twin, "build"):
            return self._measured(given)
        self._traced = self._traced or tf.function(partial(self._measured), autograph=False)
        return self._traced(given)

    def _measured(self, gradients: list[Any]) -> tuple[Any, Any, Any]:
        import tensorflow as tf

        with self.stepped(gradients) as held:
            pairs = [
                (raw.read_value() - before, before)
                for raw, before in zip(self._raw, held, strict=False)
            ]
            weights = _norms([before for _, before in pairs])
            moves = _norms([move for move, _ in pairs])
            promised = -tf.add_n(
                [_product(g, move) for g, (move, _) in zip(gradients, pairs, strict=True)]
            )
        return weights, moves, promised

    def moved(self, gradients: list[Any]) -> list[tuple[Any, Any]]:
        """Each variable with what it is after the steps; all is as before again."""
        with self.stepped(gradients):
            return [(raw, raw.read_value()) for raw in self._raw]

    @contextmanager
    def stepped(self, gradients: list[Any]) -> Iterator[list[Any]]:
        """The steps taken while the block runs; yields the weights as they were before."""
        import tensorflow as tf

        state = [*self._raw, *map(tf_variable, optimizer_variables(self.twin))]
        held = [variable.read_value() for variable in state]
        for source, target in self._slots:
            target.assign(source)
        # With gradient accumulation several batches make one step.
        several = int(getattr(self.twin, "gradient_accumulation_steps", None) or 1)
        for _ in range(self.steps * several):
            copies = [tf.identity(gradient) for gradient in gradients]
            self.twin.apply_gradients(list(zip(copies, self._targets, strict=True)))
        try:
            yield held
        finally:
            for variable, before in zip(state, held, strict=True):
                variable.assign(before)


def is_stock(optimizer: Any) -> bool:
    """Whether an optimizer is of Keras' own or tf_keras' own making."""
    return type(optimizer).__module__.startswith(_STOCK)


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _parted(variables: list[Any]) -> list[list[Any]]:
    """The variables in their order, in parts of about ``_PART`` elements."""
    parts: list[list[Any]] = [[]]
    held = 0
    for variable in variables:
        size = int(np.prod(variable.shape))
        if parts[-1] and held + size > _PART:
            parts.append([])
            held = 0
        parts[-1].append(variable)
        held += size
    return parts


def _norms(values: list[Any]) -> Any:
    import tensorflow as tf

    wide = tf.float64 if values[0].dtype == tf.float64 else tf.float32
    # Half the sum of squares: one operation a variable.
    return tf.sqrt(2.0 * tf.stack([tf.nn.l2_loss(tf.cast(value, wide)) for value in values]))


def _product(one: Any, other: Any) -> Any:
    import tensorflow as tf

    one = tf.convert_to_tensor(one)  # of an embedding, where it is sparse
    return tf.reduce_sum(tf.cast(one, tf.float32) * tf.cast(other, tf.float32))


def twin_of(optimizer: Any, planned_steps: int | None = None) -> Any:
    """An optimizer of the same configuration, its schedule replaced by the schedule's peak."""
    try:
        config = dict(optimizer.get_config())
        if "learning_rate" in config:
            config["learning_rate"] = peak_rate(optimizer, planned_steps)
        return type(optimizer).from_config(config)
    except Exception as error:
        # The boundary to user code: an optimizer of one's own may lack any of it.
        raise NotExaminedError(
            f"the optimizer {type(optimizer).__name__} cannot be made anew from its "
            f"configuration ({type(error).__name__})"
        ) from error


def peak_rate(optimizer: Any, planned_steps: int | None = None) -> float:
    """The highest learning rate that the run will see."""
    rate = getattr(optimizer, "_learning_rate", None)
    if not callable(rate) or hasattr(rate, "assign"):
        return float(values_of(optimizer.learning_rate))
    last = max(planned_steps or _UNKNOWN_STEPS, 1)
    places = np.unique(np.concatenate([np.linspace(0, last, 64), np.geomspace(1, last, 64)]))
    return max(float(np.asarray(rate(int(place)))) for place in places)


def _slots(original: Any, twin: Any) -> list[tuple[Any, Any]]:
    """What the run's optimizer has gathered so far and where it belongs in the twin: place by
    place where both hold the same variables, else by their names."""
    theirs, mine = optimizer_variables(original), optimizer_variables(twin)
    known: dict[str, Any] = {}
    for source in theirs:
        known[_path(source)] = None if _path(source) in known else source
    if len(theirs) != len(mine):
        theirs = [known.get(_path(target)) for target in mine]
    pairs = []
    for source, target in zip(theirs, mine, strict=True):
        name = variable_name(target)
        if name in ("learning_rate", "_learning_rate") or source is None:
            continue
        if source.shape == target.shape:
            pairs.append((tf_variable(source), tf_variable(target)))
    return pairs


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))
