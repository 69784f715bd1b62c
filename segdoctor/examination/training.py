"""What the user says of the training around the model: history, callbacks, validation data."""

from __future__ import annotations

from typing import Any

from segdoctor.core.history_facts import HistoryFacts, Training
from segdoctor.core.trace import Missing
from segdoctor.examination.request import Request
from segdoctor.sources.callbacks import read_callbacks, reported_keys
from segdoctor.sources.history import read_history

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
    metrics = _metrics(request, model)
    callbacks, validation = request.callbacks, request.validation_data
    return Training(
        validation=None if validation is None else validation is not False,
        reported=reported_keys(metrics),
        callbacks=None if callbacks is None else read_callbacks(callbacks, metrics),
    )


def _metrics(request: Request, model: Any) -> list[Any]:
    """The metrics of a fresh compile where some are given, else those the model has."""
    given = request.metrics
    if given is not None:
        if isinstance(given, dict):
            given = list(given.values())
        return list(given) if isinstance(given, list | tuple) else [given]
    if model is None:
        return []
    compiled = getattr(model, "_compile_metrics", None)  # Keras 3: those of compile, unbuilt too
    plain = getattr(compiled, "_user_metrics", None)
    if isinstance(plain, list | tuple):
        return list(plain)
    try:
        return list(model.metrics)
    except (AttributeError, ValueError):
        return []
