"""The first operation that gives NaN or Inf; looked for only where something is not finite."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from segdoctor.core.network_facts import NotFinite
from segdoctor.recorder.layers import walk
from segdoctor.recorder.recalibrate import replaced_call

_STAGES = ("forward", "loss", "backward")


def name_the_operation(model: Any, pass_again: Callable[[list[str]], Any]) -> NotFinite:
    """Make the pass again with TensorFlow's numeric checks on, until one fails.

    Parameters
    ----------
    pass_again : an eager forward and backward pass of the run that raises what its parts raise,
        and appends to its argument the stages (``"forward"``, ``"loss"``) that it has finished.
    """
    import tensorflow as tf

    inside: list[str] = []
    failed: list[str] = []
    done: list[str] = []

    def entered(path: str) -> Any:
        def call(original: Any, *args: Any, **kwargs: Any) -> Any:
            inside.append(path)
            try:
                return original(*args, **kwargs)
            except tf.errors.InvalidArgumentError:
                if not failed:
                    failed.append(path)
                raise
            finally:
                inside.pop()

        return call

    tf.debugging.enable_check_numerics()
    try:
        with ExitStack() as stack:
            for path, layer in walk(model):
                stack.enter_context(replaced_call(layer, entered(path)))
            pass_again(done)
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r'(?:op|operation) "?([A-Za-z0-9_]+)"?', str(error))
        operation = found.group(1) if found else ""
        return NotFinite(_STAGES[len(done)], operation, failed[0] if failed and not done else "")
    finally:
        tf.debugging.disable_check_numerics()
    return NotFinite("backward", "")
