"""What a model file holds, as plain values for JSON: no NaN, no control characters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import BatchNormFacts, LayerFacts, ModelFacts, WeightFacts

_DEEPEST = 20
# Settings that make the document long and say nothing of the result.
_LEFT_OUT = ("_initializer", "_constraint")


def facts_to_plain(facts: ModelFacts) -> dict[str, Any]:
    """``facts`` as dicts, lists, strings, numbers and None; what is not finite is None."""
    graph, compiled = facts.graph, facts.compiled
    return {
        "path": clean(facts.path),
        "format": facts.format,
        "bytes": facts.bytes,
        "kind": graph.kind,
        "name": clean(graph.name),
        "keras_version": None if graph.keras_version is None else clean(graph.keras_version, 40),
        "flavour": graph.flavour,
        "parameters": facts.parameters,
        "inputs": _plain(graph.inputs),
        "outputs": _plain(graph.outputs),
        "input_shapes": _plain(graph.input_shapes),
        "output_shapes": _plain(graph.output_shapes),
        "compiled": None
        if compiled is None
        else {
            name: _plain(getattr(compiled, name))
            for name in (
                *("loss", "from_logits", "ignore_class", "loss_config", "optimizer"),
                *("learning_rate", "schedule", "optimizer_config", "metrics"),
            )
        },
        "batch_norms": [_batch_norm(layer) for layer in facts.batch_norms],
        "layers": [_layer(layer) for layer in graph.layers],
        "weights": [_weight(weight) for weight in facts.weights],
        "code": [
            {
                "kind": item.kind,
                "name": clean(item.name),
                "where": clean(item.where),
                "recognised": item.recognised,
                "runs": item.runs,
            }
            for item in facts.code
        ],
        "not_loadable": _plain(facts.not_loadable),
        "notes": _plain(facts.notes),
    }


def _layer(layer: LayerFacts) -> dict[str, Any]:
    settings = {
        key: value
        for key, value in layer.config.items()
        if key not in {"name", "trainable", "dtype"} and not key.endswith(_LEFT_OUT)
    }
    return {
        "name": clean(layer.name),
        "class": clean(layer.class_name),
        "module": None if layer.module is None else clean(layer.module),
        "trainable": layer.trainable,
        "dtype": _plain(layer.dtype),
        "activation": _plain(layer.activation),
        "output_shape": _plain(layer.output_shape),
        "parameters": layer.parameters,
        "calls": [
            {"inputs": _plain(call.inputs), "kwargs": _plain(call.kwargs)} for call in layer.calls
        ],
        "settings": _plain(settings),
    }


def _weight(weight: WeightFacts) -> dict[str, Any]:
    return {
        "layer": clean(weight.layer),
        "name": clean(weight.name),
        "shape": list(weight.shape),
        "dtype": weight.dtype,
        **_statistics(weight),
    }


def _statistics(weight: WeightFacts) -> dict[str, Any]:
    return {
        "count": weight.count,
        "not_finite": weight.not_finite,
        "zeros": weight.zeros,
        "mean": _plain(weight.mean),
        "std": _plain(weight.std),
        "min": _plain(weight.minimum),
        "max": _plain(weight.maximum),
    }


def _batch_norm(layer: BatchNormFacts) -> dict[str, Any]:
    return {
        "layer": clean(layer.layer),
        "trainable": layer.trainable,
        "wired_training": layer.wired_training,
        "momentum": _plain(layer.momentum),
        "epsilon": _plain(layer.epsilon),
        "channels": layer.channels,
        "feeds_from": _plain(layer.feeds_from),
        "feeding_trainable": layer.feeding_trainable,
        **{
            name: None if weight is None else _statistics(weight)
            for name, weight in (
                ("gamma", layer.gamma),
                ("beta", layer.beta),
                ("moving_mean", layer.moving_mean),
                ("moving_variance", layer.moving_variance),
            )
        },
    }


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return "…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return clean(value)
