"""A live model as facts: the graph, its weights' statistics, its batch normalisations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.model_facts import BatchNormFacts, GraphFacts, LayerFacts, WeightFacts
from segdoctor.measures.graph_config import batch_norms_from, graph_from_config
from segdoctor.measures.weight_statistics import (
    Statistics,
    blocks_of,
    statistics_of_each,
    total_of,
)
from segdoctor.recorder.layers import batch_norm_layers, is_tf_keras, view_of, walk

_LARGE = 1 << 17  # elements: from here on a wide copy of the whole costs more than the sums


def live_facts(
    model: Any, flavour: str | None = None
) -> tuple[GraphFacts, tuple[WeightFacts, ...], tuple[BatchNormFacts, ...]]:
    """Graph, weights and batch normalisations of a live model.

    The graph is read from ``model.get_config()``; where the model cannot give one (subclassed
    models), its layers are listed as they are found, without the calls between them.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    flavour : the Keras under which the run is judged. None: the one the object belongs to.
    """
    flavour = flavour or own_flavour(model)
    weights = weight_facts(model)
    graph = with_parameters(live_graph(model, flavour), weights)
    return graph, weights, batch_norm_facts(model, graph, weights)


def own_flavour(model: Any) -> str:
    """The Keras that the object belongs to."""
    return "tf_keras" if is_tf_keras(model) else "keras3"


def live_graph(model: Any, flavour: str) -> GraphFacts:
    """The layer graph alone."""
    graph = _from_config(model, flavour)
    if graph is None or not graph.layers:
        graph = _from_layers(model, flavour)
    return graph


def _from_config(model: Any, flavour: str) -> GraphFacts | None:
    try:
        config = model.get_config()
    except Exception:  # noqa: BLE001 - the boundary to user code: any layer's get_config may raise
        return None
    if not isinstance(config, dict | list):
        return None
    class_name = "Sequential" if type(model).__name__ == "Sequential" else "Functional"
    wrapped = {"class_name": class_name, "config": config}
    graph = graph_from_config(wrapped, _version(model), flavour)
    # A model made of layers *and* attributes keeps more layers than its config shows.
    live = {path for path, _ in walk(model)}
    return graph if live <= {layer.name for layer in graph.layers} else None


def _from_layers(model: Any, flavour: str) -> GraphFacts:
    layers = tuple(
        LayerFacts(
            name=path,
            class_name=type(layer).__name__,
            module=type(layer).__module__,
            trainable=bool(layer.trainable),
            activation=_activation_name(layer),
            config=_plain_config(layer),
        )
        for path, layer in walk(model)
    )
    return GraphFacts(
        kind="subclassed",
        layers=layers,
        keras_version=_version(model),
        flavour=flavour,
        name=str(model.name),
    )


def weight_facts(model: Any) -> tuple[WeightFacts, ...]:
    """Statistics of every floating-point variable that belongs to a layer."""
    owned = [
        (path, variable)
        for path, variable in owned_variables(model)
        if np.issubdtype(np.dtype(variable_dtype(variable)), np.floating)
    ]
    views = [view_of(variable) for _, variable in owned]
    small = iter(statistics_of_each([view for view in views if view.size <= _LARGE]))
    return tuple(
        _weight_facts(
            path, variable, view, next(small) if view.size <= _LARGE else total_of(blocks_of(view))
        )
        for (path, variable), view in zip(owned, views, strict=True)
    )


def owned_variables(model: Any) -> Iterator[tuple[str, Any]]:
    """``(layer path, variable)`` of every weight, each once; the model's own under its name."""
    seen: set[int] = set()
    for path, layer in [*walk(model), (str(model.name), model)]:
        for variable in _own(layer):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield path, variable
    for variable in model.weights:  # what a wrapper keeps where no layer shows it
        if id(variable) not in seen:
            seen.add(id(variable))
            yield str(model.name), variable


def _own(layer: Any) -> list[Any]:
    found: list[Any] = []
    for name in (
        "_trainable_variables",
        "_non_trainable_variables",
        "_trainable_weights",
        "_non_trainable_weights",
    ):
        held = vars(layer).get(name)
        if isinstance(held, list | tuple) or type(held).__name__ == "ListWrapper":
            found.extend(held)
    weights = {id(weight) for weight in layer.weights}
    return [variable for variable in found if id(variable) in weights]


def variable_name(variable: Any) -> str:
    """The last part of a variable's name: ``kernel``, ``gamma`` …"""
    return str(variable.name).rpartition("/")[2].partition(":")[0]


def variable_dtype(variable: Any) -> str:
    """Name of a variable's type; half-precision types that NumPy lacks as ``float16``."""
    name = getattr(variable.dtype, "name", variable.dtype)
    return "float16" if name == "bfloat16" else str(name)


def _weight_facts(path: str, variable: Any, values: Any, total: Statistics) -> WeightFacts:
    return WeightFacts(
        layer=path,
        name=variable_name(variable),
        shape=tuple(int(size) for size in values.shape),
        dtype=str(values.dtype),
        count=total.count,
        not_finite=total.not_finite,
        mean=total.mean,
        std=total.std,
        minimum=total.minimum,
        maximum=total.maximum,
        zeros=total.zeros,
    )


def batch_norm_facts(
    model: Any, graph: GraphFacts, weights: tuple[WeightFacts, ...]
) -> tuple[BatchNormFacts, ...]:
    """Every batch normalisation: the stock ones by the graph, others by what they hold."""
    known = {fact.layer: fact for fact in batch_norms_from(graph, weights)}
    held: dict[str, dict[str, WeightFacts]] = {}
    for weight in weights:
        held.setdefault(weight.layer, {})[weight.name] = weight
    facts = []
    for path, layer in batch_norm_layers(model):
        own = held.get(path, {})
        if path in known:
            # The flag of the layer itself, which a frozen model around it does not change.
            facts.append(replace(known[path], trainable=bool(layer.trainable)))
            continue
        facts.append(
            BatchNormFacts(
                layer=path,
                class_name=type(layer).__name__,
                trainable=bool(layer.trainable),
                wired_training=None,
                momentum=float(getattr(layer, "momentum", 0.99)),
                epsilon=float(layer.epsilon),
                channels=int(np.prod(layer.moving_mean.shape)),
                gamma=own.get("gamma"),
                beta=own.get("beta"),
                moving_mean=own.get("moving_mean"),
                moving_variance=own.get("moving_variance"),
            )
        )
    return tuple(facts)


def with_parameters(graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> GraphFacts:
    """The graph with the number of weights of each layer, its inner layers' included."""
    counts: dict[str, int] = {}
    for weight in weights:
        parts = weight.layer.split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            counts[name] = counts.get(name, 0) + weight.count
    layers = tuple(replace(layer, parameters=counts.get(layer.name, 0)) for layer in graph.layers)
    return replace(graph, layers=layers)


def _version(model: Any) -> str:
    if is_tf_keras(model):
        import tf_keras as keras
    else:
        import keras
    return str(keras.__version__)


def _activation_name(layer: Any) -> str | None:
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return str(name) if name else None


def _plain_config(layer: Any) -> dict[str, object]:
    try:
        config = layer.get_config()
    except Exception:  # noqa: BLE001 - the boundary to user code: a custom layer without a config
        return {}
    return {key: value for key, value in config.items() if key != "layers"}
