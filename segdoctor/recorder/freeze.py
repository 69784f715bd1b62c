"""What trains, read back from a live model."""

from __future__ import annotations

from typing import Any

from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.training_facts import FreezeFacts
from segdoctor.measures.freeze_blocks import blocks_of


def freeze_facts(
    model: Any, graph: GraphFacts, asked: str = "", asked_layers: int | None = None
) -> FreezeFacts:
    """Blocks, head and switch of ``model``; ``asked`` and ``asked_layers`` as the user said."""
    layers = list(getattr(model, "layers", []))
    weighted = [place for place, layer in enumerate(layers) if layer.weights]
    place = weighted[-1] if weighted else 0
    head = layers[place] if weighted else model
    return FreezeFacts(
        blocks=blocks_of(graph),
        layers=len(layers),
        head=str(head.name),
        head_place=place,
        head_trains=bool(head.trainable_weights),
        asked=asked,
        asked_layers=asked_layers,
        switch=bool(model.trainable),
    )
