"""One look at a model in training, on one batch: both modes, its units, what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdoctor.core.network_facts import ActivationFacts
from segdoctor.measures.iou import constant_miou, mean_iou


@dataclass(frozen=True, slots=True)
class BatchLook:
    """What one look showed.

    ``gap``: ``mean |training − inference| / spread`` of the output, dropout off in both.
    ``activations``: the nonlinearities in the training call. ``predicted``: classes that the
    arg max names in training mode, ``present`` those that the labels hold (0: none were given).
    ``not_finite``: the first layer whose output holds NaN or Inf.
    """

    gap: float
    activations: tuple[ActivationFacts, ...]
    predicted: int
    present: int = 0
    miou: float | None = None
    constant: float | None = None
    accuracy: float | None = None
    histogram: Mapping[int, int] | None = None
    not_finite: str = ""

    @property
    def dead(self) -> tuple[float, str]:
        """The largest share of dead channels of a rectifier, and where it is."""
        shares = [(seen.dead, seen.layer) for seen in self.activations]
        return max(shares, default=(0.0, ""))


def look_at(model: Any, x: Any, y: Any) -> BatchLook:
    """Look, and leave the model as it was: weights, statistics, random state."""
    from segdoctor.recorder.activations import activity
    from segdoctor.recorder.modes import first_output, output_gap, without_noise
    from segdoctor.recorder.snapshot import preserved

    x = np.asarray(x)
    with preserved(model), without_noise(model):
        with activity(model) as seen:
            train = np.asarray(first_output(model(x, training=True)), np.float32)
        test = np.asarray(first_output(model(x, training=False)), np.float32)
    facts = seen.facts({})
    odd = next((fact.layer for fact in facts if not fact.finite), "")
    if not odd and not np.isfinite(train).all():
        odd = "the output"
    predicted = _classes_of(train)
    look = BatchLook(output_gap(train, test), facts, len(np.unique(predicted)), not_finite=odd)
    return look if y is None else _scored(look, predicted, np.asarray(y), train.shape[-1])


def _classes_of(output: Any) -> Any:
    if output.shape[-1] > 1:
        return output.argmax(-1)
    half = 0.5 if output.min() >= 0 and output.max() <= 1 else 0.0
    return (output[..., 0] > half).astype(int)


def _scored(look: BatchLook, predicted: Any, y: Any, channels: int) -> BatchLook:
    """With the labels: ids or one-hot; what is no class of the head is left out as void."""
    classes = max(channels, 2)
    if y.ndim == predicted.ndim + 1 and y.shape[-1] == channels > 1:
        ids = np.where(np.isclose(y.sum(-1), 1.0), y.argmax(-1), -1)
    else:
        ids = y[..., 0] if y.ndim == predicted.ndim + 1 else y
    if ids.shape != predicted.shape:
        return look
    ids = np.where((ids >= 0) & (ids < classes), ids, -1).astype(np.int64)
    values, counts = np.unique(ids[ids >= 0], return_counts=True)
    if not values.size:
        return look
    return BatchLook(
        look.gap,
        look.activations,
        look.predicted,
        len(values),
        mean_iou(predicted, ids, -1),
        constant_miou(ids, -1),
        float((predicted == ids)[ids >= 0].mean()),
        {int(v): int(n) for v, n in zip(values, counts, strict=True)},
        look.not_finite,
    )
