"""Batch-normalisation layers of a graph: what feeds them, what is wired, what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from segdoctor.core.model_facts import BatchNormFacts, GraphFacts, LayerFacts, WeightFacts
from segdoctor.measures.graph_nodes import refs_in
from segdoctor.measures.words import words

BATCH_NORM_CLASSES = words(
    "BatchNormalization BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization"
)

# One input, no weights, channels kept: what stands between a convolution and its normalisation.
_PASS_THROUGH = words(
    "Activation AveragePooling2D Cropping2D Dropout ELU GaussianNoise Identity InputLayer "
    "LeakyReLU MaxPooling2D ReLU Rescaling Resizing SpatialDropout2D UpSampling2D "
    "ZeroPadding2D BilinearUpsampling"
)


def batch_norms_from(
    graph: GraphFacts, weights: Iterable[WeightFacts] = ()
) -> tuple[BatchNormFacts, ...]:
    """Every batch-normalisation layer of ``graph``, in its order.

    ``feeds_from`` is the layer whose output is normalised; padding, dropout, activations and
    the like are looked through to the convolution behind them. A mode wired into the call of an
    enclosing model holds for the layers in it that have none of their own.
    """
    stored: dict[str, dict[str, WeightFacts]] = {}
    for weight in weights:
        stored.setdefault(weight.layer, {})[weight.name] = weight
    layers = {layer.name: layer for layer in graph.layers}
    heads = _heads(graph.layers)
    found = []
    for layer in graph.layers:
        if layer.class_name.rpartition(">")[2] not in BATCH_NORM_CLASSES:
            continue
        arrays = stored.get(layer.name, {})
        source = _feeding(layer, layers, heads)
        found.append(
            BatchNormFacts(
                layer=layer.name,
                class_name=layer.class_name,
                trainable=layer.trainable is not False,
                wired_training=wired_training(layer, layers),
                momentum=_number(layer.config, "momentum", 0.99),
                epsilon=_number(layer.config, "epsilon", 1e-3),
                channels=_channels(layer, arrays),
                feeds_from=source.name if source else None,
                feeding_trainable=source.trainable if source else None,
                gamma=arrays.get("gamma"),
                beta=arrays.get("beta"),
                moving_mean=arrays.get("moving_mean"),
                moving_variance=arrays.get("moving_variance"),
            )
        )
    return tuple(found)


def wired_training(layer: LayerFacts, layers: Mapping[str, LayerFacts]) -> bool | None:
    """The mode wired into a call of ``layer``, else of the innermost model around it."""
    current: LayerFacts | None = layer
    while current is not None:
        for call in current.calls:
            mode = call.kwargs.get("training")
            if isinstance(mode, bool | int):
                return bool(mode)
        current = layers.get(current.name.rpartition("/")[0])
    return None


def _heads(layers: Iterable[LayerFacts]) -> dict[str, list[str]]:
    """For each nested model the layers that give its outputs; "/inputs" those that take in."""
    heads: dict[str, list[str]] = {}
    for layer in layers:
        model, _, _ = layer.name.rpartition("/")
        if not model:
            continue
        heads[model] = [layer.name]  # Sequential: the last one stands
        if layer.class_name == "InputLayer":
            heads.setdefault(f"{model}/inputs", []).append(layer.name)
    for layer in layers:
        named = refs_in(layer.config.get("output_layers"))
        if layer.name in heads and named:
            heads[layer.name] = [f"{layer.name}/{ref.layer}" for ref in named]
    return heads


def _feeding(
    layer: LayerFacts, layers: Mapping[str, LayerFacts], heads: Mapping[str, list[str]]
) -> LayerFacts | None:
    direct: LayerFacts | None = None
    current = layer
    for _ in range(len(layers)):
        source = _source(current, layers, heads)
        if source is None:
            return direct
        direct = direct or source
        if source.class_name not in _PASS_THROUGH:
            return source
        current = source
    return direct


def _source(
    layer: LayerFacts, layers: Mapping[str, LayerFacts], heads: Mapping[str, list[str]]
) -> LayerFacts | None:
    """The one layer before ``layer``, out of and into nested models; None at the input."""
    name = layer.calls[0].inputs[0] if layer.calls and layer.calls[0].inputs else None
    position = 0
    while name is None:
        model = layer.name.rpartition("/")[0]
        outer = layers.get(model)
        if outer is None:
            return None
        entrances = heads.get(f"{model}/inputs", [])
        position = entrances.index(layer.name) if layer.name in entrances else 0
        taken = outer.calls[0].inputs if outer.calls else ()
        name = taken[position] if position < len(taken) else None
        layer = outer
    while name in heads:
        inner = heads[name][0]
        if inner not in layers:
            break
        name = inner
    return layers.get(name)


def _channels(layer: LayerFacts, arrays: Mapping[str, WeightFacts]) -> int | None:
    for weight in arrays.values():
        return weight.count
    if not layer.output_shape:
        return None
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    rank = len(layer.output_shape)
    return layer.output_shape[axis] if isinstance(axis, int) and -rank <= axis < rank else None


def _number(config: Mapping[str, object], key: str, default: float) -> float:
    value = config.get(key, default)
    return float(value) if isinstance(value, int | float) else default
