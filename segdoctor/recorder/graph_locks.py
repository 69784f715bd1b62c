"""Gives the lock of a ``tf.function`` back that it keeps where it refuses what it is given.

TensorFlow takes the lock before it looks whether the arguments fit ``input_signature``, and keeps
it where they do not: the next call from another thread, the user's own ``fit`` among them, would
wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

_MODULE = "tensorflow.python.eager.polymorphic_function"
_DEEP = 3  # steps from a loss to a tf.function that it calls


def release_locks(loss: Any) -> None:
    """Release what the calling thread still holds of the functions that ``loss`` calls; to be
    called outside of them."""
    for function in _graph_functions(loss, _DEEP, set()):
        lock = function._lock
        owned = getattr(lock, "_is_owned", None)
        while owned is not None and owned():
            lock.release()


def _graph_functions(thing: Any, deep: int, seen: set[int]) -> Iterator[Any]:
    if deep < 0 or id(thing) in seen:
        return
    seen.add(id(thing))
    if type(thing).__module__.startswith(_MODULE) and hasattr(thing, "_lock"):
        yield thing
    for part in _parts(thing):
        yield from _graph_functions(part, deep - 1, seen)


def _parts(thing: Any) -> Iterator[Any]:
    """What a function names or holds, a method's function and object, a loss object's ``call``."""
    inner = getattr(thing, "python_function", None)
    if inner is not None:
        yield inner
    if isinstance(thing, MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, FunctionType):
        code = thing.__code__
        yield from (thing.__globals__[n] for n in code.co_names if n in thing.__globals__)
        for cell in thing.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not filled yet
                continue
    elif hasattr(thing, "call") and not isinstance(thing, type):
        yield thing.call
        yield from getattr(thing, "__dict__", {}).values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()
