"""The calls of a layer as Keras 3 takes them: tensors and plain values, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.measures.graph_nodes import refs_in
from segdoctor.measures.stock_names import VALUES
from segdoctor.sources.model_file.safe_names import operation_call

_OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda"})


def canonical_inbound(entry: Mapping[str, Any], notes: list[str]) -> list[Any]:
    """``inbound_nodes`` of a layer, brought to ``[{"args": […], "kwargs": {…}}]``."""
    inbound = entry.get("inbound_nodes")
    if not isinstance(inbound, list):
        return []
    if inbound and all(_is_ref(item) for item in inbound):
        inbound = [[item] for item in inbound]  # the flat form of tf.keras operations
    name = str(entry.get("name"))
    nodes = []
    for node in inbound:
        if isinstance(node, Mapping):
            nodes.append(
                {
                    "args": _values(node.get("args") or []),
                    "kwargs": _values(node.get("kwargs") or {}),
                }
            )
        elif isinstance(node, list) and node:
            nodes.append(_legacy(entry["class_name"], [node] if _is_ref(node) else node))
    for node in nodes:
        if node["kwargs"].pop("mask", None) is not None:
            notes.append(f"the mask wired into {clean(name)} was dropped")
    return nodes


def _legacy(class_name: str, items: list[Any]) -> dict[str, Any]:
    if class_name in _OPERATIONS:
        return operation_call(items, _tensor)
    tensors = [_tensor(item) for item in items if _is_ref(item)]
    kwargs: dict[str, Any] = {}
    for item in items:
        if _is_ref(item) and len(item) > 3 and isinstance(item[3], Mapping):
            kwargs.update({key: _values(value) for key, value in item[3].items()})
    kept = {key: value for key, value in kwargs.items() if value is not None}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kept}


def canonical_ends(ends: Any) -> Any:
    """``input_layers`` / ``output_layers`` with the names that the layers have now."""
    if _is_ref(ends):
        return [ends[0].replace("/", "_"), *ends[1:3]]
    if isinstance(ends, Mapping):
        return {str(key): canonical_ends(item) for key, item in ends.items()}
    return [canonical_ends(item) for item in ends] if isinstance(ends, list) else ends


def _is_ref(item: Any) -> bool:
    return (
        isinstance(item, list)
        and 3 <= len(item) <= 4
        and isinstance(item[0], str)
        and (item[0] == "_CONSTANT_VALUE" or (type(item[1]) is int and type(item[2]) is int))
    )


def _tensor(item: Any) -> Any:
    """A legacy reference as the tensor that Keras 3 writes; its shape is found anew."""
    if not _is_ref(item):
        return item
    if item[0] == "_CONSTANT_VALUE":
        return item[2]
    history = [item[0].replace("/", "_"), item[1], item[2]]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": history},
    }


def _values(value: Any) -> Any:
    """``value`` with tensors renamed; anything that is neither tensor nor plain becomes None."""
    if isinstance(value, Mapping):
        name = value.get("class_name")
        if name == "__keras_tensor__":
            refs = refs_in(value)
            return _tensor([*refs[0]]) if refs else None
        if name is not None and name not in VALUES:
            return None
        return {str(key): _values(item) for key, item in value.items()}
    if isinstance(value, list):
        return _tensor(value) if _is_ref(value) else [_values(item) for item in value]
    return value
