"""A model of several inputs as a model of one, whose channels hold them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from segdoctor.recorder.surgery import keras_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where an input lies in the packed image: channels ``start`` to ``stop``. ``shape`` of one
    example is None for a map of the image's size; the numbers of any other lie one after another
    in as many channels as they need, with zeros behind them."""

    start: int
    stop: int
    shape: tuple[int, ...] | None
    dtype: str


def places_of(
    shapes: Sequence[tuple[int | None, ...]], dtypes: Sequence[str], size: tuple[Any, Any]
) -> tuple[Place, ...] | None:
    """Where inputs of these shapes (each of one example) lie in an image of ``size`` (H, W), the
    first of them that image itself; None where an input's size is not known."""
    found: list[Place] = []
    start = 0
    for shape, dtype in zip(shapes, dtypes, strict=True):
        if len(shape) == 3 and tuple(shape[:2]) == tuple(size):
            known, channels = None, shape[2]
        elif None in (*shape, *size):
            return None
        else:
            known = tuple(int(n or 1) for n in shape)
            channels = -(-int(np.prod(known)) // (size[0] * size[1]))
        if channels is None:
            return None
        found.append(Place(start, start + int(channels), known, dtype))
        start += int(channels)
    return tuple(found)


def pack(parts: Sequence[Any], places: Sequence[Place]) -> Any:
    """The inputs of a batch as one float32 array (B, H, W, channels); arrays or tensors."""
    import tensorflow as tf

    if not any(tf.is_tensor(part) for part in parts):
        return _packed(np, [np.asarray(part, np.float32) for part in parts], places)
    return _packed(tf, [tf.cast(part, tf.float32) for part in parts], places)


def _packed(of: Any, parts: list[Any], places: Sequence[Place]) -> Any:
    """``of``: NumPy or TensorFlow."""
    shape = parts[0].shape if of is np else of.shape(parts[0])
    examples, height, width = shape[0], shape[1], shape[2]
    maps = []
    for part, place in zip(parts, places, strict=True):
        if place.shape is not None:
            size, channels = int(np.prod(place.shape)), place.stop - place.start
            flat = of.reshape(part, (examples, size))
            missing = height * width * channels - size
            flat = of.pad(flat, ((0, 0), (0, missing)))
            part = of.reshape(flat, (examples, height, width, channels))
        maps.append(part)
    return of.concatenate(maps, -1) if of is np else of.concat(maps, -1)


def one_input(model: Any, places: Sequence[Place], order: Sequence[Any], size: Any) -> Any:
    """``packed image -> model(inputs)``, with the layers and weights of ``model``.

    Parameters
    ----------
    order : for each place, the key of the model's input, or its place in the model's list.
    """
    keras = keras_of(model)
    image = keras.Input((*size, places[-1].stop))
    held = [[place.start, place.stop, place.shape, place.dtype] for place in places]
    parts = _unpack_layer(keras)(held, name="inputs_apart")(image)
    if all(isinstance(key, str) for key in order):
        given: Any = dict(zip(order, parts, strict=True))
    else:
        given = [part for _, part in sorted(zip(order, parts, strict=True), key=lambda p: p[0])]
    return keras.Model(image, model(given), name=model.name)


@cache
def _unpack_layer(keras: Any) -> Any:
    import tensorflow as tf

    class InputsApart(keras.layers.Layer):  # type: ignore[misc]
        """Takes the packed image apart."""

        def __init__(self, places: list[Any], **options: Any) -> None:
            super().__init__(**options)
            self.places = places

        def call(self, packed: Any) -> list[Any]:
            given = []
            for start, stop, shape, dtype in self.places:
                part = packed[..., start:stop]
                if shape is not None:
                    count = int(np.prod(shape))
                    flat = tf.reshape(part, (tf.shape(part)[0], -1))[:, :count]
                    part = tf.reshape(flat, (-1, *shape))
                given.append(tf.cast(part, dtype))
            return given

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "places": self.places}

    return InputsApart
