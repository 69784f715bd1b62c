"""With which corner convention do these weights fit? The last resize is made both ways.

The logits before the last bilinear resize are resized with half-pixel centres and with
``align_corners``, and both are scored on the labels of the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.network_facts import ResizeConvention
from segdoctor.core.probe import NotExaminedError

_RESIZES = ("Resizing", "UpSampling2D", "BilinearUpsampling", "BilinearResize")
_PASSED = ("Activation", "Softmax")


def resize_convention(
    model: Any, x: Any, ids: NDArray[Any], void: int | None, *, logits: bool
) -> ResizeConvention | None:
    """None where the output is not made by a bilinear resize of at least a factor of two.

    Parameters
    ----------
    x : (B, H, W, channels) as fed; ids : (B, H, W).
    logits : bool
        The output is logits; else probabilities.

    Raises
    ------
    NotExaminedError
        If the layer before the resize cannot be reached, or the grids do not fit.
    """
    layer = _last_resize(model)
    if layer is None or str(getattr(layer, "interpolation", "bilinear")) != "bilinear":
        return None
    try:
        before = type(model)(model.inputs, layer.input)
    except Exception as error:
        # The boundary: Keras refuses graphs that it cannot cut, each with an error of its own.
        raise NotExaminedError(
            f"the model cannot be cut before {layer.name} ({type(error).__name__})"
        ) from error
    import tensorflow as tf

    scores = tf.cast(before(tf.convert_to_tensor(x), training=False), tf.float32)
    factor = ids.shape[1] / int(scores.shape[1])
    if factor < 2.0:
        return None
    aligned = _scored(_resized(scores, ids.shape[1:3], align=True), ids, void, logits)
    centred = _scored(_resized(scores, ids.shape[1:3], align=False), ids, void, logits)
    own = bool(getattr(layer, "align_corners", False))
    mine, other = (aligned, centred) if own else (centred, aligned)
    valid = ids[ids != void] if void is not None else ids
    majority = float(np.bincount(valid.ravel().astype(np.int64)).max() / max(valid.size, 1))
    return ResizeConvention(
        str(layer.name),
        "align_corners" if own else "half-pixel",
        factor,
        *mine,
        *other,
        majority=majority,
    )


def _last_resize(model: Any) -> Any:
    for layer in reversed(list(getattr(model, "layers", []))):
        kind = type(layer).__name__
        if kind in _RESIZES:
            return layer
        if kind not in _PASSED:
            return None
    return None


def _resized(scores: Any, size: tuple[int, ...], *, align: bool) -> NDArray[np.float64]:
    import tensorflow as tf

    if align:
        made = tf.raw_ops.ResizeBilinear(images=scores, size=list(size), align_corners=True)
    else:
        made = tf.image.resize(scores, size, method="bilinear")
    return np.asarray(made, dtype=np.float64)


def _scored(
    scores: NDArray[np.float64], ids: NDArray[Any], void: int | None, logits: bool
) -> tuple[float, float]:
    """``(negative log likelihood, accuracy)`` over the valid pixels."""
    if scores.shape[-1] == 1:
        p = 1.0 / (1.0 + np.exp(-scores)) if logits else scores
        shares = np.concatenate([1.0 - p, p], axis=-1)
    elif logits:
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
    else:
        shares = scores
    valid = np.ones(ids.shape, bool) if void is None else ids != void
    valid &= (ids >= 0) & (ids < shares.shape[-1])
    if not valid.any():
        raise NotExaminedError("the batch has no valid pixel")
    right = ids[valid].astype(np.int64)
    rows = shares[valid]
    picked = np.clip(rows[np.arange(len(right)), right], 1e-7, 1.0)
    return float(-np.log(picked).mean()), float((rows.argmax(axis=-1) == right).mean())
