"""Settings of the layers of ours that stand in for code (:mod:`.safe_layers`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SAFE_PREFIX = "segdoctor>"
TENSOR = "$tensor"


def filled(template: Any, tensors: Any) -> Any:
    """``template`` with each ``{"$tensor": i}`` replaced by ``tensors[i]``."""
    if isinstance(template, Mapping):
        if TENSOR in template:
            return tensors[template[TENSOR]]
        return {key: filled(item, tensors) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [filled(item, tensors) for item in template]
    return template
