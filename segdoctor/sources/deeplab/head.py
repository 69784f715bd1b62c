"""Atrous spatial pyramid pooling, decoder and resizes: what stands behind a backbone."""

from __future__ import annotations

from typing import Any

from segdoctor.sources.deeplab.blocks import Norm, conv_bn, separable_conv


def pyramid_pooling(features: Any, rates: tuple[int, ...], norm: Norm) -> Any:
    """Describe every place by itself, by its surroundings at several rates, and by the whole image.

    Parameters
    ----------
    features : KerasTensor, shape (B, h, w, C)
    rates : tuple of int
        Atrous rates, one branch each; () with the small backbone.
    norm : Norm

    Returns
    -------
    KerasTensor, shape (B, h, w, 256)

    References
    ----------
    Chen et al., "Encoder-Decoder with Atrous Separable Convolution", 2018, arXiv:1802.02611,
    section 3.1.
    """
    from keras import layers

    local = layers.Conv2D(256, 1, use_bias=False, name="aspp0")(features)
    branches = [
        _image_pooling(features, local, norm),
        layers.ReLU(name="aspp0_activation")(norm(local, "aspp0_BN")),
    ]
    branches += [
        separable_conv(features, 256, f"aspp{i}", norm, rate=rate, relu_inside=True)
        for i, rate in enumerate(rates, start=1)
    ]
    x = layers.Concatenate(name="aspp_concat")(branches)
    x = conv_bn(x, 256, "concat_projection", norm, relu="concat_projection_relu")
    return layers.Dropout(0.1, name="concat_projection_dropout")(x)


def decoder(x: Any, skip: Any, factor: int, norm: Norm) -> Any:
    """Refine the pyramid's features along the edges that the early features show.

    Parameters
    ----------
    x : KerasTensor, shape (B, h, w, 256)
    skip : KerasTensor, shape (B, h * factor, w * factor, C)
    factor : int
    norm : Norm

    Returns
    -------
    KerasTensor, shape (B, h * factor, w * factor, 256)

    References
    ----------
    Chen et al., 2018, arXiv:1802.02611, section 3.1, figure 2.
    """
    from keras import layers

    x = resize(x, skip, factor, "decoder_resize")
    edges = conv_bn(skip, 48, "feature_projection0", norm, relu="feature_projection0_relu")
    x = layers.Concatenate(name="decoder_concat")([x, edges])
    x = separable_conv(x, 256, "decoder_conv0", norm, relu_inside=True)
    return separable_conv(x, 256, "decoder_conv1", norm, relu_inside=True)


def resize(x: Any, target: Any, factor: int, name: str) -> Any:
    """Bilinear, half-pixel resize of ``x`` to the height and width of ``target``.

    By stock layers only, so that a saved file loads without custom objects.

    Parameters
    ----------
    x : KerasTensor, shape (B, h, w, C)
    target : KerasTensor, shape (B, H, W, any)
    factor : int
        Used where the size is free: H / h = W / w = ``factor``.
    name : str

    Returns
    -------
    KerasTensor, shape (B, H, W, C)
    """
    from keras import layers

    height, width = target.shape[1:3]
    if height is None or width is None:
        return layers.UpSampling2D(factor, interpolation="bilinear", name=name)(x)
    return layers.Resizing(height, width, interpolation="bilinear", name=name)(x)


def _image_pooling(features: Any, local: Any, norm: Norm) -> Any:
    """Mean of the whole image, at every place: (B, h, w, C) to (B, h, w, 256).

    ``local``, shape (B, h, w, 256), lends its size where that is known only at run time.
    """
    from keras import layers

    channels = features.shape[-1]
    x = layers.GlobalAveragePooling2D(name="image_pooling_mean")(features)
    # One axis at a time as in the port, so that the count of layers is the same.
    x = layers.Reshape((1, channels), name="image_pooling_columns")(x)
    x = layers.Reshape((1, 1, channels), name="image_pooling_rows")(x)
    x = conv_bn(x, 256, "image_pooling", norm, relu="image_pooling_relu")
    height, width = features.shape[1:3]
    if height is None or width is None:
        # No stock layer resizes to such a size, but sums broadcast: a map of zeros brings it.
        zeros = layers.Rescaling(0.0, name="image_pooling_zeros")(local)
        return layers.Add(name="image_pooling_resize")([x, zeros])
    return resize(x, features, 1, "image_pooling_resize")
