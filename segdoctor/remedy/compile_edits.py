"""Changes to the compile settings of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.config_edits import Config

_CLASSES = {
    "sparsecategoricalcrossentropy": ("SparseCategoricalCrossentropy", True),
    "categoricalcrossentropy": ("CategoricalCrossentropy", False),
    "binarycrossentropy": ("BinaryCrossentropy", False),
}
_IGNORES_FROM = (2, 10)  # the TensorFlow and Keras whose losses take ignore_class


def set_loss_option(
    config: Config, option: str, value: Any, modern: bool, version: str | None
) -> None:
    """Give the one stock loss of ``config`` an option.

    Parameters
    ----------
    modern : as ``.keras`` files write a class: with its module.
    version : of the Keras that wrote the file.

    Raises
    ------
    NotExaminedError
        If the loss is not one of Keras' that take it.
    """
    if option == "ignore_class" and _version(version) < _IGNORES_FROM:
        raise NotExaminedError(f"the Keras of this file ({version}) has no ignore_class")
    holder, key = _single(config, "loss")
    loss = holder[key]
    name = loss if isinstance(loss, str) else _function_or_class(loss)
    known = _CLASSES.get(name.replace("_", "").lower())
    if known is None or (option == "ignore_class" and not known[1]):
        raise NotExaminedError(f"the loss is not one of Keras' that take {option}")
    options: Any = loss.get("config") if isinstance(loss, Mapping) else None
    kept = dict(options) if isinstance(options, Mapping) and "fn" not in options else {}
    made: dict[str, Any] = {"class_name": known[0], "config": {**kept, option: value}}
    if modern:
        made |= {"module": "keras.losses", "registered_name": None}
    holder[key] = made


def set_rate(config: Config, rate: float) -> None:
    """Set the learning rate, where it is a plain number.

    Raises
    ------
    NotExaminedError
        If it is a schedule, or no optimizer is stored.
    """
    stored = config.get("optimizer_config") or config.get("optimizer")
    options = stored.get("config") if isinstance(stored, Mapping) else None
    for name in ("learning_rate", "lr"):
        if isinstance(options, dict) and isinstance(options.get(name), int | float):
            options[name] = rate
            return
    raise NotExaminedError("the file's learning rate is a schedule, or not stored")


def _single(config: Any, key: Any) -> tuple[Any, Any]:
    """Where the one loss stands: several outputs have one each."""
    value = config.get(key) if isinstance(config, Mapping) else config[key]
    if isinstance(value, Mapping) and "class_name" not in value and len(value) == 1:
        return _single(value, next(iter(value)))
    if isinstance(value, list) and len(value) == 1:
        return _single(value, 0)
    if isinstance(value, str) or (isinstance(value, Mapping) and "class_name" in value):
        return config, key
    raise NotExaminedError("the file's compile settings hold no single loss")


def _function_or_class(loss: Mapping[str, Any]) -> str:
    inner = loss.get("config")
    if loss["class_name"] == "function" and isinstance(inner, str):
        return inner
    if isinstance(inner, Mapping) and isinstance(inner.get("fn"), str):
        return str(inner["fn"])
    return str(loss["class_name"])


def _version(text: str | None) -> tuple[int, int]:
    parts = [int(part) for part in (text or "0.0").split(".")[:2] if part.isdigit()]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
