"""Operations without a gradient, and sizes, read from the graph alone."""

from __future__ import annotations

from segdoctor.core.model_facts import GraphFacts, LayerFacts

_WITHOUT = frozenset(
    (
        *("argmax", "argmin", "round", "floor", "ceil", "rint", "sign", "onehot", "one_hot"),
        *("greater", "greaterequal", "less", "lessequal", "equal", "notequal", "greater_equal"),
        *("less_equal", "not_equal", "logicaland", "logicalor", "bincount", "searchsorted"),
    )
)
_INTEGER = ("int", "uint", "bool")


def no_gradient_layers(graph: GraphFacts) -> tuple[LayerFacts, ...]:
    """Operations on the single line of layers that leads to the output, nearest to it first."""
    return tuple(layer for layer in line_to_output(graph) if without_gradient(layer))


def without_gradient(layer: LayerFacts) -> bool:
    name = _operation(layer)
    if name in _WITHOUT:
        return True
    if name == "cast":
        kind = str(
            layer.config.get("dtype") or (layer.calls[0].kwargs.get("dtype") if layer.calls else "")
        )
        return kind.startswith(_INTEGER)
    return False


def _operation(layer: LayerFacts) -> str:
    """The function that a layer-less operation calls, in lower case; "" for a real layer."""
    if layer.class_name in ("TFOpLambda", "SlicingOpLambda"):
        return str(layer.config.get("function", "")).rpartition(".")[2].lower()
    if (layer.module or "").startswith(("keras.src.ops", "keras.ops")):
        return layer.class_name.lower()
    return ""


def line_to_output(graph: GraphFacts) -> tuple[LayerFacts, ...]:
    """The layers before the first output as long as each takes from one layer, the last first."""
    if not graph.outputs:
        return ()
    layers = {layer.name: layer for layer in graph.layers}
    found: list[LayerFacts] = []
    name: str | None = graph.outputs[0]
    while name is not None and name in layers and len(found) < len(layers):
        layer = layers[name]
        found.append(layer)
        sources = {source for call in layer.calls[:1] for source in call.inputs}
        name = sources.pop() if len(sources) == 1 else None
    return tuple(found)
