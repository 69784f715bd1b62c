"""Where the gradient of the loss lies at the output: by class, at void, where it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import HeadFacts
from segdoctor.core.network_facts import OutputGradientFacts
from segdoctor.core.probe import NotExaminedError

_NEARLY = 1e-4
_BOUNDED = 1e3  # gradient of one pixel times the pixels: of a mean of a squared error about 2
_AT_THE_END = 1e-6


def output_gradient_facts(
    gradient: NDArray[np.float32],
    output: NDArray[np.float32],
    ids: NDArray[Any],
    head: HeadFacts,
    void: int | None,
) -> OutputGradientFacts:
    """Shares of ``|gradient|`` summed over the class axis.

    Parameters
    ----------
    gradient, output : (B, H, W, C), or with the classes on ``head.class_axis``.
    ids : (B, H, W), void as ``void``.

    Raises
    ------
    NotExaminedError
        If output and labels are not on one grid, or the gradient is not finite.
    """
    weight = np.abs(np.moveaxis(gradient, head.class_axis, -1)).astype(np.float64)
    scores = np.moveaxis(output, head.class_axis, -1)
    if weight.shape[:-1] != ids.shape or scores.shape != weight.shape:
        raise NotExaminedError("the output is not on the grid of the labels")
    pull = weight.sum(axis=-1)
    total = float(pull.sum())
    if not np.isfinite(total):
        raise NotExaminedError("the gradient at the output is not finite")
    valid = np.ones(ids.shape, bool) if void is None else ids != void
    classes = [int(label) for label in np.unique(ids[valid])]
    wrong = valid & (_predicted(scores, head.kind) != ids)
    typical = float(pull[valid].max(initial=0.0))
    without = pull[wrong] <= _NEARLY * typical if typical > 0 else np.ones(int(wrong.sum()), bool)
    at_the_end = _saturated(scores, head.kind)
    if wrong.any() and head.kind in ("softmax", "sigmoid"):
        bounded = pull[wrong].max() * valid.sum() <= _BOUNDED
        flat = _flat(weight, scores) if bounded else np.zeros(ids.shape, bool)
        without, at_the_end = without | flat[wrong], at_the_end | flat
    return OutputGradientFacts(
        by_class={
            c: float(pull[valid & (ids == c)].sum() / total) if total else 0.0 for c in classes
        },
        pixels={c: float((ids == c)[valid].mean()) for c in classes},
        void=float(pull[~valid].sum() / total) if total else 0.0,
        wrong=float(wrong.sum() / max(valid.sum(), 1)),
        wrong_without=float(without.mean()) if wrong.any() else 0.0,
        saturated=float(at_the_end[valid].mean()) if valid.any() else 0.0,
    )


def _flat(weight: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the slope of the sigmoid or softmax itself lets next to nothing through.

    Only for losses whose gradient is bounded: a cross-entropy's grows as the slope falls.
    """
    let_through = (weight * scores * (1.0 - scores)).sum(axis=-1)
    flat: NDArray[np.bool_] = let_through <= _NEARLY * weight.sum(axis=-1)
    return flat


def _predicted(scores: NDArray[Any], kind: str) -> NDArray[Any]:
    if scores.shape[-1] > 1:
        return np.asarray(scores.argmax(axis=-1))
    threshold = 0.0 if kind == "logits" else 0.5
    return np.asarray(scores[..., 0] > threshold, dtype=np.int64)


def _saturated(scores: NDArray[Any], kind: str) -> NDArray[np.bool_]:
    """Where every probability is 0 or 1."""
    if kind not in ("softmax", "sigmoid"):
        return np.zeros(scores.shape[:-1], bool)
    ends = np.asarray((scores <= _AT_THE_END) | (scores >= 1.0 - _AT_THE_END))
    return np.asarray(np.all(ends, axis=-1))
