"""Gives BN the exact statistics of some batches, to tell the lag of moving averages from a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from segdoctor.recorder.layers import batch_norm_layers, tf_variable


@contextmanager
def replaced_call(layer: Any, call: Any) -> Iterator[None]:
    """Have ``layer`` run ``call(original, *args, **kwargs)`` in the place of its own ``call``."""
    original = layer.call
    held = vars(layer).get("call")

    def instead(*args: Any, **kwargs: Any) -> Any:
        return call(original, *args, **kwargs)

    # Past Keras' __setattr__, which tracks what it is given.
    object.__setattr__(layer, "call", instead)
    try:
        yield
    finally:
        if held is None:
            vars(layer).pop("call", None)
        else:
            object.__setattr__(layer, "call", held)


def batch_statistics(layer: Any, x: Any) -> tuple[Any, Any]:
    """Mean and population variance per channel of a BN layer's input, as tensors.

    Parameters
    ----------
    layer : batch normalisation
    x : tensor (B, …, C), or with the channels on the layer's ``axis``.
    """
    import tensorflow as tf

    x = tf.cast(x, tf.float32)
    axes = [axis for axis in range(len(x.shape)) if axis != channel_axis(layer, len(x.shape))]
    mean, variance = tf.nn.moments(x, axes)
    return mean, variance


def channel_axis(layer: Any, rank: int) -> int:
    """The axis of the channels, counted from the front."""
    axis: Any = getattr(layer, "axis", -1)
    return int(axis if isinstance(axis, int) else next(iter(axis))) % rank


def recalibrate(
    model: Any, batches: Iterable[Any], layers: Iterable[Any] | None = None
) -> tuple[str, ...]:
    """Set moving mean and variance of BN layers to those of ``batches``, exactly.

    One eager pass per batch in *inference* mode, in which each chosen layer normalises with the
    statistics of its own input: dropout is off, and a layer sees what the layers before it give
    when they too are recalibrated. Over several batches the moments are pooled. Restore with
    :func:`segdoctor.recorder.snapshot.preserved`.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    batches : iterable of arrays (B, H, W, channels), as fed to the model.
    layers : optional
        BN layers to recalibrate. None: those that train, that is, whose ``trainable`` is true;
        a frozen one runs on its stored statistics in training too, and keeps them.

    Returns
    -------
    tuple of str
        Paths of the layers whose statistics were set.
    """
    import tensorflow as tf

    chosen = {id(layer) for layer in layers} if layers is not None else None
    wanted = [
        (path, layer)
        for path, layer in batch_norm_layers(model)
        if (layer.trainable if chosen is None else id(layer) in chosen)
    ]
    sums: dict[int, list[Any]] = {}

    def watch(layer: Any) -> Any:
        def call(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
            mean, variance = batch_statistics(layer, x)
            count = int(tf.size(x)) // max(int(tf.size(mean)), 1)
            _assign(layer, mean, variance)
            held = sums.setdefault(id(layer), [0.0, 0.0, 0.0])
            held[0] += count
            held[1] += count * tf.cast(mean, tf.float64)
            held[2] += count * tf.cast(variance + mean * mean, tf.float64)
            kwargs["training"] = False
            return original(x, *args[:0], **kwargs)

        return call

    passes = 0
    with ExitStack() as stack:
        for _, layer in wanted:
            stack.enter_context(replaced_call(layer, watch(layer)))
        for x in batches:
            model(tf.nest.map_structure(tf.convert_to_tensor, x), training=False)
            passes += 1
    for _, layer in wanted:
        if passes > 1 and id(layer) in sums:
            count, first, second = sums[id(layer)]
            mean = first / count
            _assign(layer, mean, tf.maximum(second / count - mean * mean, 0.0))
    return tuple(path for path, layer in wanted if id(layer) in sums)


@contextmanager
def calibrating(model: Any, layers: Iterable[Any]) -> Iterator[None]:
    """Have ``layers`` normalise, in a call in inference mode inside the block, with the statistics
    of what flows in: what :func:`recalibrate` on one batch and a pass after it would give, in one
    pass, in a trace or eagerly."""
    chosen = {id(layer) for layer in layers}

    def settle(layer: Any) -> Any:
        def call(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
            mean, variance = batch_statistics(layer, x)
            _put(layer, mean, variance)
            kwargs["training"] = False
            return original(x, **kwargs)

        return call

    with ExitStack() as stack:
        for _, layer in batch_norm_layers(model):
            if id(layer) in chosen:
                stack.enter_context(replaced_call(layer, settle(layer)))
        yield


def _put(layer: Any, mean: Any, variance: Any) -> None:
    """As :func:`_assign`, through Keras, so that a stateless scope holds the values."""
    import tensorflow as tf

    for variable, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        variable.assign(tf.cast(tf.reshape(value, variable.shape), tf_variable(variable).dtype))


def _assign(layer: Any, mean: Any, variance: Any) -> None:
    import tensorflow as tf

    for variable, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        target = tf_variable(variable)
        target.assign(tf.cast(tf.reshape(value, target.shape), target.dtype))
