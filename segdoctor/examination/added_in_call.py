"""A subclassed model that takes the labels as an input and makes its loss inside its call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.probe import NotExaminedError
from segdoctor.examination.request import Request
from segdoctor.examination.settling import optimizer_of


def call_taken_apart(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with the part from image to scores as the model, and what the call adds as the
    loss; ``request.data`` are arrays of the two inputs.

    Raises
    ------
    UserError
        The call cannot be taken apart.
    """
    import tensorflow as tf

    from segdoctor.recorder.loss_in_call import LossInCall, from_image

    model, both = request.model, request.data[0]
    named = isinstance(both, Mapping)
    names = list(both) if named else []
    arrays = [np.asarray(part) for part in (both.values() if named else both)]

    def inputs(first: Any, second: Any) -> Any:
        return dict(zip(names, (first, second), strict=True)) if named else [first, second]

    try:
        found = LossInCall(model, (arrays[0][:2], arrays[1][:2]), inputs)
    except NotExaminedError as why:
        raise UserError(
            f"model {clean(getattr(model, 'name', '?'))!r}: it takes the labels as an input and "
            f"makes its loss inside its call, which was not taken apart: {why}. Give the part that "
            "leads from image to scores as the model, loss=, and data=(x, y)."
        ) from why
    image, label = arrays[found.image], arrays[1 - found.image]
    net = from_image(model, found.image, label[0], inputs)
    net(tf.convert_to_tensor(image[:1]))

    def added_loss(y_true: Any, y_pred: Any) -> Any:
        return found(y_true, y_pred)

    added_loss.__name__ = "add_loss of the call"
    optimizer = request.optimizer if request.optimizer is not None else optimizer_of(model)
    view = replace(request, model=net, loss=added_loss, optimizer=optimizer, data=(image, label))
    return view, (
        "the loss is the one that the model's call adds (add_loss); it is asked by itself",
    )
