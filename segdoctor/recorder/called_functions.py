"""Functions of TensorFlow that a net calls, watched or replaced while it runs.

Whatever name they are called by (``keras.ops.relu``, ``keras.activations.relu``, ``tf.nn.relu``),
Keras and its user come to TensorFlow's own in the end, looked up at the call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from segdoctor.recorder.layers import walk

# So many frames lie between such a function and the call that it belongs to, and no more.
_FAR = 40


def owners_of(model: Any) -> dict[int, str]:
    """``id`` → path of the model, its layers, and the operations of functional graphs: of the first
    two a pattern in which the name of the function is to be put (``block: relu``)."""
    owners: dict[int, str] = {}
    for path, layer in [("", model), *walk(model)]:
        owners[id(layer)] = f"{path or model.name}: {{}}"
        prefix = f"{path}/" if path else ""
        for operation in getattr(layer, "operations", None) or ():
            owners.setdefault(id(operation), f"{prefix}{operation.name}")
    return owners


def caller(owners: Mapping[int, str]) -> int:
    """``id`` of the layer, model or operation whose call the running function belongs to; 0 for
    none (the loss)."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FAR):
        if frame is None:
            return 0
        owner = id(frame.f_locals.get("self"))
        if owner in owners:
            return owner
        frame = frame.f_back
    return 0


@contextmanager
def replaced_functions(
    makers: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]],
) -> Iterator[None]:
    """Inside the block ``tf.<name>`` is what its maker makes of it; names may hold a module
    (``nn.relu``)."""
    import tensorflow as tf

    held = []
    for root in (tf, tf.compat.v2):
        for name, make in makers.items():
            module, _, last = name.rpartition(".")
            place = getattr(root, module) if module else root
            original = getattr(place, last)
            held.append((place, last, original))
            setattr(place, last, make(original))
    try:
        yield
    finally:
        for place, last, original in held:
            setattr(place, last, original)
