"""The same batch as ``fit`` and as ``predict`` call the model, noise apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from segdoctor.recorder.layers import is_batch_norm, walk
from segdoctor.recorder.recalibrate import replaced_call


@contextmanager
def without_noise(model: Any, also: Iterable[Any] = ()) -> Iterator[int]:
    """Dropout and other layers that draw random numbers as in inference; how many there are.

    ``also``: layers of which that is known although they hold no generator of Keras'.
    """
    known = {id(layer) for layer in also}
    noisy = [layer for _, layer in walk(model) if id(layer) in known or draws_noise(layer)]
    with ExitStack() as stack:
        for layer in noisy:
            stack.enter_context(replaced_call(layer, _as_in_inference))
        yield len(noisy)


def draws_noise(layer: Any) -> bool:
    """Whether a layer draws random numbers in training mode: dropout, noise, augmentation."""
    if is_batch_norm(layer) or hasattr(layer, "layers"):
        return False
    held = vars(layer)
    return "training" in arguments_of(layer) and (
        held.get("_random_generator") is not None
        or any(type(value).__name__ == "SeedGenerator" for value in held.values())
    )


def seed_noise(model: Any, seed: int) -> None:
    """Set the seed generators of all layers that draw noise. Those of tf_keras follow TensorFlow's
    global seed. Restore with :func:`segdoctor.recorder.snapshot.preserved`."""
    noisy = (layer for _, layer in walk(model) if draws_noise(layer))
    for place, layer in enumerate(noisy):
        for held in vars(layer).values():
            if type(held).__name__ == "SeedGenerator":
                held.state.assign([seed, place])


def arguments_of(layer: Any) -> tuple[str, ...]:
    """Names of the arguments of a layer's ``call``."""
    code = getattr(layer.call, "__wrapped__", layer.call)
    code = getattr(getattr(code, "__func__", code), "__code__", None)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()


def _as_in_inference(original: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs["training"] = False
    return original(*args[:1], **kwargs)


def output_gap(one: Any, other: Any) -> float:
    """``mean|one - other| / std(one)`` over all values of the first output."""
    a, b = (np.asarray(first_output(y), dtype=np.float32) for y in (one, other))
    with np.errstate(invalid="ignore"):  # outputs of NaN and Inf have a gap of NaN
        spread = float(np.std(a, dtype=np.float64))
        difference = float(np.mean(np.abs(a - b), dtype=np.float64))
    if difference == 0.0:
        return 0.0
    return difference / spread if spread > 0.0 else float("inf")


def first_output(y: Any) -> Any:
    """The first tensor of a model's output structure."""
    while isinstance(y, list | tuple | dict):
        y = next(iter(y.values())) if isinstance(y, dict) else y[0]
    return y
