"""Reads a model file as data: nothing in it is run, and TensorFlow is never imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import GraphFacts, LayerFacts, ModelFacts, WeightFacts
from segdoctor.measures.compile_config import compile_facts
from segdoctor.measures.graph_config import batch_norms_from, graph_from_config, unwrapped
from segdoctor.measures.weight_statistics import blocks_of, total_of
from segdoctor.sources.model_file.bounded_json import JsonRefusedError, parse_json
from segdoctor.sources.model_file.checked_h5 import CheckedH5
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.opened import OpenedModel, weights_file
from segdoctor.sources.model_file.recognise import recognise
from segdoctor.sources.model_file.stored_weights import (
    StoredWeight,
    weights_in_h5,
    weights_in_tree,
)
from segdoctor.sources.model_file.vet import vet

_MAX_LAYERS = 20_000
_BEFORE_VERSIONS = "keras<=2.1.2"  # HDF5 files of Keras 1 that do not state their version


def read_model_file(path: str | Path) -> ModelFacts:
    """Everything that a model file says of itself.

    Parameters
    ----------
    path : an ``.h5``/``.hdf5`` file of Keras 1 to 3, a ``.keras`` file, or weights alone.

    Raises
    ------
    ModelFileError
        One line: the file, what was expected, what was received, what to do.
    """
    return open_model_file(path).facts


def open_model_file(path: str | Path) -> OpenedModel:
    """As :func:`read_model_file`, with what :func:`~.rebuild.rebuild` needs."""
    path = Path(path)
    kind = recognise(path)
    try:
        return _open_h5(path) if kind == "h5" else _open_keras(path)
    except JsonRefusedError as error:
        raise ModelFileError(path, f"a model configuration of {error}", "save it again") from None


def _open_h5(path: Path) -> OpenedModel:
    with weights_file(path, "h5") as file:
        assert file is not None  # an HDF5 file is its own weights
        text = file.text_attribute("/", "model_config")
        root = "/model_weights" if file.is_group("/model_weights") else "/"
        version = _version(file, root)
        settings = file.text_attribute("/", "training_config")
        config = None if text is None else parse_json(text)
        compiled = _tolerant(settings)
        if config is not None:
            _, inner = _model_of(path, config)
            stored = weights_in_h5(file, root, inner)
            if not stored:
                stored = weights_in_tree(file, inner)
        else:
            stored = weights_in_h5(file, root, None) or weights_in_tree(file, None)
            if not stored and not file.name_list(root, "layer_names"):
                raise ModelFileError(
                    path,
                    "an HDF5 file without model_config and without Keras weights, members "
                    f"{', '.join(file.names('/')[:5]) or 'none'}",
                    "save it from Keras with model.save('model.keras')",
                )
        weights = [_facts(file, weight) for weight in stored]
    oldest = _BEFORE_VERSIONS if version is None and not _tree_like(stored) else None
    return _opened(path, "h5", config, compiled, version, oldest, stored, weights)


def _open_keras(path: Path) -> OpenedModel:
    from segdoctor.sources.model_file.keras_zip import open_keras_zip, read_member

    with open_keras_zip(path) as archive:
        config = parse_json(read_member(archive, path, "config.json"))
        described = "metadata.json" in archive.namelist()
        metadata = parse_json(read_member(archive, path, "metadata.json")) if described else {}
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    _, inner = _model_of(path, config)
    stored: list[StoredWeight] = []
    weights: list[WeightFacts] = []
    with weights_file(path, "keras") as file:
        if file is not None:
            stored = weights_in_tree(file, inner)
            weights = [_facts(file, weight) for weight in stored]
    compiled = config.get("compile_config")
    version = version if isinstance(version, str) else None
    return _opened(path, "keras", config, compiled, version, None, stored, weights)


def _opened(
    path: Path,
    kind: Any,
    config: Any,
    compiled: Any,
    version: str | None,
    flavour: str | None,
    stored: Iterable[StoredWeight],
    weights: Iterable[WeightFacts],
) -> OpenedModel:
    weights = tuple(weights)
    notes = []
    if config is None:
        graph = _weights_only(weights, version, flavour)
        notes.append("weights only: the file has no architecture and no compile settings")
    else:
        graph = graph_from_config(config, version, flavour)
        if graph.kind == "subclassed":
            notes.append(f"the graph is in the code of {clean(unwrapped(config)[0])}, not here")
        if not weights:
            notes.append("the file has no weights")
    if version is None:
        notes.append("the file does not state its Keras version")
    if len(graph.layers) > _MAX_LAYERS:
        raise ModelFileError(path, f"{len(graph.layers)} layers (at most {_MAX_LAYERS})")
    vetted = vet(config, compiled)
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
        notes=(*notes, *vetted.notes),
    )
    return OpenedModel(facts, config, compiled, tuple(stored), kind)


def _model_of(path: Path, config: Any) -> tuple[str, Any]:
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ModelFileError(path, "a model configuration without a class name", "save it again")
    return unwrapped(config)


def _version(file: CheckedH5, root: str) -> str | None:
    for place in ("/", root):
        value = file.text_attribute(place, "keras_version")
        if value is not None:
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return None


def _tolerant(settings: str | bytes | None) -> Any:
    """Compile settings that are broken are none: the model itself can still be examined."""
    try:
        return None if settings is None else parse_json(settings)
    except JsonRefusedError:
        return None


def _tree_like(stored: Iterable[StoredWeight]) -> bool:
    return any("/vars/" in weight.path for weight in stored)


def _facts(file: CheckedH5, weight: StoredWeight) -> WeightFacts:
    array = file.array(weight.path)
    total = total_of(block for piece in array.pieces() for block in blocks_of(piece))
    return WeightFacts(
        layer=weight.layer,
        name=weight.name,
        shape=array.shape,
        dtype=array.dtype,
        count=total.count,
        not_finite=total.not_finite,
        mean=total.mean,
        std=total.std,
        minimum=total.minimum,
        maximum=total.maximum,
        zeros=total.zeros,
    )


def _weights_only(
    weights: tuple[WeightFacts, ...], version: str | None, flavour: str | None
) -> GraphFacts:
    names = dict.fromkeys(weight.layer for weight in weights)
    variables: dict[str, set[str]] = {}
    for weight in weights:
        variables.setdefault(weight.layer, set()).add(weight.name)
    layers = tuple(LayerFacts(name, _class_guess(variables[name])) for name in names)
    graph = graph_from_config({}, version, flavour)
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
