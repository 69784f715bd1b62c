"""The output shape of a stock layer from its configuration and its inputs' shapes.

Only what can be told without running the layer: an unknown size is None, an unknown rank None
for the whole shape. Channel counts are what matters most; a wrong guess would be worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segdoctor.core.model_facts import Shape
from segdoctor.measures.words import words

Config = Mapping[str, Any]
Size = int | None

_SAME = words(
    "Activation ActivityRegularization AlphaDropout BatchNormalization BatchNormalizationV1 "
    "BatchNormalizationV2 SyncBatchNormalization Dropout ELU GaussianDropout GaussianNoise "
    "GroupNormalization Identity LayerNormalization LeakyReLU Masking Normalization PReLU ReLU "
    "Rescaling Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D ThresholdedReLU "
    "Relu Relu6 Sigmoid Silu UnitNormalization SpectralNormalization"
)
_MERGES = words("Add Average Maximum Minimum Multiply Subtract")


def output_shape(class_name: str, config: Config, inputs: Sequence[Shape | None]) -> Shape | None:
    """The shape that the layer gives for ``inputs``, batch first; None where it cannot be told."""
    declared = shape_of_input(config)
    known = inputs[0] if inputs else declared
    if class_name == "InputLayer":
        return declared or known
    if known is None:
        known = _UNKNOWN.get(class_name)  # the channels are told all the same
    if known is None:
        return None
    if class_name in _SAME:
        return known
    if class_name in _MERGES:
        return _merged(inputs)
    rule = _RULES.get(class_name)
    if rule is None:
        return None
    if class_name in {"Concatenate", "Merge"}:
        return _concatenated(config, inputs)
    try:
        return rule(config, known)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError):
        return None  # a setting that the stock layer would refuse as well: nothing to derive


def shape_of_input(config: Config) -> Shape | None:
    """The input shape that a layer states for itself, in any of the spellings of Keras 1 to 3."""
    for key in ("batch_shape", "batch_input_shape"):
        if (shape := as_shape(config.get(key))) is not None:
            return shape
    for key in ("input_shape", "shape"):
        if (shape := as_shape(config.get(key))) is not None:
            return (None, *shape)
    size = config.get("input_dim")
    return (None, size) if isinstance(size, int) and not isinstance(size, bool) else None


def as_shape(value: object) -> Shape | None:
    """A list of sizes as a shape; None if it is something else."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if any(not (size is None or (isinstance(size, int) and size >= 0)) for size in value):
        return None
    return tuple(value)


def channels_first(config: Config) -> bool:
    return config.get("data_format") == "channels_first" or config.get("dim_ordering") == "th"


def _pair(value: object, rank: int = 2) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * rank
    if isinstance(value, list | tuple) and len(value) == rank:
        return tuple(int(item) for item in value)
    raise ValueError(f"expected {rank} sizes, received {value!r}")


def _spatial(config: Config, shape: Shape, sizes: Sequence[Size], channels: Size) -> Shape:
    if channels_first(config):
        return (shape[0], channels, *sizes)
    return (shape[0], *sizes, channels)


def _split(config: Config, shape: Shape, rank: int = 2) -> tuple[tuple[Size, ...], Size]:
    if len(shape) != rank + 2:
        raise ValueError(f"expected rank {rank + 2}, received {shape}")
    return (shape[2:], shape[1]) if channels_first(config) else (shape[1:-1], shape[-1])


