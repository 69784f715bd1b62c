"""What trains, as a list of blocks: neighbouring layers of one module with the same flag."""

from __future__ import annotations

import re
from collections.abc import Sequence

from segdoctor.core.model_facts import GraphFacts, LayerFacts
from segdoctor.core.training_facts import Block
from segdoctor.measures.batch_norm_facts import BATCH_NORM_CLASSES

_LONGEST = 40
_PARTS = frozenset(
    ("conv", "bn", "depthwise", "pointwise", "project", "expand", "dense", "norm", "kernel")
)


def blocks_of(graph: GraphFacts) -> tuple[Block, ...]:
    """The graph's layers with weights as blocks, in the graph's order.

    Layers whose names begin alike (``expanded_conv_3_…``) are one module; a module that is cut by
    the freeze gives two blocks. Neighbouring modules of one flag are drawn together where there
    would be more than forty.
    """
    leaves = graph.weighted_leaves()
    rows: list[tuple[str, bool, list[LayerFacts]]] = []
    for layer in leaves:
        name, trains = module_of(layer.name), layer.trainable is not False
        if rows and rows[-1][0] == name and rows[-1][1] == trains:
            rows[-1][2].append(layer)
        else:
            rows.append((name, trains, [layer]))
    if len(rows) > _LONGEST:
        rows = _together(rows)
    return tuple(_block(name, trains, members) for name, trains, members in rows)


def module_of(name: str) -> str:
    """The module that a layer's name speaks of: the model around it, else the beginning of the
    name up to its first number."""
    outer, _, own = name.rpartition("/")
    if outer:
        return outer.partition("/")[0]
    parts = own.split("_")
    numbered = next((place for place, part in enumerate(parts) if re.search(r"\d", part)), None)
    if numbered is not None:
        return "_".join(parts[: numbered + 1])
    while len(parts) > 1 and parts[-1].lower() in _PARTS:
        parts.pop()
    return "_".join(parts)


def in_words(blocks: Sequence[Block], trains: bool) -> str:
    """``decoder (2 layers), head`` …: at most six names of one side."""
    names = list(dict.fromkeys(block.name for block in blocks if block.trains is trains))
    shown = names if len(names) <= 6 else [*names[:3], "…", *names[-2:]]
    return ", ".join(shown) if shown else "nothing"


def _together(
    rows: Sequence[tuple[str, bool, list[LayerFacts]]],
) -> list[tuple[str, bool, list[LayerFacts]]]:
    merged: list[tuple[str, bool, list[LayerFacts]]] = []
    for name, trains, members in rows:
        if merged and merged[-1][1] == trains:
            first = merged[-1][0].partition(" … ")[0]
            merged[-1] = (f"{first} … {name}", trains, [*merged[-1][2], *members])
        else:
            merged.append((name, trains, list(members)))
    return merged


def _block(name: str, trains: bool, members: Sequence[LayerFacts]) -> Block:
    return Block(
        name=name,
        trains=trains,
        layers=len(members),
        parameters=sum(layer.parameters or 0 for layer in members),
        norms=sum(layer.class_name.rpartition(">")[2] in BATCH_NORM_CLASSES for layer in members),
    )
