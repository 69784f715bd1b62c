"""What a model's compiled step trains, against what its flags say now."""

from __future__ import annotations

from typing import Any

from segdoctor.core.training_facts import CompiledBefore
from segdoctor.recorder.layers import is_tf_keras, tf_variable
from segdoctor.recorder.live_graph import owned_variables, variable_name


def compiled_before(model: Any) -> CompiledBefore | None:
    """The difference; None where no step was made since the last compile, so that none is fixed.

    Keras fixes the variables of its step when the first ``fit`` traces it (and tf_keras the flags
    at ``compile``); a change of ``trainable`` after that has no effect. A model that was compiled
    again has no step yet.
    """
    if getattr(model, "train_function", None) is None:
        return None
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    held = _stepped(model, optimizer)
    if held is None:
        return None
    names = {
        id(tf_variable(variable)): f"{path}/{variable_name(variable)}"
        for path, variable in owned_variables(model)
    }
    flagged = {id(tf_variable(variable)) for variable in model.trainable_variables}
    stepped = held & set(names)
    return CompiledBefore(
        stepped=len(stepped),
        flagged=len(flagged),
        only_stepped=tuple(names[key] for key in names if key in stepped - flagged),
        only_flagged=tuple(names[key] for key in names if key in flagged - stepped),
    )


def _stepped(model: Any, optimizer: Any) -> set[int] | None:
    """``id`` of the ``tf.Variable`` objects that the step trains."""
    if is_tf_keras(model):
        return _flagged_at_compile(model)
    if optimizer is None or not getattr(optimizer, "built", False):
        return None
    held = getattr(optimizer, "_trainable_variables", None)
    return None if held is None else {id(tf_variable(variable)) for variable in held}


def _flagged_at_compile(model: Any) -> set[int] | None:
    """tf_keras keeps the flags that every layer had when the model was compiled."""
    state = getattr(model, "_compiled_trainable_state", None)
    if not state:
        return None
    now = model._get_trainable_state()
    try:
        model._set_trainable_state(state)
        return {id(tf_variable(variable)) for variable in model.trainable_variables}
    finally:
        model._set_trainable_state(now)