def _window(size: Size, kernel: int, stride: int, padding: str, rate: int = 1) -> Size:
    if size is None:
        return None
    reach = size if padding in {"same", "causal"} else size - (kernel - 1) * rate
    return max(-(-reach // stride), 0)


def _convolution(rank: int) -> Callable[[Config, Shape], Shape]:
    def rule(config: Config, shape: Shape) -> Shape:
        sizes, channels = _split(config, shape, rank)
        kernel = _pair(config.get("kernel_size") or _keras1_kernel(config), rank)
        stride = _pair(config.get("strides", config.get("subsample", 1)), rank)
        rate = _pair(config.get("dilation_rate", config.get("atrous_rate", 1)), rank)
        padding = str(config.get("padding", config.get("border_mode", "valid")))
        out = [
            _window(size, k, s, padding, r)
            for size, k, s, r in zip(sizes, kernel, stride, rate, strict=True)
        ]
        filters = config.get("filters", config.get("nb_filter"))
        if filters is None and channels is not None:
            filters = channels * int(config.get("depth_multiplier", 1))
        return _spatial(config, shape, out, filters)

    return rule


def _keras1_kernel(config: Config) -> list[int]:
    return [config["nb_row"], config["nb_col"]] if "nb_row" in config else [config["filter_length"]]


def _transposed(config: Config, shape: Shape) -> Shape:
    sizes, _ = _split(config, shape)
    kernel, stride = _pair(config["kernel_size"]), _pair(config.get("strides", 1))
    extra = config.get("output_padding")
    out: list[Size] = []
    for size, k, s in zip(sizes, kernel, stride, strict=True):
        if size is None or extra is not None:
            out.append(None)
        else:
            out.append(size * s + (0 if config.get("padding") == "same" else max(k - s, 0)))
    return _spatial(config, shape, out, config["filters"])


def _pooling(rank: int) -> Callable[[Config, Shape], Shape]:
    def rule(config: Config, shape: Shape) -> Shape:
        sizes, channels = _split(config, shape, rank)
        kernel = _pair(config.get("pool_size", config.get("pool_length", 2)), rank)
        stride = _pair(config.get("strides") or config.get("stride") or kernel, rank)
        padding = str(config.get("padding", config.get("border_mode", "valid")))
        out = [_window(*each, padding) for each in zip(sizes, kernel, stride, strict=True)]
        return _spatial(config, shape, out, channels)

    return rule


def _global_pooling(config: Config, shape: Shape) -> Shape:
    channels = shape[1] if channels_first(config) else shape[-1]
    if not config.get("keepdims"):
        return (shape[0], channels)
    return _spatial(config, shape, [1] * (len(shape) - 2), channels)


def _scaled(config: Config, shape: Shape) -> Shape:
    sizes, channels = _split(config, shape)
    factors = _pair(config.get("size") or config.get("upsampling") or 2)
    if (fixed := config.get("output_size")) is not None and class_is_bilinear(config):
        return _spatial(config, shape, _pair(fixed), channels)
    out = [None if s is None else s * f for s, f in zip(sizes, factors, strict=True)]
    return _spatial(config, shape, out, channels)


def class_is_bilinear(config: Config) -> bool:
    """True for the configuration of ``BilinearUpsampling`` of the known DeepLab files."""
    return "upsampling" in config or "output_size" in config


def _margins(config: Config, key: str) -> list[tuple[int, int]]:
    value = config.get(key, 1)
    if isinstance(value, int):
        return [(value, value)] * 2
    return [tuple(_pair(side)) for side in value]  # type: ignore[misc]


def _padded(key: str, sign: int) -> Callable[[Config, Shape], Shape]:
    def rule(config: Config, shape: Shape) -> Shape:
        sizes, channels = _split(config, shape)
        out = [
            None if size is None else max(size + sign * (before + after), 0)
            for size, (before, after) in zip(sizes, _margins(config, key), strict=True)
        ]
        return _spatial(config, shape, out, channels)

    return rule


def _resized(config: Config, shape: Shape) -> Shape:
    _, channels = _split(config, shape)
    return _spatial(config, shape, [config["height"], config["width"]], channels)


def _dense(config: Config, shape: Shape) -> Shape:
    return (*shape[:-1], config.get("units", config.get("output_dim")))


def _product(sizes: Sequence[Size]) -> Size:
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def _flattened(config: Config, shape: Shape) -> Shape:
    return (shape[0], _product(shape[1:]))


def _reshaped(config: Config, shape: Shape) -> Shape:
    target: list[Size] = list(config["target_shape"])
    if -1 in target:
        rest = _product([size for size in target if size != -1])
        total = _product(shape[1:])
        target[target.index(-1)] = total // rest if total is not None and rest else None
    return (shape[0], *target)


def _expanded(config: Config, shape: Shape) -> Shape:
    out = list(shape)
    axis = config["axis"]
    out.insert(axis if axis >= 0 else len(out) + 1 + axis, 1)
    return tuple(out)


def _permuted(config: Config, shape: Shape) -> Shape:
    return (shape[0], *(shape[axis] for axis in config["dims"]))


def _merged(inputs: Sequence[Shape | None]) -> Shape | None:
    known = [shape for shape in inputs if shape is not None]
    if not known or len({len(shape) for shape in known}) != 1:
        return None
    out: list[Size] = []
    for sizes in zip(*known, strict=True):
        fixed = {size for size in sizes if size not in (None, 1)}
        out.append(fixed.pop() if len(fixed) == 1 else (1 if set(sizes) == {1} else None))
    return tuple(out)


def _concatenated(config: Config, inputs: Sequence[Shape | None]) -> Shape | None:
    if config.get("mode", "concat") != "concat":
        return _merged(inputs)
    known = [shape for shape in inputs if shape is not None]
    axis = config.get("axis", config.get("concat_axis", -1))
    if len(known) != len(inputs) or len({len(shape) for shape in known}) != 1:
        return None
    if not isinstance(axis, int) or not -len(known[0]) <= axis < len(known[0]):
        return None
    axis %= len(known[0])
    out: list[Size] = []
    for index, sizes in enumerate(zip(*known, strict=True)):
        if index == axis:
            out.append(None if None in sizes else sum(size for size in sizes if size is not None))
        else:
            fixed = {size for size in sizes if size is not None}
            out.append(fixed.pop() if len(fixed) == 1 else None)
    return tuple(out)


_RULES: dict[str, Callable[[Config, Shape], Shape | None]] = {
    **{name: _convolution(1) for name in ("Conv1D", "Convolution1D", "SeparableConv1D")},
    **{
        name: _convolution(2)
        for name in (
            *("Conv2D", "Convolution2D", "AtrousConvolution2D"),
            *("SeparableConv2D", "SeparableConvolution2D", "DepthwiseConv2D"),
        )
    },
    "Conv3D": _convolution(3),
    "Conv2DTranspose": _transposed,
    **{name: _pooling(1) for name in ("MaxPooling1D", "AveragePooling1D")},
    **{name: _pooling(2) for name in ("MaxPooling2D", "AveragePooling2D")},
    **{name: _pooling(3) for name in ("MaxPooling3D", "AveragePooling3D")},
    **{
        f"Global{kind}Pooling{rank}D": _global_pooling
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    },
    "BilinearUpsampling": _scaled,
    "UpSampling2D": _scaled,
    "ZeroPadding2D": _padded("padding", 1),
    "Cropping2D": _padded("cropping", -1),
    "Resizing": _resized,
    "CenterCrop": _resized,
    "Dense": _dense,
    "Flatten": _flattened,
    "Reshape": _reshaped,
    "ExpandDims": _expanded,
    "Permute": _permuted,
    "Concatenate": lambda config, shape: None,  # takes every input: see output_shape
    "Merge": lambda config, shape: None,
}
_UNKNOWN: dict[str, Shape] = dict.fromkeys(
    ("AtrousConvolution2D", "Conv2D", "Conv2DTranspose", "Convolution2D", "SeparableConv2D"),
    (None, None, None, None),
)
