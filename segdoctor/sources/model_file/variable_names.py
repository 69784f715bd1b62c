"""The names of a layer's variables, in the order in which ``.keras`` files number them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from segdoctor.measures.words import words

_ONE_KERNEL = words(
    "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Dense DepthwiseConv1D "
    "DepthwiseConv2D EinsumDense"
)
_CENTRED = frozenset({"GroupNormalization", "LayerNormalization"})
_NAMES = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # Keras 1 says std and stores the variance
}


def variable_names(class_name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the variables of a stock layer; () for a layer of which they are not known."""
    class_name = class_name.rpartition(">")[2]
    bias = ("bias",) if config.get("use_bias", True) else ()
    affine = tuple(
        name for name, flag in (("gamma", "scale"), ("beta", "center")) if config.get(flag, True)
    )
    if class_name in _ONE_KERNEL:
        return ("kernel", *bias)
    if class_name.startswith("SeparableConv"):
        return ("depthwise_kernel", "pointwise_kernel", *bias)
    if class_name in {"BatchNormalization", "SyncBatchNormalization"}:
        return (*affine, "moving_mean", "moving_variance")
    if class_name in _CENTRED:
        return affine
    return {"Embedding": ("embeddings",), "PReLU": ("alpha",)}.get(class_name, ())


def canonical_name(stored: str, layer: str) -> str:
    """``"conv2d_1/kernel:0"``'s last part, or Keras 1's ``"convolution2d_1_W"``, as Keras 3 says
    it."""
    name = re.sub(r":\d+$", "", stored)
    if name.startswith(f"{layer}_"):
        name = name[len(layer) + 1 :]
    return _NAMES.get(name, name)
