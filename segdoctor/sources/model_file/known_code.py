"""Custom objects of known model files, and the safe layers that stand in for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdoctor.measures.words import words

KNOWN_CLASSES = {
    "BilinearUpsampling": "Resize(bilinear, align_corners=True)",
    "relu6": "ReLU(6)",
}
KNOWN_FUNCTIONS = {"relu6": "ReLU(6)"}

# tf.keras 2 operations in a functional graph, by the name they are stored under.
KNOWN_OPERATIONS = words(
    """
    __operators__.add __operators__.sub __operators__.mul __operators__.truediv
    math.add math.subtract math.multiply math.divide math.truediv
    math.reduce_mean math.reduce_sum math.reduce_max math.sigmoid nn.relu nn.relu6 nn.softmax
    nn.sigmoid concat expand_dims reshape image.resize compat.v1.image.resize
    compat.v1.image.resize_bilinear
    """
)


def known_lambda(settings: Mapping[str, Any]) -> str | None:
    """What stands in for a Lambda of this configuration; None if it is not known.

    Bytecode is read and never run. A named function is recognised by its name alone.
    """
    function = settings.get("function")
    if isinstance(function, str) and settings.get("function_type") != "lambda":
        return NAMED_LAMBDAS.get(function)
    from segdoctor.sources.model_file.known_lambda import lambda_replacement  # the rare case

    known = lambda_replacement(settings)
    return None if known is None else known.words


NAMED_LAMBDAS = {
    name: f"Activation({name!r})"
    for name in ("relu", "relu6", "sigmoid", "softmax", "softplus", "tanh")
}
