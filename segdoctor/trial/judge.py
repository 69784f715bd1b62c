"""What a trial's curve and scores mean: learns, slow, does not learn …

Never an absolute number: success is measured against the ceiling of the model's grid, failure
against the best constant predictor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from segdoctor.core.trial_facts import TrialRun


@dataclass(frozen=True, slots=True)
class Bar:
    """The limits a trial is judged by.

    ``success``: share of the ceiling that counts as learnt. ``margin``: how far above the best
    constant predictor a score must be to say that something of the image was learnt.
    ``falls``: share of the first loss that the loss must still lose over the last third to be
    called falling. ``half``: share of the ceiling from which on a run is on its way, however
    slow. ``holds``: share of the training-mode mIoU that must survive inference mode. ``close``:
    share of the ceiling on either side of ``success`` within which chance may decide.
    ``steps``: a run that did not learn in fewer is not held against any of its parts.
    ``fewest``: steps below which nothing is told of a run that has not learnt.
    """

    success: float = 0.9
    margin: float = 0.05
    falls: float = 0.02
    holds: float = 0.7
    half: float = 0.5
    close: float = 0.03
    steps: int = 40
    fewest: int = 6


BAR = Bar()

CUT_SHORT = "stopped by the budget"
LEARNS = ("learns", "learns in training mode only")
SLOW = "slow"
FAILS = ("does not learn", "learns the prior only", "diverges", "cannot run")


def learnt(miou: float, ceiling: float, bar: Bar = BAR) -> bool:
    return miou >= bar.success * ceiling


def share_of_ceiling(run: TrialRun) -> float:
    """mIoU in training mode as a share of the ceiling; 0 for a run that took no step."""
    return run.miou_training / run.ceiling if run.steps and run.ceiling else 0.0


def settles(run: TrialRun, bar: Bar = BAR) -> bool:
    """Whether a run on its own, without an error, shows that it learns. A slow one does, unless
    the budget cut it short before anything of the image was learnt."""
    if run.verdict != SLOW:
        return run.verdict == "learns"
    return run.note != CUT_SHORT or run.miou_training > run.constant + bar.margin


def falling(losses: Sequence[float], bar: Bar = BAR) -> bool:
    """Whether the loss still falls over the last third."""
    third = max(len(losses) // 3, 2)
    before, after = median(losses[-2 * third : -third]), median(losses[-third:])
    return (before - after) / max(abs(losses[0]), 1e-12) > bar.falls


def verdict_of(
    losses: Sequence[float],
    miou_training: float,
    miou_inference: float,
    ceiling: float,
    constant: float,
    bar: Bar = BAR,
) -> str:
    """One of: ``learns``, ``learns in training mode only``, ``slow``, ``learns the prior only``,
    ``does not learn``, ``diverges``, ``cannot tell``."""
    if not losses:
        return "cannot tell"
    if not all(math.isfinite(value) for value in losses):
        return "diverges"
    if learnt(miou_training, ceiling, bar):
        lost = miou_inference < bar.holds * miou_training
        return "learns in training mode only" if lost else "learns"
    if len(losses) < bar.fewest:
        return "cannot tell"
    if miou_training > constant + bar.margin:
        return "slow"
    if falling(losses, bar):
        return "slow"
    scale = max(abs(losses[0]), 1e-12)
    after = median(losses[-max(len(losses) // 3, 2) :])
    if after > losses[0] + 0.5 * scale:
        return "diverges"
    fell = (losses[0] - after) / scale > 5 * bar.falls
    return "learns the prior only" if fell else "does not learn"
