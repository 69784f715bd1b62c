"""Convolution, batch normalisation and ReLU in the combinations that every part shares."""

from __future__ import annotations

from typing import Any, NamedTuple


class Norm(NamedTuple):
    """Settings of the batch normalisation of one part of the network."""

    epsilon: float
    momentum: float

    def __call__(self, x: Any, name: str) -> Any:
        """Normalise ``x``, shape (B, H, W, C), under the layer name ``name``."""
        from keras import layers

        return layers.BatchNormalization(epsilon=self.epsilon, momentum=self.momentum, name=name)(x)


def conv_bn(
    x: Any,
    filters: int,
    name: str,
    norm: Norm,
    *,
    kernel: int = 1,
    stride: int = 1,
    relu: str | None = None,
) -> Any:
    """Convolution without bias, then batch normalisation, then ReLU if ``relu`` names one.

    Parameters
    ----------
    x : KerasTensor, shape (B, H, W, C)
    filters : int
    name : str
        Name of the convolution; the normalisation is ``{name}_BN``.
    norm : Norm
    kernel, stride : int
    relu : str, optional
        Name of the ReLU layer. None: no activation.

    Returns
    -------
    KerasTensor, shape (B, ceil(H / stride), ceil(W / stride), filters)
    """
    from keras import layers

    convolution = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=name
    )
    x = norm(convolution(x), f"{name}_BN")
    return x if relu is None else layers.ReLU(name=relu)(x)


def separable_conv(
    x: Any,
    filters: int,
    name: str,
    norm: Norm,
    *,
    stride: int = 1,
    rate: int = 1,
    relu_inside: bool = False,
) -> Any:
    """3×3 depthwise, then 1×1 pointwise convolution, each followed by batch normalisation.

    Parameters
    ----------
    x : KerasTensor, shape (B, H, W, C)
    filters : int
        Channels of the pointwise convolution.
    name : str
        Prefix of the layer names: ``{name}_depthwise``, ``{name}_depthwise_BN``,
        ``{name}_pointwise``, ``{name}_pointwise_BN``.
    norm : Norm
    stride : int
        Stride of the depthwise convolution. Above 1 the input is padded evenly by hand:
        TensorFlow's "same" pads even sizes on one side only, which shifts the features by a pixel.
    rate : int
        Atrous rate of the depthwise convolution.
    relu_inside : bool
        True: a ReLU behind each normalisation. False: one ReLU before the depthwise convolution.

    Returns
    -------
    KerasTensor, shape (B, ceil(H / stride), ceil(W / stride), filters)

    References
    ----------
    Chollet, "Xception", 2017, arXiv:1610.02357; Chen et al., 2018, arXiv:1802.02611, section 3.2.
    """
    from keras import layers

    if stride > 1:
        x = layers.ZeroPadding2D(rate, name=f"{name}_pad")(x)
    if not relu_inside:
        x = layers.ReLU(name=f"{name}_relu")(x)
    depthwise = layers.DepthwiseConv2D(
        3,
        strides=stride,
        dilation_rate=rate,
        padding="valid" if stride > 1 else "same",
        use_bias=False,
        name=f"{name}_depthwise",
    )
    x = norm(depthwise(x), f"{name}_depthwise_BN")
    if relu_inside:
        x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
    relu_name = f"{name}_pointwise_relu" if relu_inside else None
    return conv_bn(x, filters, f"{name}_pointwise", norm, relu=relu_name)
