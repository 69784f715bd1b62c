"""Layers of ours that stand in for code that files carry or name. Keras is imported lazily."""

from __future__ import annotations

from functools import cache
from typing import Any

from segdoctor.sources.model_file.safe_names import SAFE_PREFIX, filled


@cache
def safe_layers() -> dict[str, Any]:
    """``{"segdoctor>Name": class}`` for a custom-object scope."""
    import keras
    import tensorflow as tf

    class BilinearUpsampling(keras.layers.Layer):  # type: ignore[misc]
        """Bilinear resize as the layer of this name and the Lambdas of the known DeepLab files do
        it; Keras' own layers sample at half pixels.

        (B, H, W, C) to ``size``, or by ``factor`` where there is none. ``align_corners=False`` is
        TensorFlow 1's: the top left corners fall together.
        """

        def __init__(
            self, size: Any = None, factor: Any = (2, 2), align_corners: bool = True, **rest: Any
        ) -> None:
            super().__init__(**rest)
            self.size = tuple(size) if size else None
            self.factor = tuple(factor)
            self.align_corners = align_corners

        def call(self, inputs: Any) -> Any:
            size = self.size
            if size is None:
                shape = tf.shape(inputs)
                size = (shape[1] * self.factor[0], shape[2] * self.factor[1])
            return tf.compat.v1.image.resize_bilinear(
                inputs, size, align_corners=self.align_corners
            )

        def compute_output_shape(self, shape: Any) -> Any:
            sizes = self.size or [
                None if size is None else size * factor
                for size, factor in zip(shape[1:3], self.factor, strict=True)
            ]
            return (shape[0], *sizes, shape[3])

        def get_config(self) -> dict[str, Any]:
            own = {
                "size": self.size,
                "factor": self.factor,
                "align_corners": self.align_corners,
            }
            return {**super().get_config(), **own}

    class TensorOperation(keras.layers.Layer):  # type: ignore[misc]
        """One operation of a tf.keras 2 graph, from a fixed list. ``arguments`` are those of the
        call: ``[first, {name: value}]``, with ``{"$tensor": i}`` where a tensor goes."""

        def __init__(self, function: str, arguments: Any, **settings: Any) -> None:
            super().__init__(**settings)
            if function not in _OPERATIONS:
                raise ValueError(f"`function` must be a known one, received {function!r}")
            self.function = function
            self.template = arguments

        def call(self, *tensors: Any) -> Any:
            operation = tf
            for part in _OPERATIONS[self.function].split("."):
                operation = getattr(operation, part)
            first, named = filled(self.template, tensors)
            return operation(first, **named)

        def get_config(self) -> dict[str, Any]:
            own = {"function": self.function, "arguments": self.template}
            return {**super().get_config(), **own}

    return {
        f"{SAFE_PREFIX}BilinearUpsampling": BilinearUpsampling,
        f"{SAFE_PREFIX}TensorOperation": TensorOperation,
    }


_OPERATIONS = {
    **{
        f"__operators__.{short}": f"math.{name}"
        for short, name in (
            *(("add", "add"), ("sub", "subtract"), ("mul", "multiply")),
            ("truediv", "truediv"),
        )
    },
    **{
        name: name
        for name in (
            *("math.add", "math.subtract", "math.multiply", "math.divide", "math.truediv"),
            *("math.reduce_mean", "math.reduce_sum", "math.reduce_max", "math.sigmoid"),
            *("nn.relu", "nn.relu6", "nn.softmax", "nn.sigmoid", "concat", "expand_dims"),
            *("reshape", "image.resize", "compat.v1.image.resize"),
            "compat.v1.image.resize_bilinear",
        )
    },
}
"""The name a file states → the place of the function in TensorFlow."""
