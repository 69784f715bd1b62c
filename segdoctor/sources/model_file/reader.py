"""Reads a model file as data: nothing in it is run, and TensorFlow is never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import GraphFacts, LayerFacts, ModelFacts, WeightFacts
from segdoctor.measures.compile_config import compile_facts
from segdoctor.measures.config_entries import unwrapped
from segdoctor.measures.graph_config import batch_norms_from, graph_from_config
from segdoctor.sources.model_file.ahead import begun
from segdoctor.sources.model_file.bounded_json import JsonRefusedError, parse_json
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.in_child import Message
from segdoctor.sources.model_file.opened import OpenedModel
from segdoctor.sources.model_file.stored_weight import StoredWeight
from segdoctor.sources.model_file.vet import vet

_MAX_LAYERS = 5_000
_BEFORE_VERSIONS = "keras<=2.1.2"  # HDF5 files of Keras 1 that do not state their version


def read_model_file(path: str | Path, meanwhile: Callable[[], object] | None = None) -> ModelFacts:
    """Everything that a model file says of itself.

    Parameters
    ----------
    path : an ``.h5``/``.hdf5`` file of Keras 1 to 3, a ``.keras`` file, or weights alone.
    meanwhile : called once while a child process reads the file: a place for slow imports.

    Raises
    ------
    ModelFileError
        One line: the file, what was expected, what was received, what to do.
    """
    return open_model_file(path, meanwhile).facts


def open_model_file(path: str | Path, meanwhile: Callable[[], object] | None = None) -> OpenedModel:
    """As :func:`read_model_file`, with what :func:`~.rebuild.rebuild` needs."""
    path = Path(path)
    kind, reading = begun(path)
    with closing(reading) as messages:
        if meanwhile is not None:
            meanwhile()
        texts = next(messages)
        config = _configuration(path, texts["config"])
        compiled = _compiled(config, texts["training"])
        version = texts["version"]
        vetted = vet(config, compiled)  # while the child reads the weights
        graph = graph_from_config(_without_known_lambdas(texts["config"], config or {}), version)
        if len(graph.layers) > _MAX_LAYERS:
            raise ModelFileError(path, f"{len(graph.layers)} layers (at most {_MAX_LAYERS})")
        stored, weights = _weights(next(messages))
    if version is None and kind == "h5" and not any("/vars/" in item.path for item in stored):
        graph = replace(graph, flavour=_BEFORE_VERSIONS)
    if config is None:
        graph = _weights_only(graph, weights)
    facts = ModelFacts(
        path=str(path),
        format=kind,
        bytes=path.stat().st_size,
        graph=replace(graph, layers=_with_parameters(graph.layers, weights)),
        weights=weights,
        batch_norms=batch_norms_from(graph, weights),
        compiled=compile_facts(compiled),
        code=vetted.code,
        not_loadable=vetted.not_at_hand,
        notes=(*_notes(config, graph, weights), *vetted.notes),
        read_with=texts["read_with"],
    )
    return OpenedModel(facts, config, compiled, stored, kind)


def _configuration(path: Path, text: str | None) -> Any:
    """The configuration, checked for what every reader of it relies on; None for weights alone."""
    if text is None:
        return None
    try:
        config = parse_json(text)
    except JsonRefusedError as error:
        raise ModelFileError(path, f"a model configuration of {error}", "save it again") from None
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ModelFileError(path, "a model configuration without a class name", "save it again")
    return config


def _without_known_lambdas(text: str | None, config: Any) -> Any:
    if text is None or "Lambda" not in text:
        return config
    from segdoctor.sources.model_file.known_lambda import with_known_lambdas  # the rare case

    return with_known_lambdas(config)


def _compiled(config: Any, training: str | None) -> Any:
    """Compile settings that are broken are none: the model itself can still be examined."""
    if isinstance(config, Mapping) and "compile_config" in config:
        return config["compile_config"]
    try:
        return None if training is None else parse_json(training)
    except JsonRefusedError:
        return None


def _weights(message: Message) -> tuple[tuple[StoredWeight, ...], tuple[WeightFacts, ...]]:
    stored, facts = [], []
    for layer, name, path, shape, *rest in message["weights"]:
        stored.append(StoredWeight(layer, name, path))
        facts.append(WeightFacts(layer, name, tuple(shape), *rest))
    return tuple(stored), tuple(facts)


def _notes(config: Any, graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> list[str]:
    notes = []
    if config is None:
        notes.append("weights only: the file has no architecture and no compile settings")
    elif graph.kind == "subclassed":
        notes.append(f"the graph is in the code of {clean(unwrapped(config)[0])}, not here")
    if not weights:
        notes.append("the file has no weights")
    if graph.keras_version is None:
        notes.append("the file does not state its Keras version")
    return notes


def _weights_only(graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> GraphFacts:
    variables: dict[str, set[str]] = {}
    for weight in weights:
        variables.setdefault(weight.layer, set()).add(weight.name)
    layers = tuple(LayerFacts(name, _class_guess(found)) for name, found in variables.items())
    return replace(graph, kind="weights only", layers=layers)


def _class_guess(names: set[str]) -> str:
    if {"moving_mean", "moving_variance"} <= names:
        return "BatchNormalization"
    if "depthwise_kernel" in names:
        return "SeparableConv2D" if "pointwise_kernel" in names else "DepthwiseConv2D"
    return "unknown"


def _with_parameters(
    layers: tuple[LayerFacts, ...], weights: tuple[WeightFacts, ...]
) -> tuple[LayerFacts, ...]:
    counts: dict[str, int] = {}
    for weight in weights:
        parts = weight.layer.split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            counts[name] = counts.get(name, 0) + weight.count
    return tuple(replace(layer, parameters=counts.get(layer.name, 0)) for layer in layers)
