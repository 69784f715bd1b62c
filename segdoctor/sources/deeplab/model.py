"""The whole network: backbone, pyramid, decoder, logits, resize to the input's size."""

from __future__ import annotations

from typing import Any, Literal

from segdoctor.sources.deeplab.blocks import Norm
from segdoctor.sources.deeplab.head import decoder, pyramid_pooling, resize
from segdoctor.sources.deeplab.mobilenet_v2 import mobilenet_v2
from segdoctor.sources.deeplab.xception import xception

# Pascal VOC and Cityscapes, whose published weights carry the head under this name.
_PUBLISHED_CLASSES = (21, 19)


def build_deeplab(
    backbone: Literal["mobilenetv2", "xception"] = "mobilenetv2",
    input_shape: tuple[int | None, int | None, int] = (512, 512, 3),
    classes: int = 21,
    output_stride: Literal[8, 16] = 16,
    alpha: float = 1.0,
    activation: Literal["softmax", "sigmoid"] | None = None,
    momentum: float | None = None,
) -> Any:
    """DeepLabv3+ without trained weights, of stock Keras layers only.

    Parameters
    ----------
    backbone : {"mobilenetv2", "xception"}
    input_shape : tuple (H, W, C)
        Images in [-1, 1]. (None, None, C) takes every size that is a multiple of 16 (8 with
        "mobilenetv2" or ``output_stride`` 8).
    classes : int
        Channels of the output. The head is named ``logits_semantic`` at 21 and 19, else
        ``custom_logits_semantic``.
    output_stride : {8, 16}
        Image size over feature size of the Xception backbone; MobileNetV2 always has 8.
    alpha : float
        Width multiplier of MobileNetV2; Xception has one width.
    activation : {"softmax", "sigmoid"}, optional
        Put behind the resized logits. None: the output is logits.
    momentum : float, optional
        Momentum of every batch normalisation. None: .999 in MobileNetV2, .99 elsewhere.

    Returns
    -------
    keras.Model
        Maps (B, H, W, C) to (B, H, W, classes).

    Raises
    ------
    ValueError
        An argument is none of the choices, or ``classes`` is below 1.

    References
    ----------
    Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
    Segmentation", 2018, arXiv:1802.02611; Chollet, "Xception", 2017, arXiv:1610.02357;
    Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381. Layer names and order: the Keras port
    bonlime/keras-deeplab-v3-plus.
    """
    _refuse_unknown("backbone", backbone, ("mobilenetv2", "xception"))
    _refuse_unknown("output_stride", output_stride, (8, 16))
    _refuse_unknown("activation", activation, (None, "softmax", "sigmoid"))
    if classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: classes={classes!r}")

    import keras
    from keras import layers

    head_norm = Norm(1e-5, 0.99 if momentum is None else momentum)
    image = keras.Input(input_shape, name="image")
    if backbone == "xception":
        backbone_norm = head_norm._replace(epsilon=1e-3)
        features, skip = xception(image, output_stride, backbone_norm)
        widen = 16 // output_stride
        x = pyramid_pooling(features, (6 * widen, 12 * widen, 18 * widen), head_norm)
        x = decoder(x, skip, output_stride // 4, head_norm)
        logits_stride = 4
    else:
        backbone_norm = Norm(1e-3, 0.999 if momentum is None else momentum)
        x = pyramid_pooling(mobilenet_v2(image, alpha, backbone_norm), (), head_norm)
        logits_stride = 8
    published = classes in _PUBLISHED_CLASSES
    head = layers.Conv2D(
        classes, 1, name="logits_semantic" if published else "custom_logits_semantic"
    )
    x = resize(head(x), image, logits_stride, "logits_resize")
    if activation is not None:
        x = layers.Activation(activation, name=activation)(x)
    return keras.Model(image, x, name=f"deeplabv3plus_{backbone}")


def _refuse_unknown(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}")
