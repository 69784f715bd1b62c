"""Convolutions that follow each other with nothing between that bends: together they are one."""

from __future__ import annotations

from collections.abc import Mapping

from segdoctor.core.model_facts import GraphFacts, LayerFacts
from segdoctor.measures.graph_depth import layer_sources

_LINEAR = frozenset(
    (
        *("BatchNormalization", "BatchNormalizationV1", "Dropout", "SpatialDropout2D"),
        *("ZeroPadding2D", "Cropping2D", "Identity", "Rescaling", "GaussianNoise"),
    )
)


_PLAIN = frozenset(
    (
        *("InputLayer", "Conv2D", "Convolution2D", "AtrousConvolution2D", "SeparableConv2D"),
        *("DepthwiseConv2D", "Conv2DTranspose", "Deconvolution2D", "Activation", "Softmax"),
        *("MaxPooling2D", "AveragePooling2D", "UpSampling2D", "Resizing", "Concatenate", "Add"),
        *("Merge", "Reshape", "Permute", "Functional", "Model", "Sequential"),
    )
)
_FEWEST = 3


def unbent(graph: GraphFacts) -> int:
    """How many convolutions a net has that bends nowhere but in its pooling and at its end; 0
    where something does, or may (a layer that is not known)."""
    classes = {layer.class_name for layer in graph.layers}
    if not classes <= _PLAIN | _LINEAR:
        return 0
    sources = layer_sources(graph)
    convolutions = [layer.name for layer in graph.layers if "conv" in layer.class_name.lower()]
    behind_the_head = {convolutions[-1]} if convolutions else set()
    for layer in graph.layers:
        if set(sources.get(layer.name, ())) & behind_the_head:
            behind_the_head.add(layer.name)
    bent = any(
        layer.activation not in (None, "linear") and layer.name not in behind_the_head
        for layer in graph.layers
    )
    return 0 if bent or len(convolutions) < _FEWEST else len(convolutions)


def linear_pairs(graph: GraphFacts) -> tuple[tuple[tuple[str, str], ...], int]:
    """``(pairs, judged)``: pairs of full convolutions (3×3 and larger) with only linear layers
    between them, and how many pairs there are with or without something that bends.

    Depthwise, separable, transposed and 1×1 convolutions, which designs leave linear on purpose,
    are not counted, nor is the last convolution, the head.
    """
    sources = layer_sources(graph)
    layers = {layer.name: layer for layer in graph.layers}
    convolutions = [layer for layer in graph.layers if _full(layer)]
    head = convolutions[-1].name if convolutions else ""
    found, judged = [], 0
    for layer in convolutions:
        before, bent = _before(layer, layers, sources)
        if before is None or layer.name == head:
            continue
        judged += 1
        if not bent:
            found.append((before.name, layer.name))
    return tuple(found), judged


def _full(layer: LayerFacts) -> bool:
    if layer.class_name not in ("Conv2D", "Convolution2D"):
        return False
    size = layer.config.get("kernel_size")
    sides = size if isinstance(size, list | tuple) else [size]
    groups = layer.config.get("groups", 1)
    return groups in (1, None) and any(isinstance(side, int) and side > 1 for side in sides)


def _before(
    layer: LayerFacts, layers: Mapping[str, LayerFacts], sources: Mapping[str, tuple[str, ...]]
) -> tuple[LayerFacts | None, bool]:
    """The full convolution before ``layer`` along single inputs, and whether something bends."""
    name, bent = layer.name, False
    for _ in range(len(layers)):
        given = [source for source in dict.fromkeys(sources.get(name, ())) if source in layers]
        if len(given) != 1:
            return None, bent
        found = layers[given[0]]
        linear = found.activation in (None, "linear")
        if _full(found):
            return found, bent or not linear
        if found.class_name not in _LINEAR and found.class_name not in (
            *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
        ):
            return None, bent
        bent = bent or not linear
        name = found.name
    return None, bent
