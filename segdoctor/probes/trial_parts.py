"""TRIAL004–TRIAL007: which exchanged part made the run learn, whether a probe knew it or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.core.trial_facts import AS_IT_IS, WITH_FIXES, TrialRun
from segdoctor.probes.trial import LEARNS, could_train, named

_INSTEAD = {
    "model": "a small net of the same input and output",
    "data": "drawn images with labels of the same format",
    "loss": "a cross-entropy that fits the head and the labels",
    "optimizer": "Adam",
}


def _blame(
    probe: Probe, part: str, trials: tuple[TrialRun, ...], blamed: tuple[str, ...]
) -> Iterator[Finding]:
    run = could_train(named(trials, AS_IT_IS))
    if not any(other.exchanged for other in trials):
        if run.verdict in (*LEARNS, "slow"):
            return  # it learns, or is on its way
        raise NotExaminedError(
            "no part was exchanged: the findings settle it, or the budget was spent"
        )
    if part not in blamed:
        return
    fixed = next((other for other in trials if other.name == WITH_FIXES), None)
    before = fixed or run
    cured = [r for r in trials if set(r.exchanged) == set(blamed) and r.verdict in LEARNS]
    others = [name for name in blamed if name != part]
    which = " and the ".join([part, *others]) + (" together" if others else "")
    already = "What the other findings propose is not enough: only" if fixed else "Only"
    yield probe.finding(
        f"{already} exchanging the {which} made the run learn.",
        (
            Evidence(
                "mIoU in training mode",
                round(before.miou_training, 3) if before.steps else "could not run",
                round(cured[-1].miou_training, 3) if cured else None,
                where=f"the limit is the run with {_INSTEAD[part]}",
            ),
        ),
        Fix(f"Look at the {part}: with {_INSTEAD[part]} in its place the run learns."),
    )


@dataclass(frozen=True)
class ModelToBlame(Probe):
    code = "TRIAL004"
    how = (
        "The same net with a right loss and Adam does not learn the batch; the net is exchanged "
        "for a small one of the same input and output, and nothing else changes."
    )
    why = "It names the part to blame also where no probe knows the fault."
    fix = "Look at the layers of your own, and at what comes between the features and the output."
    fine = "A net that learns with another loss or optimizer: then it is able to."
    sources = "DESIGN: exchange trials"

    def examine(self, trials: tuple[TrialRun, ...], blamed: tuple[str, ...]) -> Iterator[Finding]:
        return _blame(self, "model", trials, blamed)


@dataclass(frozen=True)
class DataToBlame(Probe):
    code = "TRIAL005"
    how = (
        "Neither the net with a right loss and Adam nor another net learns the batch; images and "
        "labels are exchanged for drawn ones of the same format, and nothing else changes."
    )
    why = "It names the part to blame also where no probe knows the fault."
    fix = "Look at the images and labels as the model is fed them, side by side."
    fine = "Data that are learnt with another net, loss or optimizer: then they can be learnt."
    sources = "DESIGN: exchange trials"

    def examine(self, trials: tuple[TrialRun, ...], blamed: tuple[str, ...]) -> Iterator[Finding]:
        return _blame(self, "data", trials, blamed)


@dataclass(frozen=True)
class LossToBlame(Probe):
    code = "TRIAL006"
    how = "The loss is exchanged for a right one of the same interface; nothing else changes."
    why = "It names the part to blame also where no probe knows the fault."
    fix = "Compare the loss with the right one that the report names."
    fine = (
        "A slow loss: a run whose loss still falls is not blamed, nor one that another optimizer "
        "cures."
    )
    sources = "DESIGN: exchange trials"

    def examine(self, trials: tuple[TrialRun, ...], blamed: tuple[str, ...]) -> Iterator[Finding]:
        return _blame(self, "loss", trials, blamed)


@dataclass(frozen=True)
class OptimizerToBlame(Probe):
    code = "TRIAL007"
    how = "The optimizer is exchanged for Adam; nothing else changes."
    why = "It names the part to blame also where no probe knows the fault."
    fix = "Use an optimizer and rate that move the weights: Adam did."
    fine = "A small but sane rate: a run whose loss still falls is not blamed."
    sources = "DESIGN: exchange trials"

    def examine(self, trials: tuple[TrialRun, ...], blamed: tuple[str, ...]) -> Iterator[Finding]:
        return _blame(self, "optimizer", trials, blamed)
