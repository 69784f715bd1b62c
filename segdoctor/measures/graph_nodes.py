"""The calls of a layer (``inbound_nodes``) in the spellings of Keras 1 to 3.

* Keras 1: ``[[["name", node, tensor], …], …]``
* Keras 2: ``[[["name", node, tensor, {kwargs}], …], …]``; tf.keras operations drop one level:
  ``[["name", node, tensor, {"y": ["other", 0, 0]}]]``
* Keras 3: ``[{"args": […], "kwargs": {…}}]`` with ``{"class_name": "__keras_tensor__", …}``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from segdoctor.core.model_facts import Shape
from segdoctor.measures.layer_shapes import as_shape
from segdoctor.measures.words import words

# Layers whose second positional argument is ``training``.
_TAKES_TRAINING = words(
    "AlphaDropout BatchNormalization Dropout Functional GaussianDropout GaussianNoise Model "
    "Sequential SpatialDropout2D SyncBatchNormalization"
)


class Ref(NamedTuple):
    """An output tensor of a layer's call."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True, slots=True)
class Node:
    """One call: the tensors it takes, and the values that are wired in."""

    refs: tuple[Ref, ...]
    kwargs: Mapping[str, object] = field(default_factory=dict)
    positional: tuple[object, ...] = ()
    shapes: Mapping[Ref, Shape | None] = field(default_factory=dict)

    def plain_kwargs(self, class_name: str) -> dict[str, object]:
        """The call arguments that are values and not tensors, without those left at None."""
        found = {
            name: value
            for name, value in self.kwargs.items()
            if value is not None and not refs_in(value)
        }
        if class_name in _TAKES_TRAINING:
            for value in self.positional[1:2]:
                if isinstance(value, bool):
                    found.setdefault("training", value)
        return found


def nodes_of(inbound: object) -> list[Node]:
    """Every call of a layer, in order; what cannot be read as a call is left out."""
    if not isinstance(inbound, list):
        return []
    if inbound and all(_as_ref(item) for item in inbound):
        inbound = [[item] for item in inbound]  # the flat form of tf.keras operations
    found = []
    for entry in inbound:
        if isinstance(entry, Mapping):
            found.append(_keras3_node(entry))
        elif isinstance(entry, list):
            found.append(_legacy_node([entry] if _as_ref(entry) else entry))
    return found


def refs_in(value: object) -> tuple[Ref, ...]:
    """The tensors that ``value`` refers to, depth first."""
    found: list[Ref] = []
    _collect(value, found, {})
    return tuple(found)


def _keras3_node(entry: Mapping[str, Any]) -> Node:
    found: list[Ref] = []
    shapes: dict[Ref, Shape | None] = {}
    positional = entry.get("args")
    kwargs = entry.get("kwargs")
    _collect(positional, found, shapes)
    _collect(kwargs, found, shapes)
    return Node(
        tuple(found),
        dict(kwargs) if isinstance(kwargs, Mapping) else {},
        tuple(positional) if isinstance(positional, list) else (),
        shapes,
    )


def _legacy_node(items: list[Any]) -> Node:
    found: list[Ref] = []
    kwargs: dict[str, object] = {}
    for item in items:
        ref = _as_ref(item)
        if ref is None:
            continue
        if ref.layer != "_CONSTANT_VALUE":
            found.append(ref)
        if len(item) > 3 and isinstance(item[3], Mapping):
            kwargs.update(item[3])
            _collect(item[3], found, {})
    return Node(tuple(found), kwargs)


def _as_ref(item: object) -> Ref | None:
    if not isinstance(item, list) or not 3 <= len(item) <= 4:
        return None
    name, node, tensor = item[:3]
    if isinstance(name, str) and name == "_CONSTANT_VALUE":
        return Ref(name, 0, 0)
    if isinstance(name, str) and type(node) is int and type(tensor) is int:
        return Ref(name, node, tensor)
    return None


def _collect(value: object, found: list[Ref], shapes: dict[Ref, Shape | None]) -> None:
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") == "__keras_tensor__" and isinstance(config, Mapping):
            ref = _as_ref(config.get("keras_history"))
            if ref is not None:
                found.append(ref)
                shapes[ref] = as_shape(config.get("shape"))
            return
        for item in value.values():
            _collect(item, found, shapes)
    elif isinstance(value, list | tuple):
        ref = _as_ref(value)
        if ref is not None:
            found.append(ref)
            return
        for item in value:
            _collect(item, found, shapes)
