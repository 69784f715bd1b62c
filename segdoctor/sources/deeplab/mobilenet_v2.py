"""MobileNetV2 at output stride 8: DeepLabv3+'s small backbone."""

from __future__ import annotations

from typing import Any, NamedTuple

from segdoctor.sources.deeplab.blocks import Norm


class _Stage(NamedTuple):
    """Inverted residual blocks of one width; only the first one strides or changes the width."""

    filters: int
    repeats: int
    stride: int
    first_rate: int
    rate: int


# Strides 2 of the paper's fourth and sixth stage are 1 here; the rates behind them grow instead.
_STAGES = (
    _Stage(16, 1, 1, 1, 1),
    _Stage(24, 2, 2, 1, 1),
    _Stage(32, 3, 2, 1, 1),
    _Stage(64, 4, 1, 1, 2),
    _Stage(96, 3, 1, 2, 2),
    _Stage(160, 3, 1, 2, 4),
    _Stage(320, 1, 1, 4, 4),
)


def mobilenet_v2(image: Any, alpha: float, norm: Norm) -> Any:
    """Features of an image by MobileNetV2, its last two strides made atrous.

    Parameters
    ----------
    image : KerasTensor, shape (B, H, W, 3)
    alpha : float
        Width multiplier.
    norm : Norm
        Batch normalisation of all 51 normalised convolutions.

    Returns
    -------
    KerasTensor, shape (B, H / 8, W / 8, round_to_8(320 * alpha))

    References
    ----------
    Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381, table 2; atrous rates: Chen et al.,
    2018, arXiv:1802.02611.
    """
    from keras import layers

    first = layers.Conv2D(
        _round_to_8(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv"
    )
    x = layers.ReLU(6.0, name="Conv_Relu6")(norm(first(image), "Conv_BN"))
    number = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            x = _inverted_residual(
                x,
                _round_to_8(int(stage.filters * alpha)),
                number,
                norm,
                stride=1 if repeat else stage.stride,
                rate=stage.rate if repeat else stage.first_rate,
                residual=repeat > 0,
            )
            number += 1
    return x


def _inverted_residual(
    x: Any, filters: int, number: int, norm: Norm, *, stride: int, rate: int, residual: bool
) -> Any:
    """Expand ×6, filter depthwise, project to ``filters``; block 0 does not expand.

    Maps (B, H, W, C) to (B, H / stride, W / stride, filters).
    """
    from keras import layers

    block_input = x
    name = f"expanded_conv_{number}_" if number else "expanded_conv_"
    if number:
        expand = layers.Conv2D(6 * x.shape[-1], 1, use_bias=False, name=f"{name}expand")
        x = norm(expand(x), f"{name}expand_BN")
        x = layers.ReLU(6.0, name=f"{name}expand_relu")(x)
    depthwise = layers.DepthwiseConv2D(
        3,
        strides=stride,
        dilation_rate=rate,
        padding="same",
        use_bias=False,
        name=f"{name}depthwise",
    )
    x = norm(depthwise(x), f"{name}depthwise_BN")
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(x)
    project = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}project")
    x = norm(project(x), f"{name}project_BN")
    return layers.Add(name=f"{name}add")([block_input, x]) if residual else x


def _round_to_8(channels: float) -> int:
    """Nearest multiple of 8, at least 8, never below nine tenths of ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
