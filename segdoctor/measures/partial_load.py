"""Kernels as drawn in the midst of loaded ones: what a partial load leaves behind.

A new head takes from loaded layers, and nothing loaded takes from it; a new stem takes from none.
What a load skipped lies between loaded layers, or is named as they are: before them, or beside
them in one nested model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segdoctor.core.model_facts import GraphFacts, LayerFacts, WeightFacts
from segdoctor.measures.graph_depth import layer_sources
from segdoctor.measures.initial_distribution import constant_of, knows_initializer, looks_initial

# What a training step moves, and what an initializer sets it to.
_CONSTANTS = {
    "bias": ("bias_initializer", 0.0),
    "beta": ("beta_initializer", 0.0),
    "gamma": ("gamma_initializer", 1.0),
    "moving_mean": ("moving_mean_initializer", 0.0),
    "moving_variance": ("moving_variance_initializer", 1.0),
}

# Names that Keras gives: the class's, and a number.
_AUTOMATIC = re.compile(r"(depthwise_|separable_)?(conv|dense)(\d?d)?(_transpose)?(_\d+)?")

_ENLARGING = ("UpSampling2D", "Conv2DTranspose", "Resizing")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``layers`` : kernels that a load left as drawn, in the graph's order. ``loaded`` : how many
    kernels are not as drawn. ``inserted`` : the layers may as well have been put in on purpose
    (an attention block: no loaded layer is named alike, as many channels leave as come).
    """

    layers: tuple[WeightFacts, ...]
    loaded: int
    inserted: bool


def left_out(graph: GraphFacts, weights: Iterable[WeightFacts]) -> LeftOut | None:
    """What a load skipped of a net that trains; None where that cannot be told, since the calls of
    a net that has both loaded and drawn kernels are not known."""
    held: dict[str, list[WeightFacts]] = {}
    for weight in weights:
        held.setdefault(weight.layer, []).append(weight)
    sources = layer_sources(graph)
    followers: dict[str, list[str]] = {}
    for name, given in sources.items():
        for source in given:
            followers.setdefault(source, []).append(name)
    fresh: dict[str, WeightFacts] = {}
    loaded: dict[str, WeightFacts] = {}
    layers = {layer.name: layer for layer in graph.layers if layer.name in held}
    for name, layer in layers.items():
        kernels = [w for w in held[name] if w.name.endswith("kernel")]
        drawn = {looks_initial(kernel, layer) for kernel in kernels} - {None}
        if len(drawn) > 1:
            continue
        norm = _norm_behind(name, sources, followers, held)
        moved = _moved(layer, held[name]) | (_moved(layers[norm], held[norm]) if norm else set())
        if drawn == {True} and moved == {False} and layer.trainable is not False:
            fresh[name] = next(kernel for kernel in kernels if looks_initial(kernel, layer))
        elif True in drawn or not kernels:
            continue
        elif True in moved or (drawn and not moved and knows_initializer(layer)):
            loaded[name] = kernels[0]
    if not fresh or not loaded:
        return LeftOut((), len(loaded), False)
    classes = {layer.name: layer.class_name for layer in graph.layers}
    before = _reached(loaded, sources)  # what loaded layers take from
    between = before & _reached(loaded, followers)
    stem = {name for name in fresh if not _reached([name], sources) & set(held)}
    alike = {name for name in fresh if _named_alike(name, loaded)}
    inside = {
        name for name in alike if _beside(name, loaded) and not _decodes(name, sources, classes)
    }
    skipped = {
        name: kernel
        for name, kernel in fresh.items()
        if name in between or name in inside or (name in (before & alike) and name not in stem)
    }
    if not skipped and not any(call.inputs for layer in graph.layers for call in layer.calls):
        return None
    inserted = not alike & set(skipped) and _keep_channels(skipped, sources)
    return LeftOut(tuple(skipped.values()), len(loaded), inserted)


def _named_alike(name: str, loaded: Iterable[str]) -> bool:
    """Whether a loaded layer has the same name but for numbers, and not one that Keras gave."""
    last = name.rpartition("/")[2]
    return _AUTOMATIC.fullmatch(last) is None and any(_stem(name) == _stem(o) for o in loaded)


def _beside(name: str, loaded: Iterable[str]) -> bool:
    """Whether a layer of a nested model has loaded ones beside it."""
    outer = name.rpartition("/")[0]
    return bool(outer) and any(other.rpartition("/")[0] == outer for other in loaded)


def _decodes(name: str, sources: Mapping[str, tuple[str, ...]], classes: Mapping[str, str]) -> bool:
    """Whether a layer lies behind an upsampling: a decoder is new on a loaded encoder."""
    return any(classes[before] in _ENLARGING for before in {name} | _reached([name], sources))


def _moved(layer: LayerFacts, weights: Iterable[WeightFacts]) -> set[bool]:
    """Of each constant of a layer that trains: is it no longer what its initializer set?"""
    found = set()
    for weight in weights:
        key, default = _CONSTANTS.get(weight.name, ("", 0.0))
        at_first = constant_of(layer.config.get(key), default) if key else None
        if at_first is None:
            continue
        moved = not weight.minimum == weight.maximum == at_first
        if moved or layer.trainable is not False:
            found.add(moved)
    return {True} if True in found else found


def _norm_behind(
    name: str,
    sources: Mapping[str, tuple[str, ...]],
    followers: Mapping[str, list[str]],
    held: Mapping[str, list[WeightFacts]],
) -> str:
    """The normalisation that alone takes from a layer, activations and padding between; "" if
    there is none."""
    for _ in range(4):
        outer = name.rpartition("/")[0]  # a model takes from all its layers
        behind = [other for other in followers.get(name, []) if other != outer]
        if len(behind) != 1 or len(sources[behind[0]]) != 1:
            return ""
        name = behind[0]
        if name in held:
            return name if any(w.name in ("gamma", "beta") for w in held[name]) else ""
    return ""


def _reached(starts: Iterable[str], steps: Mapping[str, Iterable[str]]) -> set[str]:
    """What lies beyond ``starts``, themselves left out unless another leads to them."""
    reached: set[str] = set()
    waiting = [name for start in starts for name in steps.get(start, ())]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(steps.get(name, ()))
    return reached


def _keep_channels(
    skipped: Mapping[str, WeightFacts], sources: Mapping[str, tuple[str, ...]]
) -> bool:
    """Whether the first of the skipped layers take as many channels as the last of them give."""
    behind = {name: _reached([name], sources) & (set(skipped) - {name}) for name in skipped}
    inner: set[str] = set().union(*behind.values()) if behind else set()
    taken = {w.shape[-2] for name, w in skipped.items() if not behind[name] and len(w.shape) > 1}
    return taken == {w.shape[-1] for name, w in skipped.items() if name not in inner}


def _stem(name: str) -> str:
    return re.sub(r"\d+", "#", name)
