"""Batch normalisation as Keras before 3 ran it, on a model of today.

A file or script of Keras up to 2.3.1 means another step than the same file in Keras 3: a frozen
layer still normalised with the batch's statistics while training (up to 2.1.2 it moved its stored
ones as well). And until Keras 3 came, a mode that is wired into the graph was kept in ``fit``.
Here that step is run, so that the fault is measured and its cure tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from segdoctor.measures.batch_norm_facts import batch_norms_from
from segdoctor.recorder.layers import batch_norm_layers, is_tf_keras
from segdoctor.recorder.live_graph import live_graph
from segdoctor.recorder.recalibrate import channel_axis, replaced_call

_MOVES = {"keras<=2.1.2": True, "keras2.1.3-2.3.1": False}


@contextmanager
def legacy_batch_norm(model: Any, flavour: str) -> Iterator[tuple[str, ...]]:
    """Let the frozen BN layers of ``model`` use batch statistics in training calls where theirs
    was a Keras of up to 2.3.1, and those with ``training=False`` wired into the graph the stored
    ones where it was any before 3.

    Does nothing for ``"keras3"``, and for live models of tf_keras. Make traces inside the block.

    Yields
    ------
    tuple of str
        Paths of the frozen layers that behave so.
    """
    if flavour == "keras3":
        yield ()
        return
    moves = _MOVES.get(flavour)
    norms = batch_norm_layers(model)
    frozen = [(path, layer) for path, layer in norms if not layer.trainable]
    wired = set() if is_tf_keras(model) else _wired_to_inference(model, flavour)
    with ExitStack() as stack:
        for path, layer in norms:
            if path in wired and layer.trainable:
                stack.enter_context(replaced_call(layer, _kept))
        if moves is None:
            yield ()
            return
        for _, layer in frozen:
            stack.enter_context(replaced_call(layer, _legacy_call(layer, moves)))
        yield tuple(path for path, _ in frozen)


def _wired_to_inference(model: Any, flavour: str) -> set[str]:
    facts = batch_norms_from(live_graph(model, flavour))
    return {fact.layer for fact in facts if fact.wired_training is False}


def _kept(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return original(x, training=False)


def _legacy_call(layer: Any, moves: bool) -> Any:
    def call(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        training = kwargs.get("training", args[0] if args else None)
        if not training:
            return original(x, *args, **kwargs)
        return _on_batch_statistics(layer, x, moves)

    return call


def _on_batch_statistics(layer: Any, x: Any, moves: bool) -> Any:
    import tensorflow as tf

    wide = tf.cast(x, tf.float32)
    rank = len(wide.shape)
    channel = channel_axis(layer, rank)
    mean, variance = tf.nn.moments(wide, [axis for axis in range(rank) if axis != channel])
    if moves:
        keep = float(layer.momentum)
        for variable, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            stored = tf.convert_to_tensor(variable)
            value = tf.cast(tf.reshape(value, stored.shape), stored.dtype)
            variable.assign(stored * keep + value * (1.0 - keep))
    shape = [-1 if axis == channel else 1 for axis in range(rank)]
    scale = tf.math.rsqrt(variance + float(layer.epsilon))
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    if gamma is not None:
        scale *= tf.reshape(tf.cast(tf.convert_to_tensor(gamma), tf.float32), [-1])
    y = (wide - tf.reshape(mean, shape)) * tf.reshape(scale, shape)
    if beta is not None:
        y += tf.reshape(tf.cast(tf.convert_to_tensor(beta), tf.float32), shape)
    return tf.cast(y, x.dtype)
