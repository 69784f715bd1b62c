"""What was captured of a training: the call that starts it, with everything that it was given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from segdoctor.core.finding import Place
from segdoctor.core.training_facts import LaterFit
from segdoctor.sources.script.giving_back import GivesBack
from segdoctor.sources.script.places import place_of, place_of_code, repeated
from segdoctor.sources.script.reread import later_fit


@dataclass(frozen=True, slots=True)
class Captured:
    """A training as the script is about to make it.

    ``how``: ``"fit"``, ``"fit_generator"``, ``"train_on_batch"`` or ``"a GradientTape loop"``.
    ``loss`` and ``optimizer`` only where they are not those of ``compile``. ``validation``: what
    ``fit`` was given, False for none, None where unknown. ``places``: of ``"fit"``, ``"compile"``
    and ``"loss"``. ``later`` is read in the source behind the call. ``go_on`` gives the arguments
    that the real call needs in place of those that were read from.
    """

    how: str
    model: Any
    data: Any
    loss: Any = None
    optimizer: Any = None
    why_no_loss: str = ""
    validation: Any = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    class_weight: Any = None
    callbacks: Any = None
    places: Mapping[str, Place] = field(default_factory=dict)
    later: LaterFit | None = None
    notes: tuple[str, ...] = ()
    go_on: Callable[[], Mapping[str, Any]] = dict


def from_fit(
    function: Callable[..., Any],
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    caller: FrameType | None,
    compiled_at: Place | None,
) -> Captured:
    """Read the arguments of ``fit``, ``fit_generator`` or ``train_on_batch``.

    Raises
    ------
    TypeError
        If the arguments do not fit the call: Keras would have said the same.
    """
    how = function.__name__
    given = inspect.signature(function).bind(model, *args, **kwargs)
    given.apply_defaults()
    told = given.arguments
    name = "generator" if "generator" in told else "x"
    data, go_on = _data(told.get(name), told, name)
    if how == "train_on_batch":
        return Captured(
            how,
            model,
            data,
            batch_size=len(data[0]),
            class_weight=told.get("class_weight"),
            places=_places(model, caller, compiled_at, how),
            notes=("one batch was caught: the stream of them, epochs and validation are unknown",),
        )
    size = told.get("batch_size")
    loops = repeated(caller)
    epochs = None if loops else int(told["epochs"]) - int(told.get("initial_epoch") or 0)
    return Captured(
        how,
        model,
        data,
        validation=_validation(told),
        epochs=epochs,
        steps_per_epoch=told.get("steps_per_epoch") or _length(data),
        batch_size=size or (32 if isinstance(data, tuple) else None),
        class_weight=told.get("class_weight"),
        callbacks=_callbacks(told.get("callbacks")),
        places=_places(model, caller, compiled_at, how),
        later=None if loops else later_fit(caller, model),
        notes=("fit stands in a loop: how many epochs are planned is not known",) if loops else (),
        go_on=go_on,
    )


def _data(
    x: Any, told: Mapping[str, Any], name: str
) -> tuple[Any, Callable[[], Mapping[str, Any]]]:
    """The data as ``check`` takes them, and what the real call must be given in their place."""
    y, weight = told.get("y"), told.get("sample_weight")
    if y is None:
        if hasattr(x, "__next__"):
            read = GivesBack(x)
            return read, lambda: {name: read.whole()}
        return x, dict
    split = told.get("validation_split") or 0.0
    count = len(x) - int(len(x) * split) if split else None
    parts = (x, y) if weight is None else (x, y, weight)
    return tuple(part[:count] for part in parts) if split else parts, dict


def _validation(told: Mapping[str, Any]) -> Any:
    if told.get("validation_data") is not None:
        return told["validation_data"]
    return bool(told.get("validation_split"))


def _length(data: Any) -> int | None:
    if isinstance(data, tuple) or not hasattr(data, "__len__"):
        return None
    try:
        return len(data) or None
    except TypeError:  # tf.data of unknown or infinite length
        return None


def _callbacks(given: Any) -> Any:
    inner = getattr(given, "callbacks", given)  # a CallbackList
    return [] if inner is None else inner


def _places(
    model: Any, caller: FrameType | None, compiled_at: Place | None, how: str
) -> dict[str, Place]:
    found = {
        "fit": place_of(caller, f"the call of {how}"),
        "compile": compiled_at,
        "loss": loss_place(getattr(model, "loss", None)),
    }
    return {name: place for name, place in found.items() if place is not None}


def loss_place(loss: Any) -> Place | None:
    """Where a loss of the user's own is defined."""
    return None if loss is None or isinstance(loss, str) else place_of_code(loss, "the loss")
