"""Does each branch of a merge matter? Proved by zeroing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdoctor.core.measured import GradientFacts
from segdoctor.core.network_facts import Branch
from segdoctor.recorder.called_functions import caller, owners_of, replaced_functions
from segdoctor.recorder.forward import TracedForward
from segdoctor.recorder.layers import walk
from segdoctor.recorder.modes import first_output, output_gap
from segdoctor.recorder.snapshot import preserved

_MOST = 16
_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class _Joined:
    """One concatenation: its number among the calls, its place, and the names of what it joins
    ("" for what is left out)."""

    call: int
    merge: str
    names: tuple[str, ...]


def zeroed_branches(
    model: Any, x: Any, gradients: tuple[GradientFacts, ...] = ()
) -> tuple[Branch, ...]:
    """One inference pass for each part of a concatenation of channels, by a layer or by a function,
    with this part at zero: a branch, or a skip that is used elsewhere too.

    Of large nets the sixteen parts nearest to the output, and no more than can be done in four
    seconds.
    """
    owners = owners_of(model)
    norms: dict[str, float] = {}
    for fact in gradients:
        norms[fact.layer] = max(norms.get(fact.layer, 0.0), fact.norm or 0.0)
    with preserved(model):
        joined: list[_Joined] = []
        looking = _looking(owners, _sources(model), joined)
        whole = _output(model, x, _concatenating(owners, looking))
        if not np.ptp(np.asarray(whole, dtype=np.float32)) > 0.0:
            return ()  # a head that starts at zero: nothing moves an output that is constant
        parts = [(one, at) for one in joined for at, name in enumerate(one.names) if name]
        found = []
        end = time.perf_counter() + _SECONDS
        for one, at in reversed(parts[-_MOST:]):
            if time.perf_counter() > end:
                break
            without = _output(model, x, _concatenating(owners, _zeroing(one.call, at)))
            effect = output_gap(whole, without)
            found.append(Branch(one.merge, one.names[at], effect, norms.get(one.names[at])))
    return tuple(found)


# (number of the call, id of whose call it is, what is joined, axis) → what is to be joined
Hook = Callable[[int, int, list[Any], Any], list[Any]]


def _output(model: Any, x: Any, while_: AbstractContextManager[None]) -> Any:
    with while_:
        return first_output(TracedForward(model, False, eager=True)(x).y_pred)


def _concatenating(owners: Mapping[int, str], hook: Hook) -> AbstractContextManager[None]:
    calls = iter(range(1 << 30))

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def concat(values: Any, axis: Any, *args: Any, **kwargs: Any) -> Any:
            owner = caller(owners)
            if owner and isinstance(values, list | tuple):
                values = hook(next(calls), owner, list(values), axis)
            return original(values, axis, *args, **kwargs)

        return concat

    return replaced_functions({"concat": make})


def _looking(
    owners: Mapping[int, str], sources: Mapping[int, tuple[str, ...]], joined: list[_Joined]
) -> Hook:
    def look(call: int, owner: int, values: list[Any], axis: Any) -> list[Any]:
        import tensorflow as tf

        ranks = {value.shape.rank for value in values if tf.is_tensor(value)}
        channels = len(values) > 1 and ranks == {4} and axis in (-1, 3)
        if channels and all(v.dtype.is_floating for v in values):
            by_layer = sources.get(owner, ())
            names = by_layer if len(by_layer) == len(values) else _numbered(values)
            joined.append(_Joined(call, _merge(owners[owner]), tuple(names)))
        return values

    return look


def _zeroing(wanted: int, at: int) -> Hook:
    def zero(call: int, owner: int, values: list[Any], axis: Any) -> list[Any]:
        import tensorflow as tf

        if call == wanted:
            values[at] = tf.zeros_like(values[at])
        return values

    return zero


def _numbered(values: list[Any]) -> list[str]:
    """Names of parts that no layer of a graph is known to give; zeros that were put in (padding)
    are no branch."""
    return [
        f"part {at + 1} of {len(values)}" if np.any(np.asarray(value)) else ""
        for at, value in enumerate(values)
    ]


def _merge(owner: str) -> str:
    return owner.removesuffix(": {}") if ": {}" in owner else owner


def _sources(model: Any) -> dict[int, tuple[str, ...]]:
    """``id`` of each layer that merges in a functional graph → names of the layers that it takes
    from ("" for the model's inputs)."""
    found = {}
    for path, layer in walk(model):
        try:
            given = layer.input
        except (AttributeError, ValueError):
            continue
        if not isinstance(given, list | tuple):
            continue
        prefix = path[: path.rfind("/") + 1]
        history = [tensor._keras_history for tensor in given if hasattr(tensor, "_keras_history")]
        makers = [getattr(made, "operation", None) or made.layer for made in history]
        found[id(layer)] = tuple(
            "" if type(maker).__name__ == "InputLayer" else f"{prefix}{maker.name}"
            for maker in makers
        )
    return found
