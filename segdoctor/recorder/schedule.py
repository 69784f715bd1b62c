"""The learning rate over the planned steps, from the optimizer's schedule or a callback's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from segdoctor.core.history_facts import CallbackFacts, HistoryFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.training_facts import ScheduleFacts
from segdoctor.measures.played import replayed_rate, still_improving
from segdoctor.recorder.layers import values_of

_POINTS = 101


def schedule_facts(
    optimizer: Any,
    epochs: int | None,
    steps_per_epoch: int | None,
    callbacks: Any = None,
    watching: Iterable[CallbackFacts] = (),
    history: HistoryFacts | None = None,
) -> ScheduleFacts | None:
    """The rate over the plan; None where nothing changes it.

    A callback that sets the rate goes before the optimizer's own schedule. ReduceLROnPlateau is
    played again on the history's curve, as far as that goes.

    Raises
    ------
    NotExaminedError
        If there is a schedule and the plan is not known, or it cannot be asked.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    given = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in given:
        kinds = [base.__name__ for base in type(callback).__mro__]
        if "LearningRateScheduler" in kinds and callable(getattr(callback, "schedule", None)):
            return _by_callback(callback.schedule, inner, epochs, steps_per_epoch)
    rate = getattr(inner, "_learning_rate", None)
    if callable(rate) and not hasattr(rate, "assign"):
        if epochs is None or steps_per_epoch is None:
            raise NotExaminedError(
                "the planned steps are not known (--epochs and --steps-per-epoch would tell)"
            )
        return _by_optimizer(rate, epochs * steps_per_epoch)
    for fact in watching:
        if fact.kind == "ReduceLROnPlateau" and history is not None:
            found = _by_plateau(fact, history, inner, epochs, steps_per_epoch)
            if found is not None:
                return found
    return None


def _by_optimizer(rate: Any, planned: int) -> ScheduleFacts:
    steps = sorted({int(step) for step in np.linspace(0, max(planned - 1, 0), _POINTS)})
    rates = tuple(float(np.asarray(rate(step))) for step in steps)
    return ScheduleFacts(type(rate).__name__, "optimizer", planned, tuple(steps), rates)


def _by_callback(
    schedule: Any, optimizer: Any, epochs: int | None, steps_per_epoch: int | None
) -> ScheduleFacts:
    if epochs is None:
        raise NotExaminedError("the planned epochs are not known (--epochs would tell)")
    rate, rates = _rate(optimizer), []
    for epoch in range(epochs):
        try:
            rate = float(np.asarray(schedule(epoch, rate)))
        except TypeError:  # Keras 2 also took schedules of the epoch alone
            rate = float(np.asarray(schedule(epoch)))
        rates.append(rate)
    size = steps_per_epoch or 1
    steps = tuple(epoch * size for epoch in range(epochs))
    name = getattr(schedule, "__name__", type(schedule).__name__)
    return ScheduleFacts(name, "LearningRateScheduler", epochs * size, steps, tuple(rates))


def _by_plateau(
    fact: CallbackFacts,
    history: HistoryFacts,
    optimizer: Any,
    epochs: int | None,
    steps_per_epoch: int | None,
) -> ScheduleFacts | None:
    values = history.series.get(fact.monitor)
    if values is None or fact.direction not in ("min", "max") or fact.patience is None:
        return None
    rates = replayed_rate(fact, values, _rate(optimizer))
    improving = still_improving(values, rates, fact.direction)
    size = steps_per_epoch or 1
    planned = max(epochs or 0, len(rates))
    rates += [rates[-1]] * (planned - len(rates))
    steps = tuple(epoch * size for epoch in range(planned))
    name = f"ReduceLROnPlateau(patience={fact.patience}, factor={fact.factor:g})"
    return ScheduleFacts(
        name, "ReduceLROnPlateau", planned * size, steps, tuple(rates), improving=improving
    )


def _rate(optimizer: Any) -> float:
    try:
        return float(values_of(optimizer.learning_rate))
    except (AttributeError, TypeError, ValueError):
        return 1e-3
