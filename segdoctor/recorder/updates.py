"""The optimizer's real step: what it makes of the batch's gradient, on a copy of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from segdoctor.core.measured import UpdateFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.layers import is_tf_keras, tf_variable, values_of
from segdoctor.recorder.live_graph import owned_variables, variable_name
from segdoctor.recorder.snapshot import optimizer_variables, preserved_variables

# A planned run of unknown length is looked at up to here for the peak of its schedule.
_UNKNOWN_STEPS = 100_000
# Bias-corrected or memoryless: the first step with a gradient is as large as the third.
_STEADY = ("SGD", "Adam", "AdamW", "Nadam", "Adamax", "Lion")


def update_facts(
    model: Any,
    optimizer: Any,
    gradients: dict[int, Any],
    steps: int | None = None,
    planned_steps: int | None = None,
) -> tuple[UpdateFacts, ...]:
    """Displacement of each weight, relative to it and per step, by the run's own optimizer.

    The optimizer is made anew from its configuration, with its slots where it has any, at the
    peak of its schedule; it takes ``steps`` steps with the same gradient; the weights are given
    back. Optimizers whose first step is like those that follow take one, the others three.

    Parameters
    ----------
    gradients : ``id`` of the ``tf.Variable`` → gradient or None.
    planned_steps : length of the run, over which the schedule's peak is sought.

    Raises
    ------
    NotExaminedError
        If the optimizer cannot be made anew.
    """
    pairs = [
        (variable, gradients.get(id(tf_variable(variable))))
        for variable in model.trainable_variables
    ]
    pairs = [(variable, gradient) for variable, gradient in pairs if gradient is not None]
    if not pairs:
        raise NotExaminedError("no trainable variable has a gradient")
    twin = twin_of(optimizer, planned_steps)
    inner = type(getattr(twin, "inner_optimizer", twin)).__name__
    steps = steps or (1 if inner in _STEADY else 3)
    names = {
        id(tf_variable(variable)): (path, variable) for path, variable in owned_variables(model)
    }
    before = {id(tf_variable(variable)): values_of(variable) for variable, _ in pairs}
    with preserved_variables([variable for variable, _ in pairs]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _take_steps(twin, optimizer, pairs, steps, is_tf_keras(model))
        after = {key: values_of(names[key][1]) for key in before if key in names}
    lines = []
    for key, moved in after.items():
        path, variable = names[key]
        size = float(np.linalg.norm(before[key].astype(np.float64)))
        step = float(np.linalg.norm(moved.astype(np.float64) - before[key]))
        if size > 0.0:
            lines.append(UpdateFacts(path, variable_name(variable), step / size / steps, steps))
    return tuple(lines)


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


def _take_steps(
    twin: Any, original: Any, pairs: list[tuple[Any, Any]], steps: int, old_keras: bool
) -> None:
    import tensorflow as tf

    inner = getattr(twin, "inner_optimizer", None)
    if inner is not None:  # loss scaling changes the gradient's size there and back again
        twin, original = inner, getattr(original, "inner_optimizer", original)
    variables = [variable for variable, _ in pairs]
    if hasattr(twin, "build"):  # tf_keras' legacy optimizers make their slots as they go
        twin.build(variables)
        _carry_slots(original, twin)
    # With gradient accumulation several batches make one step.
    for _ in range(steps * int(getattr(twin, "gradient_accumulation_steps", None) or 1)):
        given = [(tf.identity(gradient), variable) for variable, gradient in pairs]
        if old_keras:
            twin.apply_gradients([(gradient, tf_variable(v)) for gradient, v in given])
        else:
            twin.apply_gradients(given)


def _carry_slots(original: Any, twin: Any) -> None:
    """What the run's optimizer has gathered so far, where both hold the same variables."""
    theirs, mine = optimizer_variables(original), optimizer_variables(twin)
    if len(theirs) != len(mine):
        return
    for source, target in zip(theirs, mine, strict=True):
        name = variable_name(target)
        if name in ("learning_rate", "_learning_rate") or source.shape != target.shape:
            continue
        tf_variable(target).assign(tf_variable(source))
