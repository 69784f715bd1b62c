"""The grid on which the logits are made, before the last resize to the labels' size."""

from __future__ import annotations

from typing import Any

_AFTER_LOGITS = (
    *("Resizing", "UpSampling2D", "BilinearUpsampling", "BilinearResize", "Activation", "Softmax"),
    *("Dropout", "SpatialDropout2D", "Reshape", "Permute", "Rescaling", "Identity", "Cropping2D"),
)


def logits_grid(model: Any, x: Any) -> tuple[int, int] | None:
    """(h, w) of the last map that a layer with weights gives for inputs like ``x``; None where
    the layers behind it are not known (a subclassed net), so that no ceiling can be told.

    Parameters
    ----------
    x : array (B, H, W, channels); only its shape is used.
    """
    layers = list(getattr(model, "layers", []))
    if not hasattr(model, "get_config") or not layers:
        return None
    try:
        tensor = model.outputs[0]
        by_tensor = {id(output): layer for layer in layers for output in _outputs(layer)}
    except (AttributeError, ValueError, IndexError, TypeError):  # tf_keras: outputs are None
        return None
    for _ in range(64):
        layer = by_tensor.get(id(tensor))
        if layer is None or type(layer).__name__ not in _AFTER_LOGITS or _several(layer):
            break
        tensor = layer.input
    shape, full = tuple(tensor.shape), tuple(model.inputs[0].shape)
    if len(shape) != 4:
        return None
    grid = []
    for index in (1, 2):
        if shape[index] is not None:
            grid.append(int(shape[index]))
        elif full[index] is None:
            grid.append(_probe(model, tensor, x, index))
        else:
            return None
    return (grid[0], grid[1])


def _probe(model: Any, tensor: Any, x: Any, index: int) -> int:
    """The size along ``index`` for the real input, asked of the graph up to ``tensor``."""
    kind = type(model)
    inner = kind(model.inputs, tensor)
    return int(inner.compute_output_shape(tuple(x.shape))[index])


def _outputs(layer: Any) -> list[Any]:
    output = layer.output
    return list(output) if isinstance(output, list | tuple) else [output]


def _several(layer: Any) -> bool:
    return isinstance(layer.input, list | tuple)
