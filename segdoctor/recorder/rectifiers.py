"""Rectifiers that a net calls as functions: in nodes of a functional graph and in a ``call``."""

from __future__ import annotations

from collections.abc import Callable, Collection
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
