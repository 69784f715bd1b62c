"""Does each branch of a merge matter? Proved by zeroing it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from segdoctor.core.measured import GradientFacts
from segdoctor.core.network_facts import Branch
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.modes import first_output, output_gap
from segdoctor.recorder.recalibrate import replaced_call
from segdoctor.recorder.snapshot import preserved

_MOST = 16
_SECONDS = 4.0


def zeroed_branches(
    model: Any, x: Any, gradients: tuple[GradientFacts, ...] = ()
) -> tuple[Branch, ...]:
    """One inference pass for each branch that ends in a concatenation, with its output at zero.

    Functional models only; of large ones the sixteen branches nearest to the output, and no more
    than can be done in four seconds.
    """
    joined = _joined(model)[-_MOST:]
    if not joined:
        return ()
    norms: dict[str, float] = {}
    for fact in gradients:
        norms[fact.layer] = max(norms.get(fact.layer, 0.0), fact.norm or 0.0)
    with preserved(model):
        whole = first_output(TracedForward(model, False, eager=True)(x).y_pred)
        if not np.ptp(np.asarray(whole, dtype=np.float32)) > 0.0:
            return ()  # a head that starts at zero: nothing moves an output that is constant
        found = []
        end = time.perf_counter() + _SECONDS
        for merge, layer in reversed(joined):
            if time.perf_counter() > end:
                break
            with replaced_call(layer, _nothing):
                without = first_output(TracedForward(model, False, eager=True)(x).y_pred)
            effect = output_gap(whole, without)
            found.append(Branch(merge, layer.name, effect, norms.get(layer.name)))
    return tuple(found)


def _nothing(original: Any, *args: Any, **kwargs: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(tf.zeros_like, original(*args, **kwargs))


def _joined(model: Any) -> list[tuple[str, Any]]:
    """``(merge, last layer of the branch)``; a layer that feeds something else too is no branch of
    its own (a dense net's features), and is left out."""
    layers = list(getattr(model, "layers", []))
    used: dict[int, int] = {}
    feeding: dict[int, list[Any]] = {}
    by_tensor = {}
    for layer in layers:
        try:
            by_tensor[id(layer.output)] = layer
        except (AttributeError, ValueError):
            return []
    for layer in layers:
        given = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
        sources = [by_tensor[id(tensor)] for tensor in given if id(tensor) in by_tensor]
        feeding[id(layer)] = [source for source in sources if source is not layer]
        for source in feeding[id(layer)]:
            used[id(source)] = used.get(id(source), 0) + 1
    return [
        (layer.name, source)
        for layer in layers
        if type(layer).__name__ == "Concatenate" and len(feeding[id(layer)]) > 1
        for source in feeding[id(layer)]
        if used[id(source)] == 1 and type(source).__name__ != "InputLayer"
    ]
