"""A flattened output with its classes first, (B, C, H·W): it is examined as (B, H·W, C)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.examination.feeding import is_folder
from segdoctor.examination.mapped import mapped
from segdoctor.examination.own_training import peeked
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of

_STRIDES = (1, 2, 4, 8, 16, 32)


def with_classes_last(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with output and labels turned, where a functional model's output is such a one
    and the labels lie as it does; as it was for other runs. The loss is handed what it is handed
    in the run."""
    model = request.model
    loss = request.loss if request.loss is not None else compiled_loss(model)
    found = _shape(model)
    if found is None or loss is None or request.data is None or is_folder(request.data):
        return request, ()
    batch, request = peeked(request)
    y = np.asarray(batch.y)
    if y.shape[1:] not in (found, found[1:]):
        return request, ()
    import tensorflow as tf

    from segdoctor.recorder.adapted_loss import adapted_loss
    from segdoctor.recorder.surgery import keras_of

    def turned(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        first = tf.transpose(y_pred, (0, 2, 1))
        if y_true.shape.rank == 3 and y_true.shape[-1] == y_pred.shape[-1]:
            y_true = tf.transpose(y_true, (0, 2, 1))
        return y_true, first, sample_weight

    def item_of(item: Any) -> Any:
        labels = item[1]
        if len(labels.shape) == 3 and tf.is_tensor(labels):
            labels = tf.transpose(labels, (0, 2, 1))
        elif len(labels.shape) == 3:
            labels = np.moveaxis(np.asarray(labels), 1, 2)
        return (item[0], labels, *item[2:])

    keras = keras_of(model)
    last = keras.layers.Permute((2, 1))(model.outputs[0])
    optimizer = request.optimizer if request.optimizer is not None else optimizer_of(model)
    view = replace(
        request,
        model=keras.Model(model.inputs, last, name=model.name),
        loss=adapted_loss(loss, model, turned),
        optimizer=optimizer,
        metrics=[],
        data=mapped(request.data, item_of),
    )
    note = f"the output (B, {found[0]}, {found[1]}) has its classes first: it is turned, and asked"
    return view, (f"{note} in the layout of the run; metrics are not asked",)


def _shape(model: Any) -> tuple[int, int] | None:
    """``(C, H·W)`` of a model's only output; None for another one."""
    outputs, inputs = getattr(model, "outputs", None), getattr(model, "inputs", None)
    if not isinstance(outputs, list | tuple) or not isinstance(inputs, list | tuple):
        return None
    if len(outputs) != 1 or len(inputs) != 1 or len(outputs[0].shape) != 3:
        return None
    first, second = outputs[0].shape[1:]
    image = inputs[0].shape
    if len(image) != 4 or None in (first, second, *image[1:3]):
        return None
    grids = {(image[1] // s) * (image[2] // s) for s in _STRIDES}
    return (first, second) if second in grids and first not in grids else None
