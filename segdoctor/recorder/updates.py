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
_STEADY = ("SGD", "Adam", "AdamW", "Nadam", "Adamax", "Lion")


class RealStep:
    """Displacement of each weight, relative to it and per step, by the run's own optimizer.

    The optimizer is made anew from its configuration, with its slots where it has any, at the
    peak of its schedule; it takes ``steps`` steps with the same gradient; the weights are given
    back. Optimizers whose first step is like those that follow take one, the others three.

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
        self._twin: Any = None
        self._traced: Any = None
        self._variables: list[Any] = []
        self._slots: list[tuple[Any, Any]] = []
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
        import tensorflow as tf

        reached = [
            variable
            for variable in self._model.trainable_variables
            if gradients.get(id(tf_variable(variable))) is not None
        ]
        if not reached:
            raise NotExaminedError("no trainable variable has a gradient")
        if [*map(id, reached)] != [*map(id, self._variables)]:
            self._begin(reached)
        given = [gradients[id(tf_variable(variable))] for variable in reached]
        measure = self._measured
        if traced and hasattr(self._twin, "build"):
            self._traced = self._traced or tf.function(partial(self._measured), autograph=False)
            measure = self._traced
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights, moves, promised = measure(given)
        self.promised = float(promised) / (self._steps or 1)
        return self._lines(np.asarray(weights), np.asarray(moves))

    def loss_after(self, gradients: dict[int, Any], loss: Callable[[], float | None]) -> Any:
        """``loss()`` as it is after the step that was measured last; all is given back."""
        given = [gradients[id(tf_variable(variable))] for variable in self._variables]
        with warnings.catch_warnings(), self._stepped(given):
            warnings.simplefilter("ignore")
            return loss()

    def _begin(self, reached: list[Any]) -> None:
        twin = twin_of(self._optimizer, self._planned)
        # Loss scaling changes the gradient's size and back again.
        original = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        self._twin = getattr(twin, "inner_optimizer", twin)
        self._variables, self._traced = reached, None
        self._names = {
            id(tf_variable(variable)): (path, variable_name(variable))
            for path, variable in owned_variables(self._model)
        }
        if self._steps is None:
            self._steps = 1 if type(self._twin).__name__ in _STEADY else 3
        self._slots = []
        if hasattr(self._twin, "build"):  # tf_keras' legacy optimizers make their slots as they go
            self._twin.build(reached)
            self._slots = _slots(original, self._twin)

    def _measured(self, gradients: list[Any]) -> tuple[Any, Any, Any]:
        """Norms of the weights and of their displacement, and the fall of the loss that the
        gradient promises for it; everything is given back."""
        import tensorflow as tf

        with self._stepped(gradients) as held:
            pairs = [
                (tf_variable(variable).read_value() - before, before)
                for variable, before in zip(self._variables, held, strict=False)
            ]
            weights = tf.stack([_norm(before) for _, before in pairs])
            moves = tf.stack([_norm(move) for move, _ in pairs])
            promised = -tf.add_n(
                [_product(g, move) for g, (move, _) in zip(gradients, pairs, strict=True)]
            )
        return weights, moves, promised

    @contextmanager
    def _stepped(self, gradients: list[Any]) -> Iterator[list[Any]]:
        """The steps taken while the block runs; yields the weights as they were before."""
        import tensorflow as tf

        raw = [tf_variable(variable) for variable in self._variables]
        state = [*raw, *map(tf_variable, optimizer_variables(self._twin))]
        held = [variable.read_value() for variable in state]
        for source, target in self._slots:
            target.assign(source)
        apart = is_tf_keras(self._model)
        targets = raw if apart else self._variables
        # With gradient accumulation several batches make one step.
        several = int(getattr(self._twin, "gradient_accumulation_steps", None) or 1)
        for _ in range((self._steps or 1) * several):
            copies = [tf.identity(gradient) for gradient in gradients]
            self._twin.apply_gradients(list(zip(copies, targets, strict=True)))
        try:
            yield held
        finally:
            for variable, before in zip(state, held, strict=True):
                variable.assign(before)

    def _lines(self, weights: Any, moves: Any) -> tuple[UpdateFacts, ...]:
        lines = []
        steps = self._steps or 1
        for variable, size, move in zip(self._variables, weights, moves, strict=True):
            named = self._names.get(id(tf_variable(variable)))
            if named is not None and size > 0.0:
                lines.append(UpdateFacts(*named, float(move / size / steps), steps))
        return tuple(lines)


def _norm(values: Any) -> Any:
    import tensorflow as tf

    return tf.norm(tf.cast(values, tf.float64 if values.dtype == tf.float64 else tf.float32))


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
    """What the run's optimizer has gathered so far and where it belongs in the twin, where both
    hold the same variables."""
    theirs, mine = optimizer_variables(original), optimizer_variables(twin)
    if len(theirs) != len(mine):
        return []
    pairs = []
    for source, target in zip(theirs, mine, strict=True):
        name = variable_name(target)
        if name in ("learning_rate", "_learning_rate") or source.shape != target.shape:
            continue
        pairs.append((tf_variable(source), tf_variable(target)))
    return pairs
