"""Which input the weights were trained with, asked of the first layers with weights: its range, the
order of its channels, and what the model itself does to it first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.input_facts import ChannelOrder, InputFront
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.layers import batch_norm_layers, is_batch_norm, tf_variable, walk
from segdoctor.recorder.recalibrate import batch_statistics, replaced_call

_SIDE = 64  # of the constant images, where the model takes any size


class _ReachedError(Exception):
    """Ends the pass at the layer that is asked: the rest of the network is not needed."""


def range_gaps(model: Any, inputs: Mapping[str, Any]) -> dict[str, float]:
    """How badly the first BN's moving statistics describe each of several inputs.

    Parameters
    ----------
    inputs : name of the preprocessing → array (B, H, W, channels) of the same images.

    Returns
    -------
    dict : name → median over channels of ``|m − μ| / sqrt(σ² + eps) + |log10(v / σ²)|``, with
        batch mean m and variance v against moving mean μ and variance σ². Near 0 where the
        statistics were gathered from such inputs.

    Raises
    ------
    NotExaminedError
        If there is no BN, or the first one has default statistics, so that nothing tells.
    """
    _, layer, mean, variance = _trained_norm(model)
    gaps = {}
    for name, x in inputs.items():
        batch_mean, batch_variance = _flowing(model, layer, x)
        shift = np.abs(batch_mean - mean) / np.sqrt(variance + float(layer.epsilon))
        spread = np.abs(np.log10((batch_variance + 1e-12) / (variance + 1e-12)))
        gaps[name] = float(np.median(shift + spread))
    return gaps


def channel_order(model: Any, x: Any) -> ChannelOrder:
    """How well the first BN's moving means describe images (B, H, W, 3) as they are, and with red
    and blue exchanged.

    Kernels that answer to one colour have other means then; the mean of ``(m − μ)² / (σ² + eps)``
    over channels was .01–.10 for a trained net's own order and .14–.61 for the other (4 to 32 VOC
    images).

    Raises
    ------
    NotExaminedError
        As :func:`range_gaps`.
    """
    path, layer, mean, variance = _trained_norm(model)
    if np.ndim(x) != 4 or np.shape(x)[-1] != 3:
        raise NotExaminedError("the images have not three channels")
    shifts = []
    for images in (x, np.asarray(x)[..., ::-1]):
        found, _ = _flowing(model, layer, images)
        shifts.append(float(np.mean((found - mean) ** 2 / (variance + float(layer.epsilon)))))
    return ChannelOrder(path, len(x), shifts[0], shifts[1])


def input_front(model: Any, x: Any) -> InputFront:
    """What the model does to its input before the first layer with weights, and what is fed.

    Two constant images are sent through, and a third shows whether the way is a straight line.
    """
    values = np.asarray(x, np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        raise NotExaminedError("the images as fed hold no number")
    told = InputFront(
        low=float(values.min()),
        high=float(values.max()),
        mean=float(values.mean()),
        deviation=float(values.std()),
    )
    shape = (1, *(size or _SIDE for size in np.shape(x)[1:]))
    try:
        layer, (at_zero, at_one, at_two) = _arriving(model, shape)
    except NotExaminedError as why:
        return replace(told, why=str(why))
    scale = at_one - at_zero
    if abs(at_two - at_zero - 2 * scale) > 1e-3 * max(abs(scale), abs(at_zero), 1e-3):
        return replace(told, why="what the model does to its input first is no scaling")
    return replace(told, scale=scale, offset=at_zero, layer=layer)


def _arriving(model: Any, shape: tuple[int, ...]) -> tuple[str, list[float]]:
    """``(first layer with weights, mean of what arrives there of inputs of 0, 1 and 2)``."""
    import tensorflow as tf

    seen: list[tuple[str, float]] = []
    found = []
    with ExitStack() as stack:
        for path, layer in _weighted(model):

            def reached(
                original: Any, flowing: Any, *args: Any, _path: str = path, **kwargs: Any
            ) -> Any:
                seen.append((_path, float(np.mean(np.asarray(flowing, np.float32)))))
                raise _ReachedError

            stack.enter_context(replaced_call(layer, reached))
        for constant in (0.0, 1.0, 2.0):
            seen.clear()
            try:
                model(tf.fill(shape, tf.constant(constant, tf.float32)), training=False)
            except Exception as error:
                if not seen:
                    raise NotExaminedError(f"the first layers do not run: {error}") from error
            if not seen:
                raise NotExaminedError("the model has no layer with weights that could be asked")
            found.append(seen[0])
    return found[0][0], [value for _, value in found]


def _weighted(model: Any) -> Iterator[tuple[str, Any]]:
    """Layers that have a kernel or normalise with statistics of their own, leaves of the tree.
    Normalization has statistics as well, but it is a scaling."""
    for path, layer in walk(model):
        kernel = any(hasattr(layer, name) for name in ("kernel", "depthwise_kernel", "embeddings"))
        if not getattr(layer, "layers", None) and (kernel or is_batch_norm(layer)):
            yield path, layer


def _trained_norm(model: Any) -> tuple[str, Any, Any, Any]:
    """``(path, layer, moving mean, moving variance)`` of the first BN."""
    norms = batch_norm_layers(model)
    if not norms:
        raise NotExaminedError("the model has no batch normalisation whose statistics would tell")
    path, layer = norms[0]
    mean = np.asarray(tf_variable(layer.moving_mean))
    variance = np.asarray(tf_variable(layer.moving_variance))
    if np.allclose(mean, 0) and np.allclose(variance, 1):
        raise NotExaminedError(
            f"the first batch normalisation, {path}, has its initial statistics: no data has "
            "passed through it, so nothing tells the range"
        )
    return path, layer, mean, variance


def _flowing(model: Any, layer: Any, x: Any) -> tuple[Any, Any]:
    """Mean and variance per channel of what arrives at the layer."""
    import tensorflow as tf

    seen: list[Any] = []

    def reached(original: Any, flowing: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(batch_statistics(layer, flowing))
        raise _ReachedError

    with replaced_call(layer, reached):
        try:
            model(tf.convert_to_tensor(np.asarray(x, np.float32)), training=False)
        except Exception as error:
            if not seen:
                raise NotExaminedError(f"the first layers do not run: {error}") from error
    batch_mean, batch_variance = (np.asarray(value) for value in seen[0])
    return batch_mean, batch_variance
