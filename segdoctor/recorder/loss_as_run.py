"""The loss on the real batch and the real output, as ``fit`` evaluates it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.error_line import error_line
from segdoctor.core.measured import LossAsRun
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.forward import Outputs, Reach, TracedForward
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.snapshot import preserved, preserved_variables

_SAME = 1e-4
"""Relative difference below which the loss of the output and that of the logits are the same."""


def measure_loss_as_run(
    model: Any,
    loss: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    void_mask: NDArray[np.bool_] | None = None,
    training: bool = True,
) -> LossAsRun:
    """Run the model once and measure the loss of its output.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        Weights, batch-norm statistics and random state are what they were afterwards.
    loss : as given to ``compile``
    x, y, sample_weight : one batch as fed
    void_mask : bool array (B, H, W), optional
        True at the pixels that should not count.
    training : bool
        The mode of the call.
    """
    with preserved(model):
        forward = TracedForward(model, training, eager=True)
        outputs = forward(x)
        if outputs.keras_logits is None and _within_zero_and_one(outputs.y_pred):
            # A bare TensorFlow softmax leaves no attribute: only the graph knows the operation.
            with preserved_variables(model.variables):
                forward = TracedForward(model, training)
                outputs = forward(x)
        return loss_of_outputs(
            LossAsInFit(loss, model), outputs, y, sample_weight, void_mask, forward.reach
        )


def _within_zero_and_one(y_pred: Any) -> bool:
    output = np.asarray(y_pred)
    return bool(output.size) and bool(output.min() >= 0) and bool(output.max() <= 1)


def loss_of_outputs(
    loss: LossAsInFit,
    outputs: Outputs,
    y: Any,
    sample_weight: Any = None,
    void_mask: NDArray[np.bool_] | None = None,
    reach: Reach = "",
    class_axis: int = -1,
) -> LossAsRun:
    """Measure the loss of an output that is at hand.

    Parameters
    ----------
    loss : LossAsInFit
    outputs, reach : of :class:`~segdoctor.recorder.forward.TracedForward`
    y, sample_weight : one batch as fed
    void_mask : bool array (B, H, W), optional
    class_axis : int

    Returns
    -------
    LossAsRun
        Where the loss fails on the batch, ``raises`` says how, and ``rescued`` is told with
        labels of class 0 instead.

    Raises
    ------
    NotExaminedError
        If the model has several outputs.
    """
    if isinstance(outputs.y_pred, list | tuple | dict):
        raise NotExaminedError(f"the model has {len(outputs.y_pred)} outputs")
    asked = _Asked(loss, outputs, sample_weight, reach, class_axis)
    void = _void_rows(void_mask, asked.pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' "was this intended?" is what OUT001 says
        try:
            measured = _measure(asked, y, void)
        except Exception as error:  # noqa: BLE001 - a stranger's loss on a batch it may not fit
            rescued = _rescued_on_legal_labels(asked)
            measured = LossAsRun(None, raises=error_line(error), rescued=rescued, finite=False)
    return replace(measured, void_pixels=int(void.sum()), valid_pixels=int((~void).sum()))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The loss, and what it is asked about."""

    loss: LossAsInFit
    outputs: Outputs
    sample_weight: Any
    reach: Reach
    class_axis: int

    @property
    def channels(self) -> int:
        return int(self.outputs.y_pred.shape[self.class_axis])

    @property
    def pixels(self) -> int:
        return int(np.prod(self.outputs.y_pred.shape)) // self.channels

    def output(self, source: Any) -> Any:
        """The output anew, from the logits if Keras can reach them, with the way back to them."""
        import tensorflow as tf

        if self.outputs.keras_logits is None:
            return tf.identity(source)
        output = self.activation()(source)
        if self.reach == "attribute":
            output._keras_logits = source
        return output

    def value(self, y: Any, source: Any, output: Any) -> Any:
        """The loss as ``fit`` has it: a scalar tensor."""
        import tensorflow as tf

        logits = source if self.outputs.keras_logits is not None else None
        made = Outputs(output, logits, None)
        return tf.reduce_sum(self.loss(y, made, self.sample_weight, self.reach))

    def number(self, y: Any, source: Any) -> float:
        return float(self.value(y, source, self.output(source)))

    def plain(self, y: Any) -> float:
        """The loss of the bare numbers, with no way back behind them."""
        import tensorflow as tf

        bare = Outputs(tf.constant(np.asarray(self.outputs.y_pred)), None, None)
        return float(tf.reduce_sum(self.loss(y, bare, self.sample_weight)))

    def source(self) -> Any:
        logits = self.outputs.keras_logits
        return self.outputs.y_pred if logits is None else logits

    def activation(self) -> Callable[[Any], Any]:
        """The function from logits to output; the output as it is where none is known."""
        import tensorflow as tf

        logits, output = self.outputs.keras_logits, np.asarray(self.outputs.y_pred)
        known: tuple[Callable[[Any], Any], ...] = (tf.nn.softmax, tf.nn.sigmoid)
        for function in known:
            if np.allclose(np.asarray(function(logits)), output, atol=1e-3):
                return function
        return lambda source: tf.identity(self.outputs.y_pred)


