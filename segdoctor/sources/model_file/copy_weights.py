"""Stored arrays into the variables of a live model, one by one and with checked shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import WeightFacts
from segdoctor.sources.model_file.stored_weight import StoredWeight

Pair = tuple[Any, StoredWeight]
_ALIASES = {"depthwise_kernel": "kernel"}


class WeightsDoNotFitError(ValueError):
    """What is stored is not what the graph takes; the message completes *received …*."""


def plan_weights(
    model: Any, stored: Sequence[StoredWeight], facts: Sequence[WeightFacts]
) -> list[Pair]:
    """Which stored array goes into which variable; shapes are compared, no array is read.

    A layer's arrays are matched by the variables' names, where the file has them all, else in
    the order in which they are stored. A nested model whose arrays cannot be told apart by name is
    filled in Keras' order: trainable ones first.
    """
    if not stored:
        return []
    shapes = {weight.path: tuple(fact.shape) for weight, fact in zip(stored, facts, strict=True)}
    by_layer: dict[str, list[StoredWeight]] = {}
    for weight in stored:
        by_layer.setdefault(_key(weight.layer), []).append(weight)
    pairs: list[Pair] = []
    for path, layer in _layers(model, ""):
        if not layer.weights:
            continue
        mine = by_layer.get(_key(path))
        if mine is None:
            mine = [
                w
                for w in stored
                if _key(w.layer).startswith(f"{_key(path)}_") and (w.layer.startswith(f"{path}/"))
            ]
        found = _matched(layer, mine, shapes)
        if found is None:
            return _whole_models(model, stored, shapes, path, layer, mine)
        pairs.extend(found)
    return pairs


def copy_weights(pairs: Iterable[Pair], read: Callable[[StoredWeight], Any]) -> None:
    """Read each array and assign it."""
    for variable, weight in pairs:
        variable.assign(read(weight))


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if type(layer).__name__ in {"Functional", "Sequential", "Model"}:
            yield from _layers(layer, f"{path}/")
        else:
            yield path, layer


def _key(path: str) -> str:
    """Paths compare with slashes in layer names replaced, as they are in the live model."""
    return path.replace("/", "_")


def _matched(
    layer: Any, mine: Sequence[StoredWeight], shapes: dict[str, tuple[int, ...]]
) -> list[Pair] | None:
    variables = list(layer.weights)
    if len(mine) != len(variables):
        return None
    placed = [_by_place(layer, weight.name) for weight in mine]
    if all(found is not None for found in placed):
        pairs = list(zip(placed, mine, strict=True))
    else:
        named = {variable.name: variable for variable in variables}
        names = [_ALIASES.get(w.name, w.name) if w.name not in named else w.name for w in mine]
        if len(named) == len(variables) and sorted(names) == sorted(named):
            pairs = [(named[name], weight) for name, weight in zip(names, mine, strict=True)]
        else:
            pairs = list(zip(variables, mine, strict=True))
    return pairs if all(tuple(v.shape) == shapes[w.path] for v, w in pairs) else None


def _by_place(layer: Any, name: str) -> Any:
    """The variable at ``query_dense/0`` of a composite layer; None for other names."""
    *parts, number = name.split("/")
    if not parts or not number.isdecimal():
        return None
    current = layer
    for part in parts:
        current = None if part.startswith("__") else getattr(current, part, None)
        if not hasattr(current, "_trainable_variables"):
            return None
    own = [*current._trainable_variables, *current._non_trainable_variables]
    return own[int(number)] if int(number) < len(own) else None


def _whole_models(
    model: Any,
    stored: Sequence[StoredWeight],
    shapes: dict[str, tuple[int, ...]],
    path: str,
    layer: Any,
    mine: Sequence[StoredWeight],
) -> list[Pair]:
    """Fill top-level layers in Keras' own order; the layer that did not fit is named if not."""
    pairs: list[Pair] = []
    groups: dict[str, list[StoredWeight]] = {}
    for weight in stored:
        groups.setdefault(_key(weight.layer.split("/")[0]), []).append(weight)
    for top in model.layers:
        variables = [*top.trainable_weights, *top.non_trainable_weights]
        found = groups.get(_key(top.name), [])
        if len(found) != len(variables) or any(
            tuple(v.shape) != shapes[w.path] for v, w in zip(variables, found, strict=True)
        ):
            raise WeightsDoNotFitError(_mismatch(path, layer, mine, shapes))
        own = _matched(top, found, shapes) if not hasattr(top, "layers") else None
        pairs.extend(own or zip(variables, found, strict=True))
    return pairs


def _mismatch(
    path: str, layer: Any, mine: Sequence[StoredWeight], shapes: dict[str, tuple[int, ...]]
) -> str:
    takes = ", ".join(f"{v.name} {list(v.shape)}" for v in layer.weights)
    has = ", ".join(f"{clean(w.name)} {list(shapes[w.path])}" for w in mine[:8]) or "none"
    return f"weights of {clean(path)} that do not fit: the layer takes {takes}; stored are {has}"
