"""Which statistics each batch normalisation really used, seen from what went in and came out.

Nothing is concluded from a flag or a class: the layer's output on the batch is compared with what
the batch's own statistics and the stored ones would have given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import BatchNormObserved
from segdoctor.recorder.layers import batch_norm_layers, values_of
from segdoctor.recorder.recalibrate import batch_statistics, channel_axis, replaced_call

Vector = NDArray[np.float64]

# An output is "as predicted" if it is off by less than this, of the spread of the output.
_AGREES = 0.02
# How much nearer one prediction must be than the other to name the statistics that were used.
_CLEARLY_NEARER = 5.0
# Values of an output that are kept to compare two passes.
_SAMPLE = 2048
# Shares of the initial values (mean 0, variance 1) that a lagging moving average may still hold.
_LAGS = np.unique(np.concatenate([np.linspace(0.0, 1.0, 41), 1.0 - 10.0 ** np.arange(-6.0, -1.0)]))


@dataclass
class Seen:
    """What one BN layer showed in one pass (of several calls: the first)."""

    mode: str
    moved: bool
    batch_mean: Vector
    batch_variance: Vector
    moving_mean: Vector
    moving_variance: Vector
    values_per_example: int
    sample: Vector


@dataclass
class Watch:
    """What all BN layers of a model showed in one pass, by path."""

    seen: dict[str, Seen] = field(default_factory=dict)


@contextmanager
def watched(model: Any) -> Iterator[Watch]:
    """Look at every batch normalisation while the model is called inside the block, eagerly."""
    watch = Watch()
    with ExitStack() as stack:
        for path, layer in batch_norm_layers(model):
            stack.enter_context(replaced_call(layer, _looking(layer, path, watch)))
        yield watch


def _looking(layer: Any, path: str, watch: Watch) -> Any:
    def call(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        before = _stored(layer)
        y = original(x, *args, **kwargs)
        if path not in watch.seen:
            after = _stored(layer)
            moved = not all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True)
            )
            seen = _look(layer, tf.stop_gradient(x), tf.stop_gradient(y), before)
            seen.moved = moved
            if moved and seen.mode == "unclear":  # stored and batch statistics are the same here
                seen.mode = "batch"
            watch.seen[path] = seen
        return y

    return call


def _stored(layer: Any) -> tuple[Vector, Vector]:
    """Moving mean and variance as the layer sees them now, inside a stateless scope too."""
    pair = []
    for variable in (layer.moving_mean, layer.moving_variance):
        value = variable.value
        value = value() if callable(value) else value
        pair.append(values_of(value).astype(np.float64).ravel())
    return pair[0], pair[1]


def _look(layer: Any, x: Any, y: Any, stored: tuple[Vector, Vector]) -> Seen:
    import tensorflow as tf

    mean, variance, count = batch_statistics(layer, x)
    batch_mean, batch_variance = (np.array(v, dtype=np.float64).ravel() for v in (mean, variance))
    # A part of the values tells the statistics apart, and costs little on a large map.
    axis = channel_axis(layer, len(x.shape))
    channels = len(batch_mean)
    rows_x, rows_y = (
        np.moveaxis(np.asarray(tf.cast(t[:2], tf.float32), dtype=np.float64), axis, -1).reshape(
            -1, channels
        )
        for t in (x, y)
    )
    stride = max(1, len(rows_x) * channels // 65536)
    rows_x, rows_y = rows_x[::stride], rows_y[::stride]
    flat = rows_y.ravel()
    return Seen(
        mode=_mode(layer, rows_x, rows_y, (batch_mean, batch_variance), stored),
        moved=False,
        batch_mean=batch_mean,
        batch_variance=batch_variance,
        moving_mean=stored[0],
        moving_variance=stored[1],
        values_per_example=count // max(int(x.shape[0]), 1),
        sample=flat[:: max(1, flat.size // _SAMPLE)],
    )


def _mode(
    layer: Any,
    x: Vector,
    y: Vector,
    batch: tuple[Vector, Vector],
    stored: tuple[Vector, Vector],
) -> str:
    scale, offset = (_affine(getattr(layer, name, None)) for name in ("gamma", "beta"))
    spread = float(np.std(y)) + 1e-12
    errors = []
    for mean, variance in (batch, stored):
        predicted = (x - mean) / np.sqrt(variance + float(layer.epsilon))
        if scale is not None:
            predicted = predicted * scale
        if offset is not None:
            predicted = predicted + offset
        errors.append(float(np.mean(np.abs(predicted - y))) / spread)
    by_batch, by_stored = errors
    if by_batch < _AGREES and by_batch * _CLEARLY_NEARER < by_stored:
        return "batch"
    if by_stored < _AGREES and by_stored * _CLEARLY_NEARER < by_batch:
        return "moving"
    return "unclear"


def _affine(variable: Any) -> Vector | None:
    if variable is None:
        return None
    return values_of(variable).astype(np.float64).ravel()


def observed(
    model: Any, training: Watch, inference: Watch, depths: dict[str, float]
) -> tuple[BatchNormObserved, ...]:
    """The two passes put together, a layer a line, in the model's order.

    Parameters
    ----------
    training, inference : what the layers showed as ``fit`` and as ``predict`` call the model.
    depths : layer path → 0 (input) … 1 (output).
    """
    lines = []
    for path, layer in batch_norm_layers(model):
        fit, predict = training.seen.get(path), inference.seen.get(path)
        if fit is None or predict is None:
            continue
        epsilon = float(layer.epsilon)
        mean_gap, variance_gap = gaps(predict, epsilon)
        lag_mean, lag_variance = gaps_beyond_lag(fit, epsilon)
        lines.append(
            BatchNormObserved(
                layer=path,
                trainable=bool(layer.trainable),
                training_mode=fit.mode,
                inference_mode=predict.mode,
                moved=fit.moved,
                mean_gap=mean_gap,
                variance_gap=variance_gap,
                depth=depths.get(path, 0.0),
                mean_gap_beyond_lag=lag_mean,
                variance_gap_beyond_lag=lag_variance,
                values_per_example=fit.values_per_example,
            )
        )
    return tuple(lines)


def gaps(seen: Seen, epsilon: float) -> tuple[float, float]:
    """How far the stored statistics are from the batch's: ``(mean_gap, variance_gap)``.

    Median over the channels of ``|batch mean - moving mean| / sqrt(moving variance + eps)`` and of
    ``|log10((batch variance + eps) / (moving variance + eps))|``.
    """
    return _distance(seen, seen.moving_mean, seen.moving_variance, epsilon)


def gaps_beyond_lag(seen: Seen, epsilon: float) -> tuple[float, float]:
    """The gaps that are left if the stored statistics are a lagging average of this data.

    A moving average that still holds a share ``p`` of its initial values stores ``(1 - p) m`` for
    the mean ``m`` and ``p + (1 - p) v`` for the variance ``v``. The share that explains the stored
    values best is taken; what it does not explain is no lag.
    """
    best = (np.inf, np.inf)
    for share in _LAGS:
        mean = (1.0 - share) * seen.batch_mean
        variance = share + (1.0 - share) * seen.batch_variance
        width = np.sqrt(np.abs(seen.moving_variance) + epsilon)
        mean_gap = float(np.median(np.abs(mean - seen.moving_mean) / width))
        variance_gap = _orders(variance, seen.moving_variance, epsilon)
        if mean_gap + variance_gap < sum(best):
            best = (mean_gap, variance_gap)
    return best


def _distance(seen: Seen, mean: Vector, variance: Vector, epsilon: float) -> tuple[float, float]:
    width = np.sqrt(np.abs(variance) + epsilon)
    mean_gap = float(np.median(np.abs(seen.batch_mean - mean) / width))
    return mean_gap, _orders(seen.batch_variance, variance, epsilon)


def _orders(a: Vector, b: Vector, epsilon: float) -> float:
    ratio = (np.abs(a) + epsilon) / (np.abs(b) + epsilon)
    return float(np.median(np.abs(np.log10(ratio))))


def first_difference(one: Watch, other: Watch, limit: float) -> str:
    """The first BN layer whose output differs between two passes by more than ``limit`` spreads."""
    for path, seen in one.seen.items():
        twin = other.seen.get(path)
        if twin is None or twin.sample.shape != seen.sample.shape:
            continue
        spread = float(np.std(seen.sample)) + 1e-12
        if float(np.mean(np.abs(seen.sample - twin.sample))) / spread > limit:
            return path
    return ""
