"""How much an eager tape would hold of a batch: what decides whether the first pass is traced."""

from __future__ import annotations

import math
from typing import Any

from segdoctor.core.model_facts import GraphFacts

_MUCH = 1 << 26  # elements: 256 MB in single precision


def holds_much(graph: GraphFacts, x: Any) -> bool:
    """Whether the outputs of all layers of known size come to more than 256 MB on the batch.

    An eager tape keeps them all, and what each operation makes on the way; a trace is pruned and
    writes in place. Below that the trace costs more time than it is worth.
    """
    import tensorflow as tf

    examples = int(tf.nest.flatten(x)[0].shape[0])
    elements = 0
    for layer in graph.layers:
        sizes = (layer.output_shape or ())[1:]
        if sizes and None not in sizes:
            elements += math.prod(int(size or 0) for size in sizes)
    return examples * elements > _MUCH
