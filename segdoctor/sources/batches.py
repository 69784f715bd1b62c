"""Batches of the user's own: arrays, ``tf.data``, ``PyDataset``, generators.

Nothing is imported of TensorFlow: whatever has ``.numpy()`` or an array interface is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.run import Batch, Draws
from segdoctor.sources.patience import in_time

_EXPECTED = "(x, y) or (x, y, sample_weight)"


@dataclass(frozen=True, slots=True)
class Taken:
    """The first batches of the user's data.

    ``kind``: ``"arrays"``, ``"tf.data"``, ``"PyDataset"``, ``"generator"``, ``"callable"`` or
    ``"iterable"``; ``length`` is the number of batches where it is known; ``lost`` counts the
    batches that the user's generator no longer gives.
    """

    batches: tuple[Batch, ...]
    kind: str
    length: int | None = None
    lost: int = 0
    notes: tuple[str, ...] = ()


def batch_from_arrays(data: Any, *, batch_size: int | None = None) -> tuple[Batch, tuple[str, ...]]:
    """The first batch of whatever the user gives as data, and what is to be said of taking it;
    see :func:`take_batches`."""
    taken = take_batches(data, 1, batch_size=batch_size)
    return taken.batches[0], taken.notes


def take_batches(data: Any, count: int = 1, *, batch_size: int | None = None) -> Taken:
    """Take the first ``count`` batches.

    Parameters
    ----------
    data : (x, y) or (x, y, sample_weight) arrays, dataset, PyDataset, generator or callable
        Arrays are cut into batches of ``batch_size`` (32, as Keras does). A generator loses what
        is taken; a callable without arguments that makes one loses nothing.

    Raises
    ------
    UserError
        No batch, or arrays that do not fit each other.
    """
    if isinstance(data, (tuple, list)):
        return _from_arrays(data, count, batch_size or 32)
    kind, source, length = opened(data)
    try:
        taken = [_batch(item, kind) for item in islice(source, count)]
    finally:
        close = getattr(source, "close", None)
        if kind == "callable" and callable(close):
            close()
    if not taken:
        raise UserError(f"The data give no batch: expected {_EXPECTED}. Received: an empty {kind}.")
    lost = len(taken) if kind == "generator" else 0
    notes: tuple[str, ...] = ()
    if lost:
        batches = "batch was" if lost == 1 else "batches were"
        notes = (
            f"{lost} {batches} read from the generator and {'is' if lost == 1 else 'are'} lost to "
            "it; give a function that makes it, and nothing is",
        )
    return Taken(tuple(taken), kind, length, lost, notes)


def _from_arrays(data: tuple[Any, ...] | list[Any], count: int, batch_size: int) -> Taken:
    x, y, weight = parts_of(data, "arrays")
    length = -(-len(x) // batch_size)
    batches = []
    for start in range(0, min(len(x), count * batch_size), batch_size):
        part = slice(start, start + batch_size)
        batches.append(
            Batch(
                x=np.array(x[part]),
                y=np.array(y[part]),
                sample_weight=None if weight is None else np.array(weight[part]),
                source="arrays",
            )
        )
    return Taken(tuple(batches), "arrays", length)


def opened(data: Any) -> tuple[str, Iterator[Any], int | None]:
    """``(kind, iterator over batches, number of batches)``; a batch that never comes is an error
    after a while (:mod:`.patience`)."""
    kind, source, length = _source_of(data)
    return kind, in_time(source, kind), length


def draws_of(data: Any) -> Draws | None:
    """How to draw the user's data anew; None for arrays, which never change, and for a generator,
    which would lose what is drawn. What is indexed gives its first batch again."""
    if isinstance(data, (tuple, list)) or hasattr(data, "__next__"):
        return None
    if _is_indexed(data):
        return Draws(lambda: take_batches(data).batches[0], same=True)
    passing = _passing(data)
    return Draws(lambda: next(passing), same=False)


def _passing(data: Any) -> Iterator[Batch]:
    """Batch after batch, pass after pass."""
    while True:
        kind, source, _ = opened(data)
        for item in source:
            yield _batch(item, kind)


def _is_indexed(data: Any) -> bool:
    has_items = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return has_items and not _is_array(data) and not hasattr(data, "element_spec")


def _source_of(data: Any) -> tuple[str, Iterator[Any], int | None]:
    if hasattr(data, "element_spec"):
        return "tf.data", iter(data), _known_length(data)
    if _is_indexed(data):
        length = _known_length(data)
        return "PyDataset", (data[i] for i in range(length or 0)), length
    if hasattr(data, "__next__"):
        return "generator", data, None
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        if not _is_array(data):
            return "iterable", iter(data), _known_length(data)
    elif callable(data):
        made = _called(data)
        return "callable", iter(made), None
    raise UserError(
        f"Data are a folder, {_EXPECTED} arrays, a tf.data.Dataset, a PyDataset, a generator, or a "
        f"function that makes one. Received: {clean(type(data).__name__)}."
    )


def _called(make: Callable[[], Any]) -> Iterable[Any]:
    try:
        made = make()
    except TypeError as error:
        raise UserError(
            f"The function given as data must take no argument: {clean(error, 120)}."
        ) from error
    if not isinstance(made, Iterable):
        raise UserError(
            "The function given as data must make a generator. Received: "
            f"{clean(type(made).__name__)}."
        )
    return made


def _known_length(data: Any) -> int | None:
    try:
        length = len(data)
    except TypeError:  # tf.data of unknown or infinite length
        return None
    return length if length >= 0 else None


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _batch(item: Any, kind: str) -> Batch:
    x, y, weight = parts_of(item, kind)
    # Copies: a generator may hand out the same buffer again.
    return Batch(
        x=np.array(x),
        y=np.array(y),
        sample_weight=None if weight is None else np.array(weight),
        source="dataset",
    )


def parts_of(item: Any, kind: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    what = "The data" if kind == "arrays" else f"A batch of the {kind}"
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        received = f"{len(item)} parts" if isinstance(item, (tuple, list)) else type(item).__name__
        raise UserError(f"{what} must be {_EXPECTED}. Received: {clean(received)}.")
    x = item[0]
    if isinstance(x, list | tuple) and len(x) == 1 and np.ndim(x[0]) == 4:
        x = x[0]
    x = _array(x, "x", what)
    y = _array(_one_label(item[1], len(x) if x.ndim else 0, what), "y", what)
    weight = None
    if len(item) == 3 and item[2] is not None:
        weight = _array(item[2], "sample_weight", what)
    if x.ndim != 4:
        raise UserError(
            f"{what}: x must be images of shape (B, H, W, channels). Received: x.shape={x.shape}."
        )
    if y.ndim < 2:
        raise UserError(
            f"{what}: y must be masks, ids (B, H, W) or one-hot (B, H, W, classes). Received: "
            f"y.shape={y.shape}."
        )
    for name, array in (("y", y), ("sample_weight", weight)):
        if array is not None and (not array.ndim or len(array) != len(x)):
            raise UserError(
                f"{what}: x and {name} must have the same number of examples. Received: "
                f"x.shape={x.shape}, {name}.shape={array.shape}."
            )
    if not len(x):
        raise UserError(f"{what} must hold an example. Received: x.shape={x.shape}.")
    return x, y, weight


def _one_label(y: Any, examples: int, what: str) -> Any:
    """The labels in a list or dict of one; whole batches in a list are several outputs'."""
    if isinstance(y, Mapping) and len(y) == 1:
        return next(iter(y.values()))
    if not isinstance(y, list | tuple) or len(y) == examples != 1:
        return y
    if not all(np.ndim(part) > 2 and len(part) == examples for part in y):
        return y
    if len(y) == 1:
        return y[0]
    raise UserError(
        f"{what}: one label is examined, or one for each output that the model has. Received: y "
        f"is a list of {len(y)} arrays, of shape {np.shape(y[0])}, …; give y[0]."
    )


def _array(value: Any, name: str, what: str) -> NDArray[Any]:
    if isinstance(value, Mapping):
        keys = ", ".join(clean(key, 30) for key in list(value)[:4])
        raise UserError(
            f"{what}: one image input and one label are examined. Received: {name} is a dict with "
            f"{keys}."
        )
    if hasattr(value, "detach"):  # a torch tensor, maybe on a device
        value = value.detach().cpu()
    if hasattr(value, "numpy"):
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of arrays of different shape
        raise UserError(f"{what}: {name} is no array: {clean(error, 120)}.") from error
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise UserError(
            f"{what}: {name} must hold numbers. Received: {name}.dtype={clean(array.dtype)}."
        )
    return array
