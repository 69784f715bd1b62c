"""The calls of a layer as Keras 3 takes them: tensors and plain values, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.measures.graph_nodes import refs_in
from segdoctor.measures.stock_names import VALUES
from segdoctor.sources.model_file.safe_names import TENSOR

OPERATION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})


def canonical_inbound(
    entry: Mapping[str, Any], shifts: Mapping[str, int], notes: list[str]
) -> list[Any]:
    """``inbound_nodes`` of a layer, brought to ``[{"args": […], "kwargs": {…}}]``.

    ``shifts`` is what to take off the call numbers of nested models (:func:`call_shifts`).
    """
    name = str(entry.get("name"))
    if entry["class_name"] in OPERATION_LAYERS:
        return [{"args": operation_call(entry, shifts)[1], "kwargs": {}}]
    nodes = []
    for node in _node_list(entry):
        if isinstance(node, Mapping):
            nodes.append({key: _values(node.get(key) or [], {}) for key in ("args", "kwargs")})
            nodes[-1]["kwargs"] = nodes[-1]["kwargs"] or {}
        elif isinstance(node, list) and node:
            nodes.append(_legacy([node] if _is_ref(node) else node, shifts))
    for node in nodes:
        if node["kwargs"].pop("mask", None) is not None:
            notes.append(f"the mask wired into {clean(name)} was dropped")
    return nodes


def _node_list(entry: Mapping[str, Any]) -> list[Any]:
    inbound = entry.get("inbound_nodes")
    if not isinstance(inbound, list):
        return []
    if inbound and all(_is_ref(item) for item in inbound):
        return [[item] for item in inbound]  # the flat form of tf.keras operations
    return inbound


def _legacy(items: list[Any], shifts: Mapping[str, int]) -> dict[str, Any]:
    tensors = [_tensor(item, shifts) for item in items if _is_ref(item)]
    kwargs: dict[str, Any] = {}
    for item in items:
        if _is_ref(item) and len(item) > 3 and isinstance(item[3], Mapping):
            kwargs.update({key: _values(value, shifts) for key, value in item[3].items()})
    kept = {key: value for key, value in kwargs.items() if value is not None}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kept}


def operation_call(
    entry: Mapping[str, Any], shifts: Mapping[str, int]
) -> tuple[list[Any], list[Any]]:
    """``(template, tensors)`` of the one call of a tf.keras operation.

    The template is ``[first, {name: value}]`` with ``{"$tensor": i}`` where a tensor goes.

    Raises
    ------
    ValueError
        It is called more than once.
    """
    nodes = _node_list(entry)
    if len(nodes) != 1 or not isinstance(nodes[0], list):
        raise ValueError(f"the operation {clean(entry.get('name'))}, called {len(nodes)} times")
    items = [nodes[0]] if _is_ref(nodes[0]) else nodes[0]
    tensors: list[Any] = []

    def place(value: Any) -> Any:
        if _is_ref(value) and value[0] != "_CONSTANT_VALUE":
            tensors.append(_tensor(value[:3], shifts))
            return {TENSOR: len(tensors) - 1}
        if _is_ref(value):
            return value[2]
        return [place(item) for item in value] if isinstance(value, list) else value

    first = place(items[0]) if len(items) == 1 else [place(item) for item in items]
    named: dict[str, Any] = {}
    for item in items:
        for key, value in item[3].items() if len(item) > 3 else ():
            if key != "name" and value is not None:
                named[key] = place(value)
    return [first, named], tensors


def call_shifts(entries: list[Mapping[str, Any]], ends: Any, nested: set[str]) -> dict[str, int]:
    """1 for each nested model whose calls the file counts from 1, as Keras 1 and 2 do."""
    lowest: dict[str, int] = {}
    for entry in entries:
        for node in _node_list(entry):
            if isinstance(node, Mapping):
                return {}  # Keras 3 counts from 0
            for ref in refs_in(node):
                lowest[ref.layer] = min(ref.node, lowest.get(ref.layer, ref.node))
    for ref in refs_in(ends):
        lowest[ref.layer] = min(ref.node, lowest.get(ref.layer, ref.node))
    return {name: 1 for name in nested if lowest.get(name, 0) >= 1}


def canonical_ends(ends: Any, legacy: bool, shifts: Mapping[str, int], functional: set[str]) -> Any:
    """``input_layers`` / ``output_layers`` with the names and call numbers of Keras 3, which
    here, and only here, counts the calls of nested Functional models from 1."""
    if _is_ref(ends):
        node = ends[1]
        if legacy:
            node += int(ends[0] in functional) - shifts.get(ends[0], 0)
        return [ends[0].replace("/", "_"), node, ends[2]]
    if isinstance(ends, Mapping):
        return {str(k): canonical_ends(v, legacy, shifts, functional) for k, v in ends.items()}
    if not isinstance(ends, list):
        return ends
    found = [canonical_ends(item, legacy, shifts, functional) for item in ends]
    return found[0] if legacy and len(found) == 1 else found


def _is_ref(item: Any) -> bool:
    return (
        isinstance(item, list)
        and 3 <= len(item) <= 4
        and isinstance(item[0], str)
        and (item[0] == "_CONSTANT_VALUE" or (type(item[1]) is int and type(item[2]) is int))
    )


def _tensor(item: Any, shifts: Mapping[str, int]) -> Any:
    """A legacy reference as the tensor that Keras 3 writes; its shape is found anew."""
    if item[0] == "_CONSTANT_VALUE":
        return item[2]
    history = [item[0].replace("/", "_"), item[1] - shifts.get(item[0], 0), item[2]]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": history},
    }


def _values(value: Any, shifts: Mapping[str, int]) -> Any:
    """``value`` with tensors renamed; anything that is neither tensor nor plain becomes None."""
    if isinstance(value, Mapping):
        name = value.get("class_name")
        if name == "__keras_tensor__":
            refs = refs_in(value)
            return _tensor([*refs[0]], shifts) if refs else None
        if name is not None and name not in VALUES:
            return None
        return {str(key): _values(item, shifts) for key, item in value.items()}
    if isinstance(value, list):
        if _is_ref(value):
            return _tensor(value, shifts)
        return [_values(item, shifts) for item in value]
    return value
