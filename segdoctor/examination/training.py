"""What the user says of the training around the model: history, callbacks, validation data."""

from __future__ import annotations

from typing import Any

from segdoctor.core.history_facts import HistoryFacts, Training
from segdoctor.core.trace import Missing
from segdoctor.examination.request import Request
from segdoctor.sources.callbacks import read_callbacks, reported_keys
from segdoctor.sources.history import read_history
from segdoctor.sources.script.own_step import steps_itself

NO_HISTORY = Missing("no history was given", "--history")


def history_of(request: Request) -> HistoryFacts | Missing:
    """
    Raises
    ------
    UserError
        If the history cannot be read.
    """
    return NO_HISTORY if request.history is None else read_history(request.history)


def training_of(request: Request, model: Any = None) -> Training:
    """Callbacks and validation data; the model's compiled metrics tell the keys to come."""
    if isinstance(request.training, Training):
        return request.training
    metrics = _metrics(request, model)
    callbacks, validation = request.callbacks, request.validation_data
    return Training(
        validation=None if validation is None else validation is not False,
        reported=_reported(metrics, model),
        callbacks=None if callbacks is None else read_callbacks(callbacks, metrics),
    )


def _reported(metrics: list[Any], model: Any) -> tuple[str, ...]:
    """The keys to come; () where a training step of the model's own may report anything."""
    if hasattr(model, "train_step") and steps_itself(model):
        return ()
    keys = reported_keys(metrics)
    outputs = [str(name) for name in getattr(model, "output_names", None) or ()]
    if len(outputs) < 2 or not keys:
        return keys
    each = [f"{output}_{key}" for output in outputs for key in (*keys, "loss")]
    return (*keys, *each)


def _metrics(request: Request, model: Any) -> list[Any]:
    """The metrics of a fresh compile where some are given, else those the model has."""
    if request.metrics is not None:
        return _flat(request.metrics)
    if model is None:
        return []
    compiled = getattr(model, "_compile_metrics", None)  # Keras 3: those of compile, unbuilt too
    plain = getattr(compiled, "_user_metrics", None)
    if plain is not None:
        return _flat(plain)
    try:
        return list(model.metrics)
    except (AttributeError, ValueError):
        return []


def _flat(given: Any) -> list[Any]:
    """The metrics of all outputs, as a list or a dict gives them."""
    if isinstance(given, dict):
        given = list(given.values())
    if not isinstance(given, list | tuple):
        return [] if given is None else [given]
    return [metric for one in given for metric in _flat(one)]
