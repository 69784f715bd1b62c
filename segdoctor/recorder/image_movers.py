"""Layers that move the image at random while the labels stay, found by what they do."""

from __future__ import annotations

from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.network_facts import ImageMover
from segdoctor.recorder.layers import is_batch_norm, walk
from segdoctor.recorder.modes import arguments_of

_SIDE = 64  # of the picture: of a smaller one, a small zoom would be less than a pixel
_COPIES = 4  # of one picture in a batch
_CALLS = 4  # so that a layer that draws once a batch is seen to move
_NOISE = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout")
_STRONG, _WEAK = 0.3, 0.1  # shares of the largest gradient
_UNLIKE = 0.2  # correlation with itself below which the picture is no longer in its place


def image_movers(model: Any) -> tuple[tuple[tuple[Any, ImageMover], ...], tuple[str, ...]]:
    """``(layer, facts)`` of each layer below ``model`` that moves what it is given at random, and
    the layers that could not be asked, each with its error.

    Each layer without weights that asks for the mode (and each Lambda) is called alone, as in
    training, on copies of one picture of noise. Of one part of what comes out the gradient with
    respect to the picture is taken: brightness, noise and dropout leave it in that part, a flip, a
    shift or a zoom has it elsewhere. Where no gradient goes through, the picture is held against
    itself. A layer that does the same with all copies in all calls is not random.
    """
    found, unasked = [], []
    for path, layer in walk(model):
        if not _may_move(layer):
            continue
        try:
            if _moves(layer):
                found.append((layer, ImageMover(path, type(layer).__name__)))
        except Exception as error:  # noqa: BLE001 - the boundary: layers of the user's own, which take other things
            unasked.append(f"{path} fails when it is called alone ({error_line(error)})")
    return tuple(found), tuple(unasked)


def _may_move(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind in _NOISE or is_batch_norm(layer) or hasattr(layer, "layers") or layer.weights:
        return False
    return "training" in arguments_of(layer) or kind == "Lambda"


def _moves(layer: Any) -> bool:
    shapes = _input_shapes(layer)
    for shape in shapes:
        try:
            return _moves_one_of(layer, shape)
        except Exception:
            if shape == shapes[-1]:
                raise
    return False


def _moves_one_of(layer: Any, shape: tuple[int, int, int]) -> bool:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = tf.constant(np.repeat(rng.uniform(0.2, 0.8, (1, *shape)), _COPIES, axis=0), tf.float32)
    moved, random, first = False, False, None
    for _ in range(_CALLS):
        y, gradient = _of_a_part(layer, x)
        if y is None:
            return False
        first = y[0] if first is None else first
        random = random or any(not np.array_equal(one, first) for one in y)
        if gradient is None:
            moved = moved or not _alike(y, np.asarray(x))
        else:
            moved = moved or any(_elsewhere(one) for one in gradient)
        if moved and random:
            return True
    return False


def _input_shapes(layer: Any) -> tuple[tuple[int, int, int], ...]:
    """(H, W, channels) for the one image that the layer takes in the graph, enlarged if need be
    and as it is; an assumed one outside of a graph; none for anything else."""
    try:
        given = layer.input
    except (AttributeError, ValueError, RuntimeError):
        return ((_SIDE, _SIDE, 3),)
    shape = tuple(getattr(given, "shape", ()))
    if len(shape) != 4 or not shape[3]:
        return ()
    height, width = (int(side or _SIDE) for side in shape[1:3])
    channels = int(shape[3])
    large = (max(height, _SIDE), max(width, _SIDE), channels)
    return tuple(dict.fromkeys([large, (height, width, channels)]))


def _of_a_part(layer: Any, x: Any) -> tuple[Any, Any]:
    """What a call gives, and the gradient of a part of it that lies off the centre."""
    import tensorflow as tf

    options = {"training": True} if "training" in arguments_of(layer) else {}
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, **options)
        if not tf.is_tensor(y) or y.shape.rank != 4 or not y.dtype.is_floating:
            return None, None
        if y.shape[0] != x.shape[0]:  # a reshape to sizes of another image
            raise ValueError(f"it gives {y.shape[0]} examples for {x.shape[0]}")
        part = tf.reduce_sum(y[:, *_part(y.shape[1:3])])
    try:
        gradient = tape.gradient(part, x)
    except LookupError:  # an operation that has none
        gradient = None
    return np.asarray(y, np.float32), None if gradient is None else np.abs(np.asarray(gradient))


def _alike(y: Any, x: Any) -> bool:
    """Whether the picture of noise is still in its place, for a layer that has no gradient."""
    if y.shape != x.shape:
        return True
    flat = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(y, x, strict=True)]
    return not min(flat) < _UNLIKE


def _part(size: Any) -> tuple[slice, slice]:
    height, width = (max(int(side), 1) for side in size)
    rows, columns = (max(side // 16, 1) for side in (height, width))
    return slice(rows, 2 * rows), slice(columns, 2 * columns)


def _elsewhere(gradient: Any) -> bool:
    """Whether a strong gradient lies outside the part and a part of the part has none."""
    plane = gradient.max(axis=-1)
    peak = float(plane.max())
    if not peak > 0.0:
        return False
    inside = np.zeros(plane.shape, bool)
    inside[_part(plane.shape)] = True
    outside = bool((plane[~inside] >= _STRONG * peak).any())
    return outside and bool((plane[inside] < _WEAK * peak).any())
