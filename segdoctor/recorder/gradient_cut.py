"""Which operation cuts the gradient; looked for only where a weight has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from segdoctor.core.error_line import error_line
from segdoctor.core.network_facts import CutOperation
from segdoctor.core.trace import Missing

# Sizes and constants made of a tensor: not what its values lead to.
_ASIDE = frozenset(
    ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "BroadcastGradientArgs")
)
_NAMED_BY_THEMSELVES = frozenset(("StopGradient", "PreventGradient", "PyFunc", "EagerPyFunc"))
# Flat everywhere; the gradient that TensorFlow registers for them is None.
_FLAT = frozenset(("Round", "Rint", "Floor", "Ceil", "FloorDiv"))
_MOST = 5


def cutting_operations(model: Any, x: Any, variables: Iterable[Any]) -> object:
    """The operations between ``variables`` and the output through which no gradient goes.

    The forward pass is traced on one example, and walked back from the output: an operation
    without a gradient, or one that makes integers, ends the walk. Those that have one of the
    variables behind them are given, nearest to the output first.

    Parameters
    ----------
    variables : ``tf.Variable`` objects whose gradient is None.
    """
    import tensorflow as tf

    specs = tf.nest.map_structure(lambda a: tf.convert_to_tensor(a)[:1], x)

    def forward(inputs: Any) -> Any:
        return model(inputs, training=True)

    try:
        traced = tf.function(forward, autograph=False).get_concrete_function(specs)
    except Exception as error:  # noqa: BLE001 - the boundary: layers of the user's own
        return Missing(f"the forward pass cannot be traced: {error_line(error)}")
    graph = traced.graph
    wanted = {
        inner.name
        for variable in variables
        for outer, inner in graph.captures
        if outer is variable.handle
    }
    roots = [(op, _root(op)) for op in _ends(graph.outputs)]
    # The cut is where a gradient would have come to the weight. What else has the weight behind
    # it lies behind the cut: the constants that a batch normalisation takes out of the path.
    found = [root for _, root in roots if wanted & _behind(root, _differentiable)]
    if not found:
        found = [root for op, root in roots if wanted & (_behind(root) | _behind(op))]
    told = [CutOperation(op.type, layer_of(op.name, model), op.name) for op in found]
    if not found:
        reached = {name for tensor in graph.outputs for name in _behind(tensor.op)}
        told = [_unused(op, model) for op in graph.get_operations() if _reads(op, wanted - reached)]
    return tuple(dict.fromkeys(told))[:_MOST]


def _reads(op: Any, names: set[str]) -> bool:
    return op.type == "ReadVariableOp" and op.inputs[0].name in names


def _unused(op: Any, model: Any) -> CutOperation:
    layer = layer_of(op.name, model)
    return CutOperation("", layer, layer or op.name)


def _ends(outputs: Any) -> list[Any]:
    """Operations at which the walk back from the outputs ends for want of a gradient."""
    ends, seen = [], set()
    waiting = [tensor.op for tensor in outputs]
    while waiting:
        op = waiting.pop(0)
        if op.name in seen:
            continue
        seen.add(op.name)
        if not _differentiable(op):
            if op.type not in _ASIDE and op.inputs:
                ends.append(op)
            continue
        waiting.extend(tensor.op for tensor in op.inputs)
    return ends


def _differentiable(op: Any) -> bool:
    from tensorflow.python.framework import ops

    if op.type in ("Placeholder", "ReadVariableOp"):
        return True
    if op.type in _NAMED_BY_THEMSELVES or op.type in _FLAT:
        return False
    if op.outputs and not any(tensor.dtype.is_floating for tensor in op.outputs):
        return False
    try:
        return ops.get_gradient_function(op) is not None
    except LookupError:
        return False


def _root(op: Any) -> Any:
    """Back through integers to the operation that made them of real numbers."""
    for _ in range(64):
        made = [t for t in op.inputs if t.op.type not in ("Const", "Placeholder", *_ASIDE)]
        if any(tensor.dtype.is_floating for tensor in made):
            return op
        below = [tensor.op for tensor in made]
        if not below:
            return op
        op = below[0]
    return op


def _behind(op: Any, through: Callable[[Any], bool] = lambda op: True) -> set[str]:
    """Names of all tensors from which ``op`` takes, however far, ``through`` these operations."""
    names: set[str] = set()
    seen: set[str] = set()
    waiting = [op]
    while waiting:
        here = waiting.pop()
        if here.name in seen:
            continue
        seen.add(here.name)
        for tensor in here.inputs:
            names.add(tensor.name)
            if through(tensor.op):
                waiting.append(tensor.op)
    return names


def layer_of(name: str, model: Any) -> str:
    """The layer that an operation's name scope speaks of: the last part that is a layer's name."""
    from segdoctor.recorder.layers import walk

    paths = {layer.name: path for path, layer in walk(model)}
    for part in reversed(name.split("/")[:-1]):
        for candidate in (part, part.rsplit("_", 1)[0]):
            if candidate in paths:
                return paths[candidate]
    return ""
