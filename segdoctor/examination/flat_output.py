"""A binary output without a channel axis, (B, H·W): it is examined as (B, H·W, 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of


def with_a_channel(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with one channel behind the pixels of a functional model's output of rank 2;
    as it was for other models.

    What comes of a network that ends in ``Reshape((H * W,))`` or ``Flatten``. A loss is handed
    what it is handed in the run.
    """
    outputs = getattr(request.model, "outputs", None)
    if not isinstance(outputs, list | tuple) or len(outputs) != 1 or len(outputs[0].shape) != 2:
        return request, ()
    image = getattr(request.model, "inputs", [])
    size = outputs[0].shape[-1]
    if len(image) != 1 or len(image[0].shape) != 4 or size is None or size < 2:
        return request, ()
    if image[0].shape[1] is None or size != image[0].shape[1] * image[0].shape[2]:
        return request, ()  # no map of the image's pixels
    from segdoctor.recorder.surgery import keras_of

    model, keras = request.model, keras_of(request.model)
    loss = request.loss if request.loss is not None else compiled_loss(model)
    optimizer = request.optimizer if request.optimizer is not None else optimizer_of(model)
    made = keras.Model(model.inputs, keras.layers.Reshape((size, 1))(outputs[0]), name=model.name)
    view = replace(request, model=made, loss=_as_given(loss, keras), optimizer=optimizer)
    return view, (f"the output (B, {size}) is one channel without an axis of its own",)


def _as_given(loss: Any, keras: Any) -> Any:
    """Keras itself takes the channel away again for names and functions, not for a ``Loss``."""
    own = isinstance(loss, keras.losses.Loss) and not type(loss).__module__.startswith(
        ("keras.", "tf_keras.")
    )
    if not own:
        return loss

    def without_the_channel(y_true: Any, y_pred: Any) -> Any:
        one_more = y_pred.shape.rank == y_true.shape.rank + 1
        return loss(y_true, y_pred[..., 0] if one_more else y_pred)

    without_the_channel.__name__ = type(loss).__name__
    return without_the_channel
