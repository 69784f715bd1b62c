"""Rectifiers that a net calls as functions: in nodes of a functional graph and in a ``call``, or
found as operations of a trace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from segdoctor.recorder.called_functions import caller, owners_of, replaced_functions

_FUNCTIONS = ("relu", "relu6")

Noting = Callable[[str, str, Any], None]


def rectifying_functions(
    model: Any, looked_at: Collection[Any]
) -> Callable[[Noting], AbstractContextManager[None]]:
    """A context in which ``note(path, name, y)`` is told of each rectifier that is called as a
    function, by the model, one of its layers (``path: relu``) or an operation of its graph.

    Parameters
    ----------
    looked_at : layers whose rectifiers are known already.
    """
    owners, silent = owners_of(model), {id(layer) for layer in looked_at}

    def watching(note: Noting) -> AbstractContextManager[None]:
        import tensorflow as tf

        graph = tf.compat.v1.get_default_graph() if not tf.executing_eagerly() else None

        def make(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
            def instead(*args: Any, **kwargs: Any) -> Any:
                y = original(*args, **kwargs)
                owner = caller(owners)
                # What a branch or a loop of a trace makes cannot be had outside it.
                if owner and owner not in silent and getattr(y, "graph", None) is graph:
                    note(owners[owner].format(name), name, y)
                return y

            return instead

        return replaced_functions({f"nn.{name}": partial(make, name) for name in _FUNCTIONS})

    return watching


# What may stand between a rectifier and what its layer gives.
_PASSING = ("Identity", "Cast", "Reshape", "StopGradient")
_OPERATIONS = {"Relu": "relu", "Relu6": "relu6", "Maximum": "relu"}


def rectifiers_before(output: Any, known: Iterable[Any]) -> Iterator[tuple[str, str, Any]]:
    """``(name of the operation, "relu" | "relu6", what it gives)`` of each rectifier that the trace
    has before ``output``; a maximum is one where its other side is a constant 0.

    Parameters
    ----------
    known : what rectifiers gave that are looked at already.
    """
    if getattr(output, "graph", None) is None:
        return
    seen = {id(_origin(tensor)) for tensor in known if getattr(tensor, "graph", None) is not None}
    waiting, met, found = [output.op], set(), []
    while waiting:
        operation = waiting.pop()
        if id(operation) in met:
            continue
        met.add(id(operation))
        waiting += [tensor.op for tensor in operation.inputs]
        if operation.type in _OPERATIONS and id(operation) not in seen and _at_zero(operation):
            found.append(operation)
    for operation in reversed(found):
        yield operation.name, _OPERATIONS[operation.type], operation.outputs[0]


def _origin(tensor: Any) -> Any:
    """The operation that a tensor comes from, those left out that only pass it on."""
    operation = tensor.op
    while operation.type in _PASSING:
        operation = operation.inputs[0].op
    return operation


def _at_zero(operation: Any) -> bool:
    import numpy as np
    import tensorflow as tf

    if operation.type != "Maximum":
        return True
    sides = [tf.get_static_value(tensor) for tensor in operation.inputs]
    return any(side is not None and np.size(side) == 1 and not np.any(side) for side in sides)
