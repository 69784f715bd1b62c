"""One step of a model whose ``train_step`` is the user's own, to see which loss it uses."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any

from segdoctor.core.error_line import error_line
from segdoctor.core.run import Batch
from segdoctor.sources.script.captured import Captured
from segdoctor.sources.script.watch import Watch

NO_GRADIENT = "the step hands no gradient of a GradientTape to an optimizer"

_MOVERS = ("apply", "apply_gradients", "minimize", "train_step", "update_step")


class _Seen(BaseException):
    """Ends the step before its gradients are applied."""


def steps_itself(model: Any) -> bool:
    """Whether ``train_step`` is not Keras' own."""
    owner = next(kind for kind in type(model).__mro__ if "train_step" in vars(kind))
    return owner.__module__.partition(".")[0] not in ("keras", "tf_keras")


def own_step(model: Any, batch: Batch) -> Captured | str:
    """What the step uses, or why it was not seen. The weights stay as they are: the step ends
    where its gradients are handed to the optimizer."""
    import tensorflow as tf

    found: list[Captured] = []

    def caught(step: Captured) -> None:
        found.append(step)
        raise _Seen

    parts = (batch.x, batch.y, batch.sample_weight)
    given = tuple(tf.convert_to_tensor(part) for part in parts if part is not None)
    watch = Watch(caught)
    try:
        with watch.watching():
            model.train_step(given)
    except _Seen:
        step = found[0]
        return step if step.loss is not None else step.why_no_loss
    except Exception as error:  # noqa: BLE001 - the boundary: a step of the user's own
        return f"the step fails on one batch: {error_line(error)}"
    return NO_GRADIENT


def moves_nothing(model: Any) -> bool:
    """Whether no method of the user's own names anything that could move a weight: neither an
    optimizer's step, nor Keras' own, nor an assignment."""
    for kind in type(model).__mro__:
        if kind.__module__.partition(".")[0] in ("keras", "tf_keras", "builtins"):
            continue
        for method in vars(kind).values():
            code = getattr(inspect.unwrap(method) if callable(method) else method, "__code__", None)
            if code is not None and any(_moves(name) for name in _names(code)):
                return False
    return True


def _moves(name: str) -> bool:
    return name in _MOVERS or name.startswith("assign")


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
