"""The small arrays that a loss is asked about: labels in every form, predictions of every sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Question(NamedTuple):
    """One question. ``y_true`` in one of the forms of :meth:`Sheet.forms`, ``y_pred`` float32
    of shape ``(B, *spatial, channels)``; ``name`` says what is asked, for the report;
    ``sample_weight`` (B, *spatial) is a map of weights, None for none."""

    y_true: Array
    y_pred: NDArray[np.float32]
    name: str
    sample_weight: Array | None = None


@dataclass(frozen=True, eq=False)
class Sheet:
    """One drawn batch. ``ids`` (B, *spatial) with as many classes as fit, ``wrong`` a different
    id at every pixel, ``void`` a mask of some pixels in every image."""

    channels: int
    ids: Array
    wrong: Array
    void: NDArray[np.bool_]

    @classmethod
    def draw(
        cls,
        channels: int,
        spatial: tuple[int, ...],
        seed: int,
        *,
        batch: int = 2,
        exact: bool = False,
    ) -> Sheet:
        """All lengths differ from each other's neighbours and from ``channels``, so that no two
        axes broadcast against each other by accident; ``exact`` leaves them as they are."""
        lengths = [batch, *spatial]
        if not exact:
            lengths = [_other_than(channels, length) for length in lengths]
        rng = np.random.default_rng(seed)
        classes = max(channels, 2)
        pixels = int(np.prod(lengths))
        ids = rng.permutation(np.arange(pixels) % classes).reshape(lengths)
        step = 1 + rng.integers(0, classes - 1, size=lengths) if classes > 2 else 1
        void = rng.permutation(np.arange(pixels) % 6 == 0).reshape(lengths[0], -1)
        void[:, 0], void[:, 1] = True, False
        return cls(channels, ids, (ids + step) % classes, void.reshape(lengths))

    def forms(self) -> tuple[str, ...]:
        """Label layouts: ids, ids with a channel axis, one-hot."""
        return ("BHW", "BHW1") if self.channels == 1 else ("BHWC", "BHW", "BHW1")

    @property
    def onehot(self) -> NDArray[np.float32]:
        return self.one_hot(self.ids)

    def one_hot(self, ids: Array) -> NDArray[np.float32]:
        """0/1 per channel, float32; with one channel the second of two classes is the 1."""
        if self.channels == 1:
            return np.asarray((ids == 1)[..., None], dtype=np.float32)
        return np.asarray(ids[..., None] == np.arange(self.channels), dtype=np.float32)

    def encode(self, ids: Array, form: str) -> Array:
        """``ids`` in one form; ids are int32 as a mask reader gives them."""
        if form == "BHWC":
            return self.one_hot(ids)
        return (ids if form == "BHW" else ids[..., None]).astype(np.int32)

    def labels(self, form: str) -> Array:
        return self.encode(self.ids, form)

    def near(self, degree: float, ids: Array | None = None) -> NDArray[np.float32]:
        """From uniform (0) over sure (1) to beyond [0, 1] (> 1), still summing to one."""
        target = self.one_hot(self.ids if ids is None else ids)
        middle = 0.5 if self.channels == 1 else 1.0 / self.channels
        return (middle + degree * (target - middle)).astype(np.float32)

    def push(self, degree: float, ids: Array | None = None) -> NDArray[np.float32]:
        """``+degree`` at the class, ``-degree`` at all others: right only for logits."""
        target = self.one_hot(self.ids if ids is None else ids)
        return (degree * (2.0 * target - 1.0)).astype(np.float32)

    def predict(self, degree: float, scale: str, ids: Array) -> NDArray[np.float32]:
        """A prediction of ``ids`` at the scale that the loss takes."""
        return self.push(degree, ids) if scale == "logits" else self.near(degree, ids)

    def degrees(self, scale: str) -> tuple[float, ...]:
        """From hesitant to sure."""
        return (0.5, 2.0, 6.0) if scale == "logits" else (0.3, 0.8, 0.98)

    def path(self, scale: str, steps: int) -> tuple[float, ...]:
        """``steps`` degrees from undecided to sure."""
        last = 6.0 if scale == "logits" else 0.999
        return tuple(last * step / (steps - 1) for step in range(steps))

    def ask(self, form: str, degree: float, scale: str, ids: Array, name: str) -> Question:
        """The labels of the sheet with a prediction of ``ids``."""
        return Question(
            self.labels(form), self.predict(degree, scale, ids), f"{name} at {degree:g}, {form}"
        )

    def soft(self) -> NDArray[np.float32]:
        """Uneven probabilities well inside (0, 1), summing to one; also legal as logits."""
        rng = np.random.default_rng(1)
        if self.channels == 1:
            return rng.uniform(0.2, 0.8, size=(*self.ids.shape, 1)).astype(np.float32)
        weights = rng.uniform(0.5, 1.5, size=(*self.ids.shape, self.channels))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float32)

    def scores(self, factor: float = 1.0, shift: float = 0.0) -> NDArray[np.float32]:
        """Normally distributed scores times ``factor``, each pixel shifted by its own constant."""
        rng = np.random.default_rng(2)
        scores = rng.normal(size=(*self.ids.shape, self.channels))
        constant = shift * rng.uniform(0.5, 1.5, size=(*self.ids.shape, 1))
        return np.asarray(factor * scores + constant, dtype=np.float32)


def _other_than(channels: int, length: int) -> int:
    return length + 1 if length == channels else length
