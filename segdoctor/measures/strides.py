"""Strides and atrous rates along a graph: which branches are parallel, and what they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segdoctor.core.model_facts import GraphFacts, LayerFacts


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Parallel atrous convolutions on one map: ``rates`` in order, ``stride`` of the map against
    the input and its ``side`` in pixels (None: free size)."""

    source: str
    layers: tuple[str, ...]
    rates: tuple[int, ...]
    stride: float | None
    side: int | None


def pyramids(graph: GraphFacts) -> tuple[Pyramid, ...]:
    """Groups of two or more atrous convolutions (3×3) of different rates on the same map."""
    layers = {layer.name: layer for layer in graph.layers}
    groups: dict[str, list[tuple[int, LayerFacts]]] = {}
    for layer in graph.layers:
        rate = _rate(layer)
        source = _source(layer, layers)
        if rate > 1 and source is not None:
            groups.setdefault(source.name, []).append((rate, layer))
    full = next((shape[1] for shape in graph.input_shapes if len(shape) == 4), None)
    found = []
    for name, members in groups.items():
        rates = tuple(sorted({rate for rate, _ in members}))
        if len(rates) < 2:
            continue
        side = _side(layers[name])
        stride = full / side if full and side else None
        found.append(Pyramid(name, tuple(layer.name for _, layer in members), rates, stride, side))
    return tuple(found)


def _rate(layer: LayerFacts) -> int:
    if "Conv" not in layer.class_name:
        return 1
    value = layer.config.get("dilation_rate", 1)
    size = layer.config.get("kernel_size", 1)
    value = value[0] if isinstance(value, list | tuple) and value else value
    size = size[0] if isinstance(size, list | tuple) and size else size
    return int(value) if isinstance(value, int) and isinstance(size, int) and size > 1 else 1


def _source(layer: LayerFacts, layers: Mapping[str, LayerFacts]) -> LayerFacts | None:
    """The map that a convolution looks at, through padding and activations of its own."""
    current: LayerFacts | None = layer
    for _ in range(8):
        assert current is not None
        inputs = current.calls[0].inputs if current.calls else ()
        current = layers.get(inputs[0]) if len(inputs) == 1 else None
        if current is None:
            return None
        if current.class_name != "ZeroPadding2D":
            return current
    return current


def _side(layer: LayerFacts) -> int | None:
    shape = layer.output_shape
    if shape is None or len(shape) != 4 or shape[1] is None:
        return None
    return shape[1] if shape[1] != 0 else None
