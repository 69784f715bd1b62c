"""Rectifiers that a net calls as functions: in nodes of a functional graph and in a ``call``.

Whatever name they are called by (``keras.ops.relu``, ``keras.activations.relu``, ``tf.nn.relu``),
Keras and TensorFlow come to ``tf.nn.relu`` in the end, looked up at the call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

from segdoctor.recorder.layers import walk

_FUNCTIONS = ("relu", "relu6")
# So many frames lie between a rectifier and the call that it belongs to, and no more.
_FAR = 40

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
    owners: dict[int, str] = {}
    for path, layer in [("", model), *walk(model)]:
        owners[id(layer)] = f"{path or model.name}: {{}}"
        prefix = f"{path}/" if path else ""
        for operation in getattr(layer, "operations", None) or ():
            owners.setdefault(id(operation), f"{prefix}{operation.name}")
    silent = {id(layer) for layer in looked_at}

    @contextmanager
    def watching(note: Noting) -> Iterator[None]:
        import tensorflow as tf

        graph = tf.compat.v1.get_default_graph() if not tf.executing_eagerly() else None
        held = []
        for module in (tf.nn, tf.compat.v2.nn):
            for name in _FUNCTIONS:
                original = getattr(module, name)
                held.append((module, name, original))
                setattr(module, name, _told(original, name, owners, silent, note, graph))
        try:
            yield
        finally:
            for module, name, original in held:
                setattr(module, name, original)

    return watching


def _told(
    original: Any, name: str, owners: dict[int, str], silent: set[int], note: Noting, graph: Any
) -> Callable[..., Any]:
    def instead(*args: Any, **kwargs: Any) -> Any:
        y = original(*args, **kwargs)
        owner = _owner(sys._getframe(1), owners)
        # What a branch or a loop of a trace makes cannot be had outside it.
        if owner and owner not in silent and getattr(y, "graph", None) is graph:
            note(owners[owner].format(name), name, y)
        return y

    return instead


def _owner(frame: FrameType | None, owners: dict[int, str]) -> int:
    """``id`` of the layer, model or operation whose call this is; 0 for none (the loss)."""
    for _ in range(_FAR):
        if frame is None:
            return 0
        owner = id(frame.f_locals.get("self"))
        if owner in owners:
            return owner
        frame = frame.f_back
    return 0
