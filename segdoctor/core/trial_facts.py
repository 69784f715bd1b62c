"""What a trial measured: the trained runs, and the examples that the report draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AS_IT_IS = "as it is"
WITH_FIXES = "with the fixes"
CONTROL = "control: right loss, Adam"


def exchanged_name(parts: Sequence[str]) -> str:
    """How a run with these parts exchanged is called."""
    if len(parts) == 4:
        return "all parts exchanged"
    return " and ".join(", ".join(parts).rsplit(", ", 1)) + " exchanged"


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One trained run of the overfit trial.

    ``miou_training`` / ``miou_inference``: mean IoU over the classes present in the batch, void
    left out, with BN on batch statistics and in inference mode with recalibrated statistics.
    ``ceiling`` is the best that the grid of the logits allows; ``constant`` that of the best
    constant predictor. ``curve`` holds ``(step, loss, miou_training or None)``.
    ``seeds`` holds ``miou_training`` of each seed where chance could decide; the run is then the
    middle one. ``exchanged`` names the parts that known-good ones stood in for: ``"model"``,
    ``"data"``, ``"loss"``, ``"optimizer"``.
    """

    name: str
    patch: Mapping[str, object]
    steps: int
    seconds: float
    loss_first: float
    loss_last: float
    miou_training: float
    miou_inference: float
    ceiling: float
    constant: float
    verdict: str
    per_class: Mapping[int, float] = field(default_factory=dict)
    curve: tuple[tuple[int, float, float | None], ...] = ()
    note: str = ""
    exchanged: tuple[str, ...] = ()
    predicted: int | None = None
    seeds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Arrays that the report draws: examples before and after.

    ``image`` uint8 (H, W, 3); ``label`` and the ``predictions`` integer (H, W), by run name.
    ``tiles``: caption → uint8 (H, W, 3), drawn in their place where there are some.
    """

    name: str
    image: Any
    label: Any
    predictions: Mapping[str, Any] = field(default_factory=dict)
    tiles: Mapping[str, Any] = field(default_factory=dict)
