"""How deep each layer lies: 0 at the input, 1 at the output, along the longest path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from segdoctor.core.model_facts import GraphFacts


def layer_depths(graph: GraphFacts) -> dict[str, float]:
    """Depth of every layer of a graph, by name.

    A layer is one deeper than the deepest layer it takes from; the deepest of all is 1. Layers of
    a nested model lie between what the model takes and what takes from it. Where no calls are
    known (a subclassed model) the order of the layers stands for the depth.
    """
    sources = layer_sources(graph)
    if not any(sources.values()):
        count = max(len(graph.layers) - 1, 1)
        return {layer.name: place / count for place, layer in enumerate(graph.layers)}
    steps: dict[str, int] = {}
    for name in sources:
        _settle(name, sources, steps)
    deepest = max(steps.values(), default=0) or 1
    return {name: step / deepest for name, step in steps.items()}


def on_path_to_outputs(graph: GraphFacts) -> frozenset[str] | None:
    """Layers that any output depends on; None where the graph's calls are not known."""
    paths = _paths(graph)
    return None if paths is None else frozenset().union(*paths)


def on_path_to_every_output(graph: GraphFacts) -> frozenset[str] | None:
    """Layers that all outputs depend on; None where the graph's calls are not known."""
    paths = _paths(graph)
    return None if paths is None else frozenset.intersection(*paths)


def _paths(graph: GraphFacts) -> list[frozenset[str]] | None:
    sources = layer_sources(graph)
    outputs = [name for name in graph.outputs if name in sources]
    if not outputs or not any(sources.values()):
        return None
    return [frozenset(_before(name, sources)) for name in outputs]


def _before(output: str, sources: Mapping[str, Iterable[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(sources[name])
    return reached


def layer_sources(graph: GraphFacts) -> dict[str, tuple[str, ...]]:
    """The layers each layer takes from, through the walls of nested models."""
    names = {layer.name for layer in graph.layers}
    inner: dict[str, list[str]] = {}
    for name in names:
        model = name.rpartition("/")[0]
        if model in names:
            inner.setdefault(model, []).append(name)
    direct = {
        layer.name: tuple(
            source for call in layer.calls for source in call.inputs if source in names
        )
        for layer in graph.layers
    }
    found = {}
    for name, given in direct.items():
        model = name.rpartition("/")[0]
        if not given and model in direct:
            given = direct[model]
        found[name] = (*given, *inner.get(name, ()))
    return found


def _settle(start: str, sources: Mapping[str, Iterable[str]], steps: dict[str, int]) -> None:
    """Longest path to ``start`` and all before it, without recursion; loops are cut."""
    open_names: set[str] = set()
    stack = [start]
    while stack:
        name = stack[-1]
        if name in steps:
            stack.pop()
            continue
        waiting = [s for s in sources[name] if s not in steps and s not in open_names and s != name]
        if waiting and name not in open_names:
            open_names.add(name)
            stack.extend(waiting)
            continue
        known = [steps[source] + 1 for source in sources[name] if source in steps]
        steps[name] = max(known, default=0)
        open_names.discard(name)
        stack.pop()