def _measure(asked: _Asked, y: Any, void: NDArray[np.bool_]) -> LossAsRun:
    import tensorflow as tf

    source = asked.source()
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(source)
        output = asked.output(source)
        tape.watch(output)
        value = asked.value(y, source, output)
    both = tape.gradient(value, [output, source])
    of_output, of_source = (None if g is None else _rows(asked, g) for g in both)
    gradients = [g for g in (of_output, of_source) if g is not None]
    plain = asked.plain(y)
    number = float(value)
    rescued = asked.outputs.keras_logits is not None and (
        (of_output is None and of_source is not None) or not _close(number, plain)
    )
    finite = bool(np.isfinite(number)) and all(bool(np.isfinite(g).all()) for g in gradients)
    found = LossAsRun(number, plain_value=plain, rescued=rescued, finite=finite)
    if not gradients:
        return replace(found, zero_gradient_share=1.0)
    steepest = np.max([np.abs(g).max(axis=-1) for g in gradients], axis=0)
    summed = np.abs(gradients[0]).sum(axis=-1)
    total = float(summed.sum())
    return replace(
        found,
        void_gradient=float(steepest[void].max(initial=0.0)),
        valid_gradient=float(steepest[~void].max(initial=0.0)),
        void_gradient_share=float(summed[void].sum()) / total if total > 0 else 0.0,
        void_moves_value=_moved_by_void(asked, y, void, number),
        zero_gradient_share=float((steepest[~void] == 0).mean()) if (~void).any() else 0.0,
    )


def _moved_by_void(asked: _Asked, y: Any, void: NDArray[np.bool_], value: float) -> float:
    """|Change of the loss| when the prediction at void pixels becomes another one."""
    import tensorflow as tf

    if not void.any():
        return 0.0
    source = np.asarray(asked.source())
    rows = np.moveaxis(source, asked.class_axis, -1)
    changed = rows.reshape(-1, rows.shape[-1]).copy()
    probabilities = asked.outputs.keras_logits is None and 0 <= source.min() <= source.max() <= 1
    if asked.channels > 1:
        # Not a permutation alone: label smoothing counts all channels alike.
        rolled = np.roll(changed[void], 1, axis=-1)
        if probabilities:
            squared = rolled.astype(np.float64) ** 2 + 1e-9
            changed[void] = squared / squared.sum(axis=-1, keepdims=True)
        else:
            changed[void] = 1.5 * rolled + 0.5 * np.arange(asked.channels) / asked.channels
    else:
        changed[void] = 1 - changed[void] if probabilities else -changed[void] + 1
    moved = np.moveaxis(changed.reshape(rows.shape), -1, asked.class_axis)
    difference = abs(asked.number(y, tf.constant(moved)) - value)
    return difference if difference > 1e-6 * abs(value) else 0.0


def _rescued_on_legal_labels(asked: _Asked) -> bool:
    """Whether Keras reaches back, told on labels of class 0 that the loss does not refuse."""
    if asked.outputs.keras_logits is None:
        return False
    asked = replace(asked, sample_weight=None)
    shape = list(asked.outputs.y_pred.shape)
    onehot = np.zeros(shape, np.float32)
    np.moveaxis(onehot, asked.class_axis, -1)[..., 0] = 1
    del shape[asked.class_axis]
    ids = np.zeros(shape, np.int32)
    for labels in (ids, ids[..., None], onehot):
        try:
            value, plain = asked.number(labels, asked.source()), asked.plain(labels)
        except Exception:  # noqa: BLE001 - a stranger's loss: the next layout may fit
            continue
        return not _close(value, plain)
    return False


def _rows(asked: _Asked, gradient: Any) -> NDArray[np.float64]:
    import tensorflow as tf

    array = np.asarray(tf.convert_to_tensor(gradient), dtype=np.float64)
    array = np.moveaxis(array, asked.class_axis, -1)
    return array.reshape(-1, array.shape[-1])


def _void_rows(void_mask: NDArray[np.bool_] | None, pixels: int) -> NDArray[np.bool_]:
    """One flag a pixel of the output; all False where the mask lies on another grid."""
    if void_mask is None or np.size(void_mask) != pixels:
        return np.zeros(pixels, dtype=bool)
    return np.asarray(void_mask, dtype=bool).reshape(-1)


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= _SAME * max(1e-3, abs(first), abs(second))
