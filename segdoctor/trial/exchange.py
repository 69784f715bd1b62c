"""Exchanges parts for known-good ones, as a mechanic does: which one makes the run learn?

A loss or an optimizer is exchanged with the user's own net and data, so what learns then proves
the net and the data able to. A net or data are exchanged for easier ones: that alone proves
little, and they are suspected only if no run that had them learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trial_facts import CONTROL, TrialRun, exchanged_name
from segdoctor.trial.bench import Bench
from segdoctor.trial.ddmin import ddmin
from segdoctor.trial.judge import BAR, LEARNS, share_of_ceiling
from segdoctor.trial.parts import PARTS, RATE, exchanged, part_of

_RATES = (1e-2, 1e-4)
_SWEEP_STEPS = 20
_BOTH = ("loss", "optimizer")


class _OutOfTimeError(Exception):
    """The budget did not last for an exchange."""


class Exchange:
    """The exchanges of one run with the ``fixes`` of its findings, which gave ``before``, and the
    rate of Adam that they settled on."""

    def __init__(self, bench: Bench, before: TrialRun, fixes: Mapping[str, Any]) -> None:
        self._bench = bench
        self._fixes = fixes
        self._before = before
        self._rate = RATE
        self._tried: dict[frozenset[str], TrialRun] = {}

    def to_blame(self, *, slow: bool = False) -> tuple[str, ...]:
        """The parts whose exchange, together, makes the run learn, and none of which can be left
        out; () where that was not found out, with a note why.

        ``slow``: the run still gets better, and in several times the planned steps it did not
        come half of the way. Then an optimizer is not to blame, since another one may always be
        quicker; the others are, if with Adam at the best rate they do not come half of the way
        either.
        """
        try:
            return self._slow_part() if slow else self._part()
        except NotExaminedError as why:
            self._bench.notes.append(f"not every part could be exchanged: {why}")
        except _OutOfTimeError:
            self._bench.notes.append(
                "not every part was exchanged: the budget was spent (--budget)"
            )
        return ()

    def _part(self) -> tuple[str, ...]:
        if self._at_best_rate(_BOTH):
            singles = [part for part in _BOTH if self._learns((part,))]
            # Both alone: neither is at fault by itself, the run is merely slow.
            return tuple(singles) if len(singles) == 1 else () if singles else _BOTH
        return self._net_or_data()

    def _slow_part(self) -> tuple[str, ...]:
        if self._at_best_rate(_BOTH):
            if not self._learns(("loss",)) or self._at_best_rate(("optimizer",)):
                return ()
            return () if self._came_half_way(("optimizer",)) else ("loss",)
        return () if self._came_half_way(_BOTH) else self._net_or_data()

    def _net_or_data(self) -> tuple[str, ...]:
        """The net, as it is, does not learn these data with any loss: which of the two is it?"""
        for part in ("model", "data"):
            if self._learns((part,)):
                return (part,)
        if not self._learns(PARTS):
            return ()
        subset, _ = ddmin(PARTS, self._learns)
        return subset

    def _at_best_rate(self, parts: Sequence[str]) -> bool:
        """Whether the run learns with these exchanged, the optimizer among them, at some rate."""
        if self._learns(parts):
            return True
        first = self._tried[frozenset(parts)]
        if first.verdict == "cannot run":
            return False
        scores = {self._rate: _score_at(first, _SWEEP_STEPS) + BAR.margin}
        for rate in _RATES:
            name = f"{_name(parts)} at {rate:g}"
            scores[rate] = _score_at(self._train(parts, rate, name, _SWEEP_STEPS), _SWEEP_STEPS)
        best = max(scores, key=lambda rate: scores[rate])
        if best == self._rate:
            return False
        whole = self._train(parts, best, f"{_name(parts)} at {best:g}, whole")
        if whole.miou_training > first.miou_training:
            self._rate, self._tried[frozenset(parts)] = best, whole
        return self._learns(parts)

    def _came_half_way(self, parts: Sequence[str]) -> bool:
        return share_of_ceiling(self._tried[frozenset(parts)]) >= BAR.half

    def _learns(self, parts: Sequence[str]) -> bool:
        """Learnt, and better than before: a coarser grid has a lower ceiling, which proves
        nothing."""
        key = frozenset(parts)
        if key not in self._tried:
            ordered = tuple(part for part in PARTS if part in key)
            self._tried[key] = self._train(ordered, self._rate, _name(ordered))
        run, before = self._tried[key], self._before
        same_labels = "data" not in key and before.steps > 0
        better = run.miou_training > before.miou_training + BAR.margin
        return run.verdict in LEARNS and (better or not same_labels)

    def _train(
        self, parts: Sequence[str], rate: float, name: str, steps: int | None = None
    ) -> TrialRun:
        """
        Raises
        ------
        _OutOfTimeError
            If the budget did not last until the run could be judged.
        """
        bench = self._bench
        cost = min((run.seconds for run in bench.trials if run.steps > 1), default=0.0)
        if bench.left < (0.5 * cost or 0.5):
            raise _OutOfTimeError
        patch = {name: value for name, value in self._fixes.items() if part_of(name) not in parts}
        for part in parts:
            patch |= exchanged(part, rate)
        run = bench.train(name, patch, steps=steps, most=steps, exchanged=tuple(parts))
        if run.verdict == "cannot tell" or (run.note and run.steps and run.verdict not in LEARNS):
            raise _OutOfTimeError
        return run


def _name(parts: Sequence[str]) -> str:
    return CONTROL if tuple(parts) == _BOTH else exchanged_name(parts)


def _score_at(run: TrialRun, step: int) -> float:
    """Training-mode mIoU after so many steps, or at the end where it ended before."""
    if not run.steps:
        return 0.0
    return run.curve[min(step, run.steps) - 1][2] or 0.0
