"""Which statistics each batch normalisation really used, seen from what went in and came out.

Nothing is concluded from a flag or a class: the layer's output on the batch is compared with what
the batch's own statistics and the stored ones would have given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import BatchNormObserved
from segdoctor.recorder.layers import batch_norm_layers, view_of
from segdoctor.recorder.recalibrate import batch_statistics, channel_axis, replaced_call

Vector = NDArray[np.float64]

# An output is "as predicted" if it is off by less than this, of the spread of the output.
_AGREES = 0.02
# How much nearer one prediction must be than the other to name the statistics that were used.
_CLEARLY_NEARER = 5.0
# Values of a layer's input and output that are kept to name the statistics it used.
_VALUES = 2048
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


class Watch:
    """What all BN layers of a model showed in one pass, by path.

    ``raw`` holds the tensors of each layer's first call, in the order of the calls; ``seen`` is
    worked out of them once they have values. ``moments``: False where only outputs are compared.
    """

    def __init__(self, layers: dict[str, Any], *, moments: bool = True) -> None:
        self.layers = layers
        self.moments = moments
        self.raw: dict[str, tuple[Any, ...]] = {}

    def given(self, values: Sequence[tuple[Any, ...]]) -> Watch:
        """The same layers with the values that a traced pass gave for ``raw``."""
        watch = Watch(self.layers, moments=self.moments)
        watch.raw = dict(zip(self.raw, values, strict=True))
        return watch

    @cached_property
    def seen(self) -> dict[str, Seen]:
        with np.errstate(all="ignore"):  # a variance below 0, a mean of NaN: they are judged later
            return {path: _seen(self.layers[path], *values) for path, values in self.raw.items()}

    @cached_property
    def outputs(self) -> dict[str, Vector]:
        """A sample of each layer's output."""
        found = {}
        for path, values in self.raw.items():
            flat = np.asarray(values[0], dtype=np.float64).ravel()
            found[path] = flat[:: max(1, flat.size // _SAMPLE)]
        return found


@contextmanager
def watched(model: Any, *, moments: bool = True) -> Iterator[Watch]:
    """Look at every batch normalisation while the model is called inside the block, in a trace
    or eagerly."""
    watch = Watch(dict(batch_norm_layers(model)), moments=moments)
    with ExitStack() as stack:
        for path, layer in watch.layers.items():
            stack.enter_context(replaced_call(layer, _looking(layer, path, watch)))
        yield watch


def _looking(layer: Any, path: str, watch: Watch) -> Any:
    def call(original: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        if path in watch.raw:
            return original(x, *args, **kwargs)
        before = _stored(layer)
        y = original(x, *args, **kwargs)
        axis = channel_axis(layer, len(x.shape))
        rows = _rows(tf.stop_gradient(y), axis)
        if not watch.moments:
            watch.raw[path] = (rows,)
            return y
        inputs = tf.stop_gradient(x)
        mean, variance = batch_statistics(layer, inputs)
        count = _values_per_example(inputs, axis)
        watch.raw[path] = (
            *(rows, _rows(inputs, axis), mean, variance, count),
            *(*before, *_stored(layer)),
        )
        return y

    return call


def _values_per_example(values: Any, axis: int) -> Any:
    import tensorflow as tf

    places = [n for n in range(1, len(values.shape)) if n != axis]
    sizes = [values.shape[n] for n in places]
    if None not in sizes:  # known when it is traced: no operation is needed
        return tf.constant(int(np.prod(sizes)), tf.int32)
    return tf.reduce_prod(tf.gather(tf.shape(values), places))


def _stored(layer: Any) -> tuple[Any, Any]:
    """Moving mean and variance as the layer sees them now, inside a stateless scope too."""
    import tensorflow as tf

    pair = []
    for variable in (layer.moving_mean, layer.moving_variance):
        value = variable.value
        pair.append(tf.convert_to_tensor(value() if callable(value) else value))
    return pair[0], pair[1]


def _rows(values: Any, axis: int) -> Any:
    """A part of the first two examples as rows of channels: it tells the statistics apart, and
    costs little on a large map."""
    import tensorflow as tf

    rank = len(values.shape)
    if axis != rank - 1:
        values = tf.transpose(values[:2], [*(a for a in range(rank) if a != axis), axis])
    shape = values.shape.as_list()
    rows = None if None in shape[1:-1] else 2 * int(np.prod(shape[1:-1]))
    if rows is None:
        values = values[:2]
    size = None if rows is None else rows * shape[-1]
    # An odd stride, so that every column of the map has its part.
    stride = 1 if size is None else max(1, size // _VALUES) | 1
    return tf.reshape(values, [-1, shape[-1]])[:rows:stride]


def _seen(layer: Any, y: Any, x: Any, mean: Any, variance: Any, count: Any, *stored: Any) -> Seen:
    before = tuple(np.asarray(value, dtype=np.float64).ravel() for value in stored[:2])
    moved = any(
        np.asarray(a).tobytes() != np.asarray(b).tobytes()
        for a, b in zip(stored[:2], stored[2:], strict=True)
    )
    batch = tuple(np.asarray(value, dtype=np.float64).ravel() for value in (mean, variance))
    rows_x, rows_y = (np.asarray(rows, dtype=np.float32).astype(np.float64) for rows in (x, y))
    mode = _mode(layer, rows_x, rows_y, batch, before)
    if moved and mode == "unclear":  # stored and batch statistics are the same here
        mode = "batch"
    return Seen(
        mode=mode,
        moved=moved,
        batch_mean=batch[0],
        batch_variance=batch[1],
        moving_mean=before[0],
        moving_variance=before[1],
        values_per_example=int(count),
    )


def _mode(
    layer: Any,
    x: Vector,
    y: Vector,
    batch: tuple[Vector, ...],
    stored: tuple[Vector, ...],
) -> str:
    scale, offset = (_affine(getattr(layer, name, None)) for name in ("gamma", "beta"))
    spread = float(y.std()) + 1e-12
    errors = []
    for mean, variance in (batch, stored):
        steep = 1.0 / np.sqrt(variance + float(layer.epsilon))
        if scale is not None:
            steep = steep * scale
        level = -mean * steep if offset is None else offset - mean * steep
        errors.append(float(np.abs(x * steep + level - y).mean()) / spread)
    by_batch, by_stored = errors
    if by_batch < _AGREES and by_batch * _CLEARLY_NEARER < by_stored:
        return "batch"
    if by_stored < _AGREES and by_stored * _CLEARLY_NEARER < by_batch:
        return "moving"
    return "unclear"


def _affine(variable: Any) -> Vector | None:
    if variable is None:
        return None
    return view_of(variable).astype(np.float64).ravel()


def observed(
    model: Any,
    training: Mapping[str, Seen],
    inference: Mapping[str, Seen],
    depths: Mapping[str, float],
    plain: Mapping[str, str] | None = None,
) -> tuple[BatchNormObserved, ...]:
    """The two passes put together, a layer a line, in the model's order.

    Parameters
    ----------
    training, inference : what the layers showed as ``fit`` and as ``predict`` call the model.
    depths : layer path → 0 (input) … 1 (output).
    plain : layer path → which statistics it used in ``model(x)``.
    """
    lines = []
    for path, layer in batch_norm_layers(model):
        fit, predict = training.get(path), inference.get(path)
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
                plain_mode=(plain or {}).get(path, ""),
                synchronized=bool(getattr(layer, "synchronized", False)),
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
    share = _LAGS[:, None]
    mean = (1.0 - share) * seen.batch_mean
    variance = share + (1.0 - share) * seen.batch_variance
    width = np.sqrt(np.abs(seen.moving_variance) + epsilon)
    mean_gaps = _median(np.abs(mean - seen.moving_mean) / width)
    variance_gaps = _orders(variance, seen.moving_variance, epsilon)
    best = int(np.argmin(np.nan_to_num(mean_gaps + variance_gaps, nan=np.inf)))
    return float(mean_gaps[best]), float(variance_gaps[best])


def _distance(seen: Seen, mean: Vector, variance: Vector, epsilon: float) -> tuple[float, float]:
    width = np.sqrt(np.abs(variance) + epsilon)
    mean_gap = float(_median(np.abs(seen.batch_mean - mean) / width))
    return mean_gap, float(_orders(seen.batch_variance, variance, epsilon))


def _orders(a: Vector, b: Vector, epsilon: float) -> Any:
    ratio = (np.abs(a) + epsilon) / (np.abs(b) + epsilon)
    # The logarithm of the two in the middle, not of all.
    return np.log10(_in_the_middle(np.maximum(ratio, 1.0 / ratio))).mean(axis=-1)


def _median(values: Any) -> Any:
    return _in_the_middle(values).mean(axis=-1)


def _in_the_middle(values: Any) -> Any:
    """The two values whose mean is the median over the last axis; NaN where one value is."""
    half = values.shape[-1] // 2
    places = [half if values.shape[-1] % 2 else half - 1, half]
    ordered = np.partition(values, [*places, -1], axis=-1)  # NaN goes to the end
    return np.where(np.isnan(ordered[..., -1:]), np.nan, ordered[..., places])


def first_difference(one: Watch, other: Watch, limit: float) -> str:
    """The first BN layer whose output differs between two passes by more than ``limit`` spreads."""
    for path, sample in one.outputs.items():
        twin = other.outputs.get(path)
        if twin is None or twin.shape != sample.shape:
            continue
        spread = float(np.std(sample)) + 1e-12
        if float(np.mean(np.abs(sample - twin))) / spread > limit:
            return path
    return ""
