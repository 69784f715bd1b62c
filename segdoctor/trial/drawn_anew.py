"""The run on batches that its own pipeline draws anew: a fixed batch hides what changes between
draws, such as labels that are permuted or images that are replaced each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.finding import Verdict
from segdoctor.core.run import Batch, Draws
from segdoctor.core.trial_facts import TrialRun
from segdoctor.trial.bench import Bench
from segdoctor.trial.judge import BAR, FAILS, LEARNS

SAME = "the same examples, drawn anew at each step"
OTHERS = "other examples at each step"
TIMES = 3  # as many steps as with the batch held still, before nothing is said to be learnt
FEW = 20  # steps on other examples
LOOKS = 5  # draws that are compared with the batch
_OF_THE_BATCH = ("labels.", "data.", "model.stand_in")
CHANGES = "DATA016"


@dataclass(frozen=True, slots=True)
class Redrawn:
    """The ``run`` on new draws, and whether they were of the ``same`` examples."""

    run: TrialRun
    same: bool

    def verdict_on(self, codes: Sequence[str], held_still: TrialRun) -> dict[str, Verdict]:
        """Of a pair that changes between draws: decisive where only the batch held still is
        learnt."""
        if not self.same or CHANGES not in codes or not _nothing_learnt(self.run, held_still):
            return {}
        words = f"mIoU {held_still.miou_training:.2f} with the batch held still, {_score(self.run)}"
        return {CHANGES: Verdict("confirmed", "decisive", f"{words} with {SAME}")}


def redrawn(bench: Bench, held_still: TrialRun, patch: Mapping[str, Any]) -> Redrawn | None:
    """Train once more on new draws; None where nothing changes between draws, the run did not
    learn the batch held still, or the budget does not hold it (said in a note)."""
    draws = bench.clinic.draws
    if draws is None or held_still.verdict not in LEARNS:
        return None
    if any(name.startswith(_OF_THE_BATCH) for name in patch):
        return None
    batch = bench.treat(patch).batch
    assert batch is not None
    name = SAME if draws.same else OTHERS
    try:
        if draws.same and not _change(draws, batch):
            return None
        if bench.left < 1.5 * held_still.seconds:
            bench.notes.append(f"not tried with {name}: the budget was spent (--budget)")
            return None
        steps = bench.planned if draws.same else min(bench.planned, FEW)
        run = bench.train(name, patch, steps=steps, most=steps, draw=lambda: _fitting(draws, batch))
        if not draws.same and run.steps and run.verdict in FAILS:
            # Nothing is wrong with a net that does not know examples which it saw once.
            run = bench.trials[-1] = replace(run, verdict="cannot tell")
    except ValueError as error:
        bench.notes.append(f"not tried with {name}: {error}")
        return None
    bench.notes.append(_in_words(run, held_still, name))
    return Redrawn(run, draws.same)


def _nothing_learnt(run: TrialRun, held_still: TrialRun) -> bool:
    """No better than a constant predictor, in several times the steps that the batch needed while
    it was held still."""
    enough = run.steps >= TIMES * held_still.steps
    return enough and run.miou_training <= run.constant + BAR.margin


def _change(draws: Draws, batch: Batch) -> bool:
    """Whether a draw of the same examples gives other arrays."""
    return any(
        not np.array_equal(getattr(again, part), getattr(batch, part))
        for again in (draws.draw() for _ in range(LOOKS))
        for part in ("x", "y")
    )


def _fitting(draws: Draws, batch: Batch) -> Batch:
    """A draw of the batch's shape: the last batch of a pass is often smaller.

    Raises
    ------
    ValueError
        If none of some draws has it.
    """
    shapes = np.shape(batch.x), np.shape(batch.y)
    for _ in range(LOOKS):
        again = draws.draw()
        if (np.shape(again.x), np.shape(again.y)) == shapes:
            return again
    raise ValueError(f"expected batches of {shapes[0]}, received {np.shape(again.x)}")


def _in_words(run: TrialRun, held_still: TrialRun, name: str) -> str:
    told = f"with {name} the run gets to {_score(run)} on the batch in {run.steps} steps"
    told += f", {held_still.miou_training:.2f} in {held_still.steps} with the batch held still"
    if name == SAME and _nothing_learnt(run, held_still):
        told += (
            ": image and label change apart from draw to draw, or the augmentation is more than "
            "so few steps can learn"
        )
    return told


def _score(run: TrialRun) -> str:
    return f"mIoU {run.miou_training:.2f}" if run.steps else f"no score ({run.note})"
