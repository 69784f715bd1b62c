"""A small net that learns one batch, with the input and the output of the net it stands in for."""

from __future__ import annotations

from typing import Any

from segdoctor.core.measured import HeadFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.surgery import keras_of

_WIDTH = 48
_RATES = (1, 2, 4)


def stand_in_net(
    model: Any, head: HeadFacts, shape: tuple[int, ...], size: tuple[int, int], *, scores: str
) -> tuple[Any, tuple[int, int]]:
    """The net, and the grid (h, w) of its logits.

    Parameters
    ----------
    model : the net that it stands in for, of any Keras.
    head : how that net's output is laid out.
    shape : (B, H, W, channels) of the batch.
    size : (H, W) of the labels.
    scores : ``"logits"``, ``"softmax"`` or ``"sigmoid"``: what it gives.

    Raises
    ------
    NotExaminedError
        If the net has several inputs or outputs, or an output of an unknown layout.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise NotExaminedError("the model has several inputs or outputs: no net stands in for it")
    keras = keras_of(model)
    layers = keras.layers
    stride = 4 if min(shape[1:3]) >= 64 else 2 if min(shape[1:3]) >= 32 else 1
    image = keras.Input(tuple(shape[1:4]), name="stand_in_image")
    x = _block(layers, image, _WIDTH // 2, strides=2 if stride == 4 else 1)
    x = _block(layers, x, _WIDTH, strides=2 if stride > 1 else 1)
    branches = [x]
    for rate in _RATES:
        branches.append(_block(layers, branches[-1], _WIDTH, dilation_rate=rate))
    x = layers.Concatenate()(branches)
    x = layers.Conv2D(head.channels, 1, name="stand_in_logits")(x)
    grid = (int(x.shape[1]), int(x.shape[2]))
    if grid != size:
        x = layers.Resizing(*size, interpolation="bilinear")(x)
    x = _laid_out(layers, x, head, size)
    if scores != "logits":
        axis = head.class_axis
        kind = layers.Softmax(axis=axis) if scores == "softmax" else layers.Activation("sigmoid")
        x = kind(x)
    return keras.Model(image, x, name="stand_in"), grid


def _block(layers: Any, x: Any, filters: int, **options: Any) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, **options)(x)
    # Quick moving averages: a trial has tens of steps.
    return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))


def _laid_out(layers: Any, x: Any, head: HeadFacts, size: tuple[int, int]) -> Any:
    """(B, H, W, C) to the layout of the head."""
    rank, axis = len(head.shape), head.class_axis % len(head.shape)
    if rank == 4 and axis == 3:
        return x
    if rank == 4 and axis == 1:
        return layers.Permute((3, 1, 2))(x)
    if rank == 3 and head.channels == 1 and head.shape[-1] != 1:
        return layers.Reshape(size)(x)
    if rank == 3 and axis == 2:
        return layers.Reshape((size[0] * size[1], head.channels))(x)
    raise NotExaminedError(f"no net stands in for an output of shape {head.shape}")
