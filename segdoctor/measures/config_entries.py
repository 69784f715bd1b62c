"""The parts of a Keras model configuration: its kind, its layers, their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]


def unwrapped(config: Config | list[Any]) -> tuple[str, Config | list[Any]]:
    """``(class name, inner configuration)`` of a model, wrapped in a class name or not."""
    if isinstance(config, Mapping) and isinstance(config.get("class_name"), str):
        inner = config.get("config")
        return config["class_name"], inner if isinstance(inner, Mapping | list) else {}
    if isinstance(config, list):
        return "Sequential", config
    if "input_layers" in config:
        return "Functional", config
    return ("Sequential" if "layers" in config else ""), config


def model_kind(class_name: str, inner: Config | list[Any]) -> str:
    """``"Functional"``, ``"Sequential"`` or ``"subclassed"``, by what the configuration holds."""
    if isinstance(inner, list):
        return "Sequential" if class_name == "Sequential" else "subclassed"
    if not isinstance(inner.get("layers"), list):
        return "subclassed"
    if "input_layers" in inner and "output_layers" in inner:
        return "Functional"
    return "Sequential" if class_name == "Sequential" else "subclassed"


def layer_configs(inner: Config | list[Any]) -> list[Config]:
    """The configurations of a model's own layers, in order; what is no layer is left out."""
    entries = inner if isinstance(inner, list) else inner.get("layers", [])
    return [
        entry
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("class_name"), str)
    ]


def layer_name(entry: Config) -> str:
    inner = entry.get("config")
    named = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return str(named or entry["class_name"].lower())
