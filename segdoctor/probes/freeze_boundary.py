"""BN009: the border between frozen and trainable layers runs through a block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import BatchNormFacts, GraphFacts, LayerFacts
from segdoctor.core.probe import Probe


@dataclass(frozen=True)
class FreezeSplitsBlock(Probe):
    code = "BN009"
    how = (
        "Each BN is compared with the convolution it normalises; and where all layers up to one "
        "are frozen and those behind it train, the names on both sides of that border are "
        "compared: a shared numbered prefix (exit_flow_block2_separable_conv3_…) is one module."
    )
    why = (
        "A trainable BN on a frozen convolution uses batch statistics inside the part that was "
        "meant to stay; a cut module trains in halves. layers[:356] closes the Xception backbone "
        "at output stride 8, and at 16 leaves its last convolution and BN out: 6.3 M parameters "
        "train instead of 3.2 M."
    )
    fix = "Freeze by name, whole modules with their BN, and print what trains."
    fine = (
        "All BN frozen on convolutions that train is a sound way of fine-tuning, and so is a "
        "border between two numbered blocks."
    )
    sources = "bonlime/keras-deeplab-v3-plus#5; qubvel/segmentation_models#157; measured"

    fewest: int = field(default=1, metadata={"doc": "BN layers separated from their convolution"})

    def examine(
        self, graph: GraphFacts, batch_norms: tuple[BatchNormFacts, ...]
    ) -> Iterator[Finding]:
        if not batch_norms:
            return
        layers = {layer.name: layer for layer in graph.layers}
        alone = [fact for fact in batch_norms if _trains_alone(fact, layers)]
        left = [fact for fact in batch_norms if fact.feeding_trainable and not fact.trainable]
        trains = sum(fact.trainable for fact in batch_norms)
        if len(alone) >= self.fewest:
            yield self._separated(
                alone, "trainable while the convolution it normalises is frozen", trains
            )
        elif 0 < len(left) <= 2 and trains:
            # A few only, with others trainable: a border, not a choice to freeze all BN.
            yield self._separated(
                left, "frozen while the convolution it normalises is trainable", trains
            )
        else:
            yield from self._cut_module(graph, batch_norms)

    def _separated(self, facts: Sequence[BatchNormFacts], state: str, trains: int) -> Finding:
        first = facts[0]
        many = f"{len(facts)} batch normalisations are" if len(facts) > 1 else f"{first.layer} is"
        return self.finding(
            f"The freeze separates batch normalisation from convolution: {many} {state}.",
            (
                Evidence("BN separated from its convolution", len(facts), 0, "layers", first.layer),
                Evidence("its convolution", first.feeds_from),
                Evidence("trainable BN in all", trains, None, "layers"),
            ),
            _fix(),
        )

    def _cut_module(
        self, graph: GraphFacts, batch_norms: Sequence[BatchNormFacts]
    ) -> Iterator[Finding]:
        border = freeze_border(graph)
        if border is None:
            return
        last, first = border
        module = shared_module(last.name, first.name)
        norms = {fact.layer for fact in batch_norms}
        within = [name for name in norms if module and name.startswith(module)]
        if not module or not any(_trains(name, graph) for name in within):
            return
        yield self.finding(
            f"The freeze ends inside a module: {last.name} is frozen and {first.name} trains, "
            f"both parts of {module.rstrip('_/.')}.",
            (
                Evidence("last frozen layer with weights", last.name),
                Evidence("first trainable layer with weights", first.name),
                Evidence("BN of the module that train", sum(_trains(n, graph) for n in within), 0),
            ),
            _fix(),
        )


def _fix() -> Fix:
    return Fix(
        "Freeze by name, so that a convolution and its BN stay together and a module stays whole.",
        'backbone = ("entry_flow", "middle_flow", "exit_flow")\n'
        "for layer in model.layers:\n"
        "    layer.trainable = not layer.name.startswith(backbone)\n"
        "print([layer.name for layer in model.layers if layer.trainable and layer.weights])",
        {"freeze": "module"},
    )


def _trains_alone(fact: BatchNormFacts, layers: Mapping[str, LayerFacts]) -> bool:
    """A BN that trains on a frozen convolution that was made for it (no bias, or its name)."""
    source = layers.get(fact.feeds_from or "")
    if not fact.trainable or source is None or source.trainable is not False:
        return False
    if "Conv" not in source.class_name and source.class_name != "Dense":
        return False
    named = re.search(rf"(?:^|[_/.]){re.escape(source.name)}(?:$|[_/.])", fact.layer) is not None
    return (
        source.config.get("use_bias") is False
        or named  # conv1 and conv1_bn, bn_conv1
        or bool(shared_module(source.name, fact.layer))
    )


def _trains(name: str, graph: GraphFacts) -> bool:
    layer = graph.layer(name)
    return layer is not None and layer.trainable is not False


def freeze_border(graph: GraphFacts) -> tuple[LayerFacts, LayerFacts] | None:
    """``(last frozen, first trainable)`` layer with weights, if one border divides the graph."""
    weighted = graph.weighted_leaves()
    flags = [layer.trainable is not False for layer in weighted]
    if all(flags) or not any(flags):
        return None
    border = flags.index(True)
    if border == 0 or not all(flags[border:]):
        return None
    return weighted[border - 1], weighted[border]


def shared_module(one: str, other: str) -> str:
    """The numbered name prefix that two layers share, "" if they are of different modules.

    ``block_13_expand_BN`` and ``block_13_depthwise`` share ``block_13_``;
    ``exit_flow_block2_separable_conv2_…`` and ``…_conv3_…`` are two numbered parts, as are
    ``conv2d_4`` and ``conv2d_5``.
    """
    a, b = (re.findall(r"[^_/.]+[_/.]?", name) for name in (one, other))
    shared = 0
    while shared < min(len(a), len(b)) and a[shared] == b[shared]:
        shared += 1
    # Numbers count where they stand at the end of a part, or alone: block2, conv3, 13.
    if not any(re.search(r"\d[_/.]?$", part) for part in a[:shared]):
        return ""
    if shared < len(a) and shared < len(b) and _siblings(a[shared], b[shared]):
        return ""
    return "".join(a[:shared])


def _siblings(one: str, other: str) -> bool:
    """``conv2`` and ``conv3``, ``4`` and ``5``: the same part but for its number."""
    a, b = (re.fullmatch(r"(.*?)(\d+)([a-z]?)[_/.]?", part) for part in (one, other))
    return bool(a and b and a.group(1) == b.group(1))
