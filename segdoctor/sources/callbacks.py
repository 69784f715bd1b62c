"""Callbacks that watch a key, as facts: what they were told, and what they will really do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.history_facts import CallbackFacts

_OF_KERAS = ("keras.", "tf_keras.", "tensorflow.", "segdoctor.")
_WATCHING = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")


def read_callbacks(callbacks: Any, metrics: Iterable[Any] = ()) -> tuple[CallbackFacts, ...]:
    """The callbacks among ``callbacks`` that watch a key.

    Parameters
    ----------
    callbacks : callback, or list of callbacks, of Keras 3 or tf_keras.
    metrics : the run's metrics, as objects, functions or names: Keras 3 asks them for the
        direction where ``mode="auto"``.
    """
    given = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    known = list(metrics)
    found = []
    for place, one in enumerate(given):
        fact = _fact(one, known, given[:place])
        if fact is not None:
            found.append(fact)
    return tuple(found)


def _fact(callback: Any, metrics: list[Any], before: Sequence[Any]) -> CallbackFacts | None:
    kinds = [base.__name__ for base in type(callback).__mro__]
    kind = next((name for name in _WATCHING if name in kinds), None)
    monitor = getattr(callback, "monitor", None)
    if kind is None or not isinstance(monitor, str):
        return None
    best_only = getattr(callback, "save_best_only", None)
    if kind == "ModelCheckpoint" and not best_only:
        return None  # it saves every epoch and compares nothing
    old = any(base.__module__.startswith("tf_keras") for base in type(callback).__mro__)
    mode = str(getattr(callback, "mode", "") or _mode_of(callback))
    writer = next((type(one).__name__ for one in before if _may_write(one, monitor)), "")
    direction = _direction(callback, kind, monitor, mode, metrics, old=old)
    if writer and direction == "unknown":  # Keras 3 looks among the compiled metrics alone
        direction = "raises"
    return CallbackFacts(
        kind=kind,
        monitor=clean(monitor, 80),
        mode=mode,
        direction=direction,
        patience=_whole(getattr(callback, "patience", None)),
        min_delta=abs(_real(getattr(callback, "min_delta", 0.0))),
        factor=_real(callback.factor) if hasattr(callback, "factor") else None,
        min_rate=_real(getattr(callback, "min_lr", 0.0)),
        restores=getattr(callback, "restore_best_weights", None),
        saves_best=best_only,
        start=_whole(getattr(callback, "start_from_epoch", 0)) or 0,
        baseline=_real(callback.baseline)
        if getattr(callback, "baseline", None) is not None
        else None,
        cooldown=_whole(getattr(callback, "cooldown", 0)) or 0,
        written_by=clean(writer, 80),
    )


def _may_write(callback: Any, key: str) -> bool:
    """Whether a callback of the user's own names ``key``, in its code or among what it holds: one
    that writes it into the logs does."""
    kinds = [kind for kind in type(callback).__mro__ if not kind.__module__.startswith(_OF_KERAS)]
    if kinds == [object] and type(callback).__name__ != "LambdaCallback":
        return False
    held = [*vars(callback).values(), *(value for kind in kinds for value in vars(kind).values())]
    words = {value for value in held if isinstance(value, str)}
    for code in (getattr(value, "__code__", None) for value in held):
        words |= set(_texts(code)) if code is not None else set()
    return key in words or key.removeprefix("val_") in words


def _texts(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):  # the names of a call's keywords
            yield from (word for word in constant if isinstance(word, str))
        elif isinstance(constant, CodeType):
            yield from _texts(constant)


def _mode_of(callback: Any) -> str:
    """The direction that an old callback settled on when it was made; its mode is not kept."""
    name = getattr(getattr(callback, "monitor_op", None), "__name__", "")
    return {"less": "min", "greater": "max"}.get(name, "auto")


def _direction(
    callback: Any, kind: str, monitor: str, mode: str, metrics: list[Any], *, old: bool
) -> str:
    if mode in ("min", "max"):
        return mode
    if old:  # by the name alone: only "acc" (and "fmeasure") rises
        rises = "acc" in monitor or monitor.startswith("fmeasure")
        return "max" if rises else "min"
    base = monitor.removeprefix("val_")
    if base == "loss":
        return "min"
    for name, direction in _named(metrics):
        if name == base:
            return {"up": "max", "down": "min"}.get(direction, "raises")
    return "unknown"


def _named(metrics: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """``(name, "up" | "down" | "")`` of each metric; "" where Keras does not know."""
    for metric in metrics:
        inner = getattr(metric, "metrics", None)
        if isinstance(inner, list | tuple):  # what Keras compiles them into
            yield from _named(inner)
            continue
        name = metric if isinstance(metric, str) else getattr(metric, "name", None)
        if name is None:
            name = getattr(metric, "__name__", None)
        if name is None:
            continue
        direction = getattr(metric, "_direction", None) or ""
        if isinstance(metric, str):  # Keras' accuracies rise; other names are not looked up
            direction = "up" if "acc" in metric.lower() else ""
        yield str(name), direction


def reported_keys(metrics: Iterable[Any]) -> tuple[str, ...]:
    """The keys that ``fit`` reports for these metrics, without ``val_``."""
    names = [clean(name, 80) for name, _ in _named(metrics)]
    return tuple(dict.fromkeys(names))


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _real(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
