"""A model of a fixed input size, made smaller: the same weights on a smaller grid.

The targets of resizing layers are rescaled with the input: a target that equals the size of a
feature map follows that feature map; any other follows the input's scale. Pooling over a whole
map follows the map, and so does a reshape that flattens one. Brought back to its old size, the
smaller model must be the old one: the same config, or else the same outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.config_edits import Config, input_names
from segdoctor.recorder.surgery import rebuilt

_MOST = 256 << 20  # bytes of a feature map
_SIZED = ("Resizing", "BilinearUpsampling", "BilinearResize")


def smaller(model: Any, side: int) -> Any:
    """The model with an input of about ``side`` × ``side`` pixels; itself if it is free in size
    or already small.

    The remainder modulo 32 of the old size is kept where it is 1 (513 → 97), so that the sizes
    of the feature maps keep fitting each other.

    Raises
    ------
    NotExaminedError
        If the model cannot be rebuilt at that size.
    """
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:3]:
        return model
    height, width = shape[1], shape[2]
    if max(height, width) <= side:
        return model
    new = tuple(_side(old, side * old / max(height, width)) for old in (height, width))
    made = rebuilt(model, lambda config: _resize(config, model, (height, width), new))
    _check_back(model, made, (height, width), new)
    ratios = zip(_ratios(model), _ratios(made), strict=True)
    if any(abs(a - b) > 0.1 * a for a, b in ratios):
        raise NotExaminedError(
            f"the model cannot be made smaller: at {new[0]}×{new[1]} its output is "
            f"{made.output_shape[1]}×{made.output_shape[2]}"
        )
    return made


def _ratios(model: Any) -> list[float]:
    """Rows and columns of the output over those of the input; pixels where it is flattened."""
    sides, output = model.input_shape[1:3], model.output_shape
    if len(output) == 3:
        return [(output[1] or 0) / math.prod(sides)]
    return [(output[i] or 0) / sides[i - 1] for i in (1, 2)]


def _check_back(model: Any, made: Any, old: tuple[int, int], new: tuple[int, ...]) -> None:
    """
    Raises
    ------
    NotExaminedError
        If the smaller model, brought back to the old size, is another one than the old model.
    """
    config = made.get_config()
    _resize(config, made, (new[0], new[1]), old)
    if _plain(config) == _plain(model.get_config()):
        return
    if _largest_map(model) > _MOST:
        return  # two passes at the old size would need the memory that the smaller one saves
    back = rebuilt(made, lambda config: _resize(config, made, (new[0], new[1]), old))
    x = np.random.default_rng(0).uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
    one, other = (np.asarray(net(x, training=False), np.float32) for net in (model, back))
    if one.shape != other.shape or not np.allclose(one, other, atol=1e-4 * np.abs(one).max()):
        raise NotExaminedError(
            "the model cannot be made smaller: back at its old size it gives another output"
        )


def _largest_map(model: Any) -> int:
    """Bytes of the largest feature map of one example."""
    shapes = [getattr(getattr(layer, "output", None), "shape", None) for layer in model.layers]
    return max((4 * math.prod(n or 1 for n in shape[1:]) for shape in shapes if shape), default=0)


def _plain(config: Any) -> Any:
    """A config as it compares: without the shapes that a layer was built with and that a node is
    fed with, lists as tuples."""
    if isinstance(config, dict):
        left_out = {"build_config", "shape" if "keras_history" in config else ""}
        return {key: _plain(value) for key, value in config.items() if key not in left_out}
    return tuple(map(_plain, config)) if isinstance(config, list | tuple) else config


def _side(old: int, wanted: float) -> int:
    """The multiple of 32 next to ``wanted``, plus one where the old size is of that kind."""
    return max(round(wanted / 32), 1) * 32 + (1 if old % 8 == 1 else 0)


def _resize(config: Config, model: Any, old: tuple[int, int], new: tuple[int, ...]) -> None:
    """Change the input's shape and every resizing target, in the order of the graph."""
    sizes: dict[tuple[int, int], tuple[int, int]] = {old: (new[0], new[1])}
    now: dict[str, tuple[int, int] | None] = {}
    layers = {layer.name: layer for layer in model.layers}
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        options, layer = entry["config"], layers[name]
        if "layers" in options:
            raise NotExaminedError("the model cannot be made smaller: it has models inside it")
        if entry["class_name"] == "InputLayer":
            key = "batch_shape" if "batch_shape" in options else "batch_input_shape"
            options[key] = [options[key][0], new[0], new[1], *options[key][3:]]
            now[name] = (new[0], new[1])
            continue
        feeding = [now.get(source) for source in input_names(entry)]
        if "output_layers" not in config:
            feeding = [next(reversed(now.values()), None)]
        before = feeding[0] if feeding else None
        after = _after(entry, layer, before, sizes, (new[0] / old[0], new[1] / old[1]))
        now[name] = after
        held = _spatial(getattr(layer, "output", None))
        if held is not None and after is not None:
            sizes.setdefault(held, after)


def _after(
    entry: Config,
    layer: Any,
    before: tuple[int, int] | None,
    sizes: dict[tuple[int, int], tuple[int, int]],
    scale: tuple[float, float],
) -> tuple[int, int] | None:
    """The layer's new spatial size; its own targets are changed on the way."""
    options = entry["config"]
    held_in, held_out = _spatial(getattr(layer, "input", None)), _spatial(layer.output)
    if entry["class_name"] in _SIZED and held_out is not None:
        target = sizes.get(held_out) or (
            round(held_out[0] * scale[0]),
            round(held_out[1] * scale[1]),
        )
        for key, value in (("height", target[0]), ("width", target[1])):
            if key in options:
                options[key] = value
        for key in ("output_size", "size", "target"):
            if isinstance(options.get(key), list | tuple):
                options[key] = list(target)
        return target
    if "target_shape" in options and held_in is not None and before is not None:
        options["target_shape"] = _reshaped(options["target_shape"], held_in, before)
        return before
    if "pool_size" in options and before is not None and held_in == tuple(options["pool_size"]):
        options["pool_size"] = list(before)
        if options.get("strides"):
            options["strides"] = list(before)
        return (1, 1)
    if held_out is None or before is None:
        return None
    if isinstance(layer.input, list | tuple):
        return before
    shape = (layer.input.shape[0], *before, *layer.input.shape[3:])
    made = layer.compute_output_shape(shape)
    return (int(made[1]), int(made[2])) if len(made) == 4 else None


def _reshaped(given: Any, held: tuple[int, int], now: tuple[int, int]) -> list[Any]:
    """The target of a reshape of a map: its pixels, or its height and width, are the new ones."""
    target: list[Any] = [*given]
    if math.prod(held) in target:
        target[target.index(math.prod(held))] = math.prod(now)
    elif tuple(target[:2]) == held:
        target[:2] = now
    return target


def _spatial(tensor: Any) -> tuple[int, int] | None:
    """(h, w) of a 4-D tensor of known size."""
    first = tensor[0] if isinstance(tensor, list | tuple) else tensor
    shape = tuple(getattr(first, "shape", ()))
    if len(shape) != 4 or shape[1] is None or shape[2] is None:
        return None
    return (int(shape[1]), int(shape[2]))
