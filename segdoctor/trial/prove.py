"""Treats a fix as a hypothesis: the run as it is, the run with all fixes, the smallest set.

Every run shares seed, weights and batch; only the patch differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from segdoctor.core.finding import Finding, Verdict
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trial_facts import AS_IT_IS, WITH_FIXES, TrialRun
from segdoctor.trial.bench import LONGEST, Bench
from segdoctor.trial.ddmin import ddmin
from segdoctor.trial.drawn_anew import redrawn
from segdoctor.trial.exchange import Exchange
from segdoctor.trial.judge import BAR, FAILS, LEARNS, SLOW, falling, share_of_ceiling
from segdoctor.trial.seeds import certain, in_words, of_chance


@dataclass
class Proof:
    """What the trials say. ``decisive`` is the smallest set of codes whose fixes together make
    the run learn; ``settled`` is False where time ran out before it was known to be smallest;
    ``blamed`` are the parts whose exchange, together, makes it learn."""

    bench: Bench
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    decisive: tuple[str, ...] = ()
    settled: bool = True
    blamed: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def trials(self) -> tuple[TrialRun, ...]:
        return tuple(self.bench.trials)

    @property
    def predictions(self) -> Mapping[str, Any]:
        return self.bench.predictions

    @property
    def examples(self) -> tuple[tuple[str, ...], Any]:
        """Names and images of the examples that the trials trained on in the end."""
        return self.bench.clinic.examples

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.bench.notes)


def prove(
    bench: Bench,
    findings: Sequence[Finding],
    remeasure: Callable[[Mapping[str, Any]], frozenset[str] | None],
    recorded: float,
) -> Proof:
    """Try the run as it is, the fixes of its error findings, and where those do not settle it,
    the exchange of its parts. Ctrl-C ends it and keeps what was found.

    Parameters
    ----------
    findings : in the order in which they are told; those that another one explains are left out.
    remeasure : the error codes that the probes still find under a patch; None without the time.
    recorded : seconds that one recording of the run took.
    """
    proof = Proof(bench)
    try:
        _prove(proof, findings, remeasure, recorded)
    except KeyboardInterrupt:
        proof.interrupted = True
        proof.settled = False
    return proof


def _prove(
    proof: Proof,
    findings: Sequence[Finding],
    remeasure: Callable[[Mapping[str, Any]], frozenset[str] | None],
    recorded: float,
) -> None:
    bench = proof.bench
    candidates, proof.verdicts = _candidates(findings, bench)
    bench.plan(recorded, runs=2 if candidates else 1)
    share = 0.45 if candidates else 0.6
    most = bench.planned if candidates else None
    patient = 0.0 if candidates else bench.left
    as_is = bench.train(AS_IT_IS, {}, seconds=share * bench.left, patient=patient, most=most)
    fixed, fixes = as_is, _merged(candidates)
    by_seed: tuple[float, ...] = ()
    if candidates:
        share = 0.9 if len(candidates) == 1 else 0.6
        # Measuring again with the fixes is kept time for, but not more than half of what is left.
        most_s = max(bench.left - recorded, 0.5 * bench.left)
        fixed = bench.train(WITH_FIXES, fixes, seconds=min(share * bench.left, most_s))
        as_is = _longer(bench, as_is, fixed)
        as_is, fixed, by_seed = of_chance(bench, as_is, fixed, fixes)
        learnt_with = as_is.verdict not in LEARNS and fixed.verdict in LEARNS
        if learnt_with and certain(by_seed):
            proof.decisive, proof.settled = _smallest(candidates, bench, fixed)
        rest = any(finding.code not in proof.decisive for finding in candidates)
        still = remeasure(fixes) if rest else frozenset()
        for finding in candidates:
            proof.verdicts[finding.code] = _verdict(
                finding, proof.decisive, still, as_is, fixed, in_words(by_seed)
            )
    if again := redrawn(bench, fixed, fixes):
        proof.verdicts |= again.verdict_on([finding.code for finding in findings], fixed)
    if fixed.verdict in FAILS:
        fixed = _given_enough(bench, fixed, fixes)
    # Not learnt with every fix that is known: the fault lies in a part that no probe named.
    if fixed.verdict in FAILS:
        proof.blamed = Exchange(bench, fixed, fixes).to_blame()
    elif fixed.verdict == SLOW and _lost(fixed, bench):
        losses = [loss for _, loss, _ in fixed.curve]
        proof.blamed = Exchange(bench, fixed, fixes).to_blame(slow=falling(losses))


def _lost(run: TrialRun, bench: Bench) -> bool:
    """Whether a run that was given all the steps there are did not come half of the way."""
    enough = run.steps >= (bench.steps or LONGEST * bench.planned)
    return enough and share_of_ceiling(run) < BAR.half


def _given_enough(bench: Bench, run: TrialRun, patch: Mapping[str, Any]) -> TrialRun:
    """A run that was asked to take fewer steps than a part can be blamed after, in so many."""
    if not run.steps or bench.planned >= BAR.steps:
        return run
    bench.notes.append(
        f"{bench.planned} steps are too few to blame a part: {run.name!r} and the exchanges were "
        f"given {BAR.steps}"
    )
    bench.steps = BAR.steps
    longer = bench.train(run.name, patch, most=BAR.steps)
    bench.trials.pop()
    if longer.verdict == "cannot tell":
        return longer
    bench.trials[bench.trials.index(run)] = longer
    return longer


def _longer(bench: Bench, as_is: TrialRun, fixed: TrialRun) -> TrialRun:
    """The run as it is, where it is merely slow, in several times the steps that its fixes
    needed: what learns later is not kept from learning."""
    steps = LONGEST * fixed.steps
    if as_is.verdict != SLOW or fixed.verdict not in LEARNS or as_is.steps >= steps:
        return as_is
    if bench.steps is None and bench.left > 2 * as_is.seconds:
        longer = bench.train(AS_IT_IS, {}, seconds=0.6 * bench.left, steps=steps, most=steps)
        bench.trials[bench.trials.index(as_is)] = bench.trials.pop()
        return longer
    return as_is


def _candidates(
    findings: Sequence[Finding], bench: Bench
) -> tuple[list[Finding], dict[str, Verdict]]:
    """Error findings whose patch can be applied, and verdicts on those whose patch cannot."""
    treatable = [
        finding
        for finding in findings
        if finding.severity == "error"
        and finding.because_of is None
        and finding.fix is not None
        and finding.fix.patch
    ]
    try:
        bench.treat(_merged(treatable))
    except NotExaminedError:
        return _one_by_one(treatable, bench)
    return treatable, {}


def _one_by_one(
    treatable: Sequence[Finding], bench: Bench
) -> tuple[list[Finding], dict[str, Verdict]]:
    """The findings whose patches go together, and what was said of the others."""
    chosen: list[Finding] = []
    verdicts: dict[str, Verdict] = {}
    for finding in treatable:
        try:
            bench.treat(_merged([*chosen, finding]))
        except NotExaminedError as why:
            verdicts[finding.code] = Verdict(
                "inconclusive", "none", f"the fix could not be tried: {why}"
            )
        else:
            chosen.append(finding)
    return chosen, verdicts


def _merged(findings: Sequence[Finding]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for finding in findings:
        if finding.fix is not None:
            for name, value in finding.fix.patch.items():
                patch.setdefault(name, value)
    return patch


def _smallest(
    candidates: Sequence[Finding], bench: Bench, together: TrialRun
) -> tuple[tuple[str, ...], bool]:
    """The smallest set of fixes with which the run learns, by delta debugging."""
    if len(candidates) == 1:
        return (candidates[0].code,), True
    # Twice the steps that all fixes together needed: a smaller set may be slower.
    steps = min(bench.planned, 2 * together.steps + 5)

    def passes(subset: tuple[Finding, ...]) -> bool | None:
        if bench.left < together.seconds:
            return None
        name = "with the fix of " + " + ".join(finding.code for finding in subset)
        result = bench.train(name, _merged(subset), steps=steps, most=steps)
        return None if result.verdict == "cannot tell" else result.verdict in LEARNS

    subset, settled = ddmin(tuple(candidates), passes)
    return tuple(finding.code for finding in subset), settled


def _verdict(
    finding: Finding,
    decisive: Sequence[str],
    still: frozenset[str] | None,
    as_is: TrialRun,
    together: TrialRun,
    difference: str,
) -> Verdict:
    goal = BAR.success * together.ceiling
    scores = f"{_side_by_side(as_is, together)}, {goal:.2f} counts as learnt{difference}"
    if finding.code in decisive:
        return Verdict("confirmed", "decisive", scores)
    if still is None:
        return Verdict("inconclusive", "none", "the budget was spent before it was measured again")
    if finding.code in still:
        return Verdict("refuted", "none", "with the fix applied, the fault is measured again")
    if together.steps > as_is.steps > 0:  # the run as it is was not asked to go on
        score = together.curve[as_is.steps - 1][2]
        together = replace(together, miou_training=score if score is not None else math.nan)
        scores = f"{_side_by_side(as_is, together)} after {as_is.steps} steps{difference}"
    worse = _score(together) < _score(as_is) - BAR.margin
    if worse:
        return Verdict(
            "inconclusive",
            "none",
            f"the fault is gone with the fix, but training is worse: {scores}",
        )
    return Verdict(
        "confirmed",
        "removes the evidence",
        f"training is no worse: {scores}",
    )


def _side_by_side(as_is: TrialRun, together: TrialRun) -> str:
    return (
        f"mIoU {_number(as_is.miou_training)} as it is, {_number(together.miou_training)} with the "
        "fix"
    )


def _score(run: TrialRun) -> float:
    return 0.0 if math.isnan(run.miou_training) else run.miou_training


def _number(value: float) -> str:
    return "none (it could not run)" if math.isnan(value) else f"{value:.2f}"
