"""What a loss becomes inside a graph, where ``fit`` runs it: does it trace, does it drop axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.measures.loss_sheet import Sheet

_PICKING = {"GatherNd": "tf.gather_nd", "GatherV2": "tf.boolean_mask", "DynamicPartition": ""}


def graph_facts(
    value: Callable[[Any, Any, Any], Any], sheet: Sheet, form: str, *, any_batch: bool = True
) -> dict[str, str]:
    """Trace ``value(y_true, y_pred, sample_weight)`` once, for arrays like those of ``sheet``.

    Returns
    -------
    dict
        ``"raises_in_graph"`` where it cannot be traced as ``fit`` traces it (Python's ``if`` over
        tensors, ``.numpy()``); ``"drops_axes_by"``: the function that picks entries by a condition
        and leaves one long list, as ``tf.gather_nd`` does with one index per entry. It is told
        also of a loss that fails behind it. ``"raises_at_any_batch"`` where it can be traced for
        batches of this size alone: ``fit`` mostly leaves the size open.
    """
    import tensorflow as tf

    specs = [
        tf.TensorSpec(array.shape, array.dtype)
        for array in (np.asarray(sheet.labels(form)), sheet.soft())
    ]
    before: dict[str, str] = {}
    entries = int(sheet.soft().size)

    def asked(y_true: Any, y_pred: Any) -> Any:
        try:
            return value(y_true, y_pred, None)
        except Exception:
            before.update(_picked_by(tf.compat.v1.get_default_graph(), entries))
            raise

    try:
        graph = tf.function(asked, autograph=False).get_concrete_function(*specs).graph
    except Exception as error:  # noqa: BLE001 - a stranger's loss may raise anything
        return {"raises_in_graph": error_line(error, 300), **before}
    found = _picked_by(graph, entries)
    if not any_batch:
        return found
    open_specs = [tf.TensorSpec((None, *spec.shape[1:]), spec.dtype) for spec in specs]
    try:
        tf.function(value, autograph=False).get_concrete_function(*open_specs, None)
    except Exception as error:  # noqa: BLE001 - the same
        found["raises_at_any_batch"] = error_line(error, 300)
    return found


def _picked_by(graph: Any, entries: int) -> dict[str, str]:
    """``entries``: of the prediction; what is picked of a map of pixels has lost no class axis."""
    for operation in _operations(graph):
        if operation.type not in _PICKING or not operation.outputs:
            continue
        if operation.inputs[0].shape.num_elements() not in (None, entries):
            continue
        output = operation.outputs[0]
        if output.dtype.is_floating and output.shape.rank == 1 and output.shape[0] is None:
            return {"drops_axes_by": _PICKING[operation.type] or "tf.dynamic_partition"}
    return {}


def _operations(graph: Any) -> Iterator[Any]:
    """The operations of a graph and of the functions it calls."""
    yield from graph.get_operations()
    for name in list(getattr(graph, "_functions", {}) or {}):
        inner = getattr(graph._functions[name], "graph", None)
        if inner is not None and inner is not graph:
            yield from inner.get_operations()
