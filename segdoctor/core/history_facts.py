"""What a training reported epoch by epoch, and the callbacks that watched it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """The curves of one training.

    ``series`` maps a key as training reports it (``"loss"``, ``"val_mean_iou"``) to one value an
    epoch, NaN where an epoch has none. ``epochs`` are the epochs' numbers as they were written.
    ``unwritten``: of a key that was not written to the end, the epochs that are left.
    """

    source: str
    epochs: tuple[int, ...]
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unwritten: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.epochs)


@dataclass(frozen=True, slots=True)
class CallbackFacts:
    """A callback that watches a key.

    ``direction`` is what it really does: ``"min"``, ``"max"``, ``"raises"`` (Keras 3 cannot tell
    by itself and fit stops with an error) or ``"unknown"``. ``mode`` is what the user wrote.
    ``start`` is the first epoch that counts, ``baseline`` what has to be beaten before patience
    counts anew. ``written_by``: a callback of the user's own, before this one in the list, that
    may write the key into the logs.
    """

    kind: str  # "EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"
    monitor: str
    mode: str = "auto"
    direction: str = "unknown"
    patience: int | None = None
    min_delta: float = 0.0
    factor: float | None = None
    min_rate: float = 0.0
    restores: bool | None = None
    saves_best: bool | None = None
    start: int = 0
    baseline: float | None = None
    cooldown: int = 0
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class Training:
    """What is known of the training around the model.

    ``validation``: True (there is some), False (there is none), None (unknown). ``reported`` are
    the keys that the compiled metrics will report, without ``val_`` (and the losses of each of
    several outputs); empty where unknown.
    """

    validation: bool | None = None
    reported: tuple[str, ...] = ()
    callbacks: tuple[CallbackFacts, ...] | None = None
