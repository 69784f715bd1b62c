"""The last stretch before the output, read from a trace of the forward pass.

For what no layer graph shows: subclassed models, Lambda layers, layers of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdoctor.core.measured import HeadActivation
from segdoctor.measures.head_path import NORMALISING, HeadPath
from segdoctor.recorder.gradient_cut import layer_of

_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "ClipByValue": "clip",
}
_SAME = frozenset(("Identity", "IdentityN", "Cast", "CheckNumerics"))
_MOVES = frozenset(
    (
        *("Reshape", "Transpose", "Squeeze", "ExpandDims", "StridedSlice", "Slice", "Pad", "PadV2"),
        *("MirrorPad", "ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "DepthToSpace"),
        *("BroadcastTo", "Tile"),
    )
)
_CLOSED = frozenset(
    ("PyFunc", "EagerPyFunc", "PartitionedCall", "StatefulPartitionedCall", "If", "While")
)
_WEIGHS = ("Conv", "Depthwise", "MatMul", "BatchMatMul", "Einsum", "BiasAdd", "FusedBatchNorm")
_BY_HAND = frozenset(("Exp", "RealDiv", "Reciprocal", "Erf", "Erfc"))  # how probabilities are made


def traced_path(model: Any, x: Any) -> HeadPath:
    """Walk the operations of one traced forward pass back from the output.

    Parameters
    ----------
    x : the model's input for at least one example; only its shape counts.
    """
    import tensorflow as tf

    specs = tf.nest.map_structure(lambda a: tf.convert_to_tensor(a)[:1], x)
    try:
        traced = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
        outputs = traced.get_concrete_function(specs).graph.outputs
    except Exception:  # noqa: BLE001 - the boundary: a model that only runs eagerly has no trace
        return HeadPath()
    if len(outputs) != 1:
        return HeadPath()
    activations: list[HeadActivation] = []
    behind: list[str] = []
    normalised = False
    last = None
    for op in _backwards(outputs[0]):
        last = op
        name = _activation(op)
        if name is not None:
            size = op.outputs[0].shape[-1] if op.outputs[0].shape.rank else None
            where = layer_of(op.name, model) or op.name
            activations.insert(0, HeadActivation(where, name, -1, size))
            normalised = normalised or name in NORMALISING
        if not normalised and op.type not in _SAME:
            behind.insert(0, layer_of(op.name, model) or op.type)
    known = last is not None and _all_scores(last)
    told = tuple(dict.fromkeys(behind)) if normalised else ()
    return HeadPath(tuple(activations), told, complete=known)


def _all_scores(end: Any) -> bool:
    """Whether ``end`` and what it is computed of are scores back to what multiplies by weights:
    no probabilities, by name or by hand, and nothing that hides what it does."""
    queue, seen = [end], set()
    while queue:
        op = queue.pop()
        if op.name in seen or op.type.startswith(_WEIGHS):
            continue
        seen.add(op.name)
        if op.type in _CLOSED or op.type in _BY_HAND or _ACTIVATIONS.get(op.type) in NORMALISING:
            return False
        queue += [tensor.op for tensor in op.inputs]
    return True


def _backwards(tensor: Any) -> Iterator[Any]:
    """The operations before ``tensor`` as long as each hands on one tensor, and the one that
    ends the walk."""
    while True:
        op = tensor.op
        yield op
        if op.type == "IdentityN":
            tensor = op.inputs[tensor.value_index]
        elif op.type in _SAME or op.type in _MOVES or op.type in _ACTIVATIONS or _clips(op):
            tensor = op.inputs[0] if op.inputs[0].op.type != "Const" else op.inputs[1]
        else:
            return


def _activation(op: Any) -> str | None:
    return "clip" if _clips(op) else _ACTIVATIONS.get(op.type)


def _clips(op: Any) -> bool:
    """A minimum or maximum against a constant."""
    return op.type in ("Minimum", "Maximum") and any(t.op.type == "Const" for t in op.inputs)
