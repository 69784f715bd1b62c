"""Further seeds, only where they decide: dropout and the like draw, and a score lies at the bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from segdoctor.core.trial_facts import AS_IT_IS, WITH_FIXES, TrialRun
from segdoctor.recorder.layers import walk
from segdoctor.recorder.modes import draws_noise
from segdoctor.trial.bench import Bench
from segdoctor.trial.judge import BAR, share_of_ceiling

SEEDS = 3
_T95 = 4.303  # Student's t, two-sided 95 %, two degrees of freedom


def of_chance(
    bench: Bench, as_is: TrialRun, fixed: TrialRun, fixes: Mapping[str, Any]
) -> tuple[TrialRun, TrialRun, tuple[float, ...]]:
    """The two runs, each the middle one of :data:`SEEDS` seeds where either lies so close to the
    bar that chance may decide, and the gain of the fixes by seed; () where one seed was enough."""
    close = [abs(share_of_ceiling(run) - BAR.success) < BAR.close for run in (as_is, fixed)]
    if not any(close) or not all(run.steps for run in (as_is, fixed)) or not _noisy(bench):
        return as_is, fixed, ()
    if bench.left < 1.2 * (SEEDS - 1) * (as_is.seconds + fixed.seconds):
        bench.notes.append(
            "a score lies at the bar, where another seed may decide otherwise: the budget has no "
            "room for more of them (--budget)"
        )
        return as_is, fixed, ()
    patches: dict[str, Mapping[str, Any]] = {AS_IT_IS: {}, WITH_FIXES: fixes}
    held = {run.name: [run, *_others(bench, run, patches[run.name])] for run in (as_is, fixed)}
    if any(not run.steps for runs in held.values() for run in runs):
        bench.notes.append(f"a score lies at the bar, and with another seed: {_why(held)}")
        return as_is, fixed, ()
    gains = [
        treated.miou_training - plain.miou_training
        for plain, treated in zip(held[AS_IT_IS], held[WITH_FIXES], strict=True)
    ]
    middles = [_middle(bench, runs) for runs in held.values()]
    return middles[0], middles[1], tuple(gains)


def certain(gains: Sequence[float]) -> bool:
    """Whether the gain of the fixes is more than chance; so it is where one seed was enough."""
    return not gains or mean(gains) > _half_width(gains)


def _half_width(gains: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean."""
    return _T95 * stdev(gains) / math.sqrt(len(gains))


def in_words(gains: Sequence[float]) -> str:
    """The mean difference with its 95 % interval over the seeds; empty without seeds."""
    if not gains:
        return ""
    half, middle = _half_width(gains), mean(gains)
    return (
        f"; with {len(gains)} seeds a difference of {middle:+.2f} (95 %: {middle - half:+.2f} to "
        f"{middle + half:+.2f})"
    )


def _noisy(bench: Bench) -> bool:
    return any(draws_noise(layer) for _, layer in walk(bench.clinic.run.model))


def _others(bench: Bench, run: TrialRun, patch: Mapping[str, Any]) -> list[TrialRun]:
    """The same run with further seeds, in as many steps."""
    made, shown = [], bench.predictions.get(run.name)
    for seed in range(1, SEEDS):
        made.append(bench.train(run.name, patch, steps=run.steps, most=run.steps, seed=seed))
        bench.trials.pop()
    if shown is not None:
        bench.predictions[run.name] = shown
    return made


def _why(held: Mapping[str, Sequence[TrialRun]]) -> str:
    """Why a run took no step."""
    return next(run.note for runs in held.values() for run in runs if not run.steps)


def _middle(bench: Bench, runs: Sequence[TrialRun]) -> TrialRun:
    """The run with the middle score, in the place of the first one, with the scores of all."""
    ordered = sorted(runs, key=lambda run: run.miou_training)
    middle = replace(ordered[len(ordered) // 2], seeds=tuple(run.miou_training for run in runs))
    bench.trials[bench.trials.index(runs[0])] = middle
    return middle
