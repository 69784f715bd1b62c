"""Regularisation beside the data term: the pull of L2 losses, and of the optimizer's decay."""

from __future__ import annotations

from typing import Any

import numpy as np

from segdoctor.core.measured import UpdateFacts
from segdoctor.core.training_facts import PenaltyFacts
from segdoctor.recorder.layers import is_tf_keras, tf_variable
from segdoctor.recorder.live_graph import owned_variables, variable_name

_AFFINE = ("bias", "beta", "gamma")


def l2_penalty(model: Any, gradients: dict[int, Any], loss_data: float) -> PenaltyFacts | None:
    """The pull of the layers' own regularisers; None where there are none.

    Parameters
    ----------
    gradients : ``id`` of the ``tf.Variable`` → gradient of all that ``fit`` minimises.
    loss_data : the loss without regularisation.
    """
    import tensorflow as tf

    if not _penalties(model):
        return None
    kernels = [
        (path, tf_variable(variable))
        for path, variable in owned_variables(model)
        if id(tf_variable(variable)) in gradients and not variable_name(variable).endswith(_AFFINE)
    ]
    variables = [variable for _, variable in kernels]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        terms = [tf.cast(tf.reduce_sum(term), tf.float32) for term in _penalties(model)]
        total = tf.add_n(terms)
    pulls = tape.gradient(total, variables)
    ratios = []
    for (path, variable), pull in zip(kernels, pulls, strict=True):
        whole = gradients[id(variable)]
        if pull is None or whole is None:
            continue
        ours = np.asarray(tf.convert_to_tensor(pull), dtype=np.float64)
        data = np.asarray(tf.convert_to_tensor(whole), dtype=np.float64) - ours
        size = float(np.linalg.norm(data))
        if np.isfinite(size):
            ratios.append((float(np.linalg.norm(ours)) / max(size, 1e-30), path))
    if not ratios:
        return None
    largest, layer = max(ratios)
    middle = sorted(ratio for ratio, _ in ratios)[len(ratios) // 2]
    return PenaltyFacts("L2 loss", middle, largest, layer, float(np.asarray(total)), loss_data)


def _penalties(model: Any) -> list[Any]:
    """The regularisation terms as tensors, from the weights alone."""
    if is_tf_keras(model):
        return [term() if callable(term) else term for term in model.losses]
    found = []
    for variable in model.trainable_variables:
        regularizer = getattr(variable, "regularizer", None)
        if regularizer is not None:
            found.append(regularizer(variable))
    return found


def decay_penalty(optimizer: Any, updates: tuple[UpdateFacts, ...]) -> PenaltyFacts | None:
    """The part of each step that is the optimizer's own weight decay; None where it has none.

    Keras takes ``weight_decay × rate × w`` off each weight before the step, so of a relative step
    ``r`` the decay has ``weight_decay × rate``, and the data the rest.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    decay = getattr(inner, "weight_decay", None)
    if not isinstance(decay, int | float) or decay <= 0:
        return None
    from segdoctor.recorder.updates import peak_rate

    pull = float(decay) * peak_rate(inner)
    ratios = [
        (pull / max(fact.ratio - pull, fact.ratio * 1e-3, 1e-30), fact.layer)
        for fact in updates
        if not fact.variable.endswith(_AFFINE)
    ]
    if not ratios:
        return None
    largest, layer = max(ratios)
    middle = sorted(ratio for ratio, _ in ratios)[len(ratios) // 2]
    return PenaltyFacts("weight decay", middle, largest, layer)
