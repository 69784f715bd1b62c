"""The modified aligned Xception: DeepLabv3+'s large backbone."""

from __future__ import annotations

from typing import Any, Literal

from segdoctor.sources.deeplab.blocks import Norm, conv_bn, separable_conv

Shortcut = Literal["conv", "sum", "none"]


def xception(image: Any, output_stride: int, norm: Norm) -> tuple[Any, Any]:
    """Features of an image by the modified aligned Xception of 65 layers.

    Parameters
    ----------
    image : KerasTensor, shape (B, H, W, 3)
    output_stride : {8, 16}
        Image size over feature size. At 8 the third entry block does not stride, and the rates
        behind it double instead.
    norm : Norm
        Batch normalisation of all 132 normalised convolutions.

    Returns
    -------
    features : KerasTensor, shape (B, H / output_stride, W / output_stride, 2048)
    skip : KerasTensor, shape (B, H / 4, W / 4, 256)
        Taken inside the second entry block, for the decoder.

    References
    ----------
    Chen et al., "Encoder-Decoder with Atrous Separable Convolution", 2018, arXiv:1802.02611,
    figure 4; Chollet, "Xception", 2017, arXiv:1610.02357.
    """
    widen = 16 // output_stride
    x = conv_bn(
        image, 32, "entry_flow_conv1_1", norm, kernel=3, stride=2, relu="entry_flow_conv1_1_relu"
    )
    x = conv_bn(x, 64, "entry_flow_conv1_2", norm, kernel=3, relu="entry_flow_conv1_2_relu")
    x, _ = _block(x, (128, 128, 128), "entry_flow_block1", norm, "conv", stride=2)
    x, skip = _block(x, (256, 256, 256), "entry_flow_block2", norm, "conv", stride=2)
    x, _ = _block(x, (728, 728, 728), "entry_flow_block3", norm, "conv", stride=2 // widen)
    for unit in range(1, 17):
        x, _ = _block(x, (728, 728, 728), f"middle_flow_unit_{unit}", norm, "sum", rate=widen)
    x, _ = _block(x, (728, 1024, 1024), "exit_flow_block1", norm, "conv", rate=widen)
    x, _ = _block(
        x,
        (1536, 1536, 2048),
        "exit_flow_block2",
        norm,
        "none",
        rate=2 * widen,
        relu_inside=True,
    )
    return x, skip


def _block(
    x: Any,
    filters: tuple[int, int, int],
    name: str,
    norm: Norm,
    shortcut: Shortcut,
    *,
    stride: int = 1,
    rate: int = 1,
    relu_inside: bool = False,
) -> tuple[Any, Any]:
    """Three separable convolutions beside a shortcut, the last one striding.

    Returns the block's output, shape (B, H / stride, W / stride, filters[2]), and what the second
    separable convolution gives, shape (B, H, W, filters[1]).
    """
    from keras import layers

    residual = middle = x
    for i, width in enumerate(filters, start=1):
        residual = separable_conv(
            residual,
            width,
            f"{name}_separable_conv{i}",
            norm,
            stride=stride if i == 3 else 1,
            rate=rate,
            relu_inside=relu_inside,
        )
        if i == 2:
            middle = residual
    if shortcut == "none":
        return residual, middle
    if shortcut == "conv":
        if stride > 1:
            # A 1×1 kernel needs no padding, but the port has this layer, and the numbers of the
            # layers behind it hang on it.
            x = layers.ZeroPadding2D(0, name=f"{name}_shortcut_pad")(x)
        x = conv_bn(x, filters[-1], f"{name}_shortcut", norm, stride=stride)
    return layers.Add(name=f"{name}_add")([residual, x]), middle
