"""LOSS001–LOSS004 from contracts that are written down by hand."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import Declared, LossAsRun, LossContract
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.probes.loss_contract import (
    LossHasNoGradient,
    LossNotFinite,
    PerfectPredictionNotBest,
)
from segdoctor.probes.loss_raises import LossRaises

SOUND: dict[str, Any] = {
    "best_is_label": True,
    "deterministic": True,
    "label_sensitive": True,
    "lowest_right": 0.02,
    "lowest_wrong": 3.0,
    "has_gradient": True,
}
PROBES = (LossRaises(), PerfectPredictionNotBest(), LossHasNoGradient(), LossNotFinite())


def contract(**facts: Any) -> LossContract:
    raises = facts.pop("raises", "")
    return LossContract("loss", raises=raises, facts=SOUND | facts)


def run(probe: Probe, loss: LossContract, **fields: Any) -> Outcome:
    return examine(probe, Trace({"declared": Declared(), "loss_contract": loss, **fields}))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.code)
def test_a_sound_loss_is_silent(probe: Probe) -> None:
    as_run = LossAsRun(1.2, valid_pixels=100, zero_gradient_share=0.3)
    assert run(probe, contract(), loss_as_run=as_run).status == "clear"
    stand_in = examine(
        probe,
        Trace({"declared": Declared(loss_stand_in=True), "loss_contract": contract()}),
    )
    assert stand_in.status == "not examined"


def test_a_loss_that_raises_on_the_batch() -> None:
    error = "InvalidArgumentError: Invalid reduction dimension (1 for input with 1 dimension(s)"
    broken = LossAsRun(None, raises=error, finite=False)
    (found,) = run(LossRaises(), contract(), loss_as_run=broken).findings
    assert "the axes that the formula sums over are gone" in found.message
    assert found.fix is not None
    assert found.fix.patch == {"loss.stand_in": True}


def test_a_loss_that_only_refuses_small_arrays() -> None:
    picky = contract(raises="ValueError: batch of 8 expected")
    assert run(LossRaises(), picky, loss_as_run=LossAsRun(1.0)).status == "clear"
    assert run(LossRaises(), picky).status == "fired"


def test_a_legal_small_batch_that_is_refused() -> None:
    rare = contract(raises_at="one class only: ValueError: no object")
    (found,) = run(LossRaises(), rare, loss_as_run=LossAsRun(1.0)).findings
    assert "one class only" in found.message


def test_a_score_that_is_minimised() -> None:
    upside_down = contract(best_is_label=False, lowest_right=0.5, lowest_wrong=0.01)
    (found,) = run(PerfectPredictionNotBest(), upside_down).findings
    assert "0.01" in found.message
    noisy = contract(best_is_label=False, deterministic=False)
    assert run(PerfectPredictionNotBest(), noisy).status == "not examined"


def test_no_gradient() -> None:
    nothing = contract(has_gradient=False, gradient="none")
    (found,) = run(LossHasNoGradient(), nothing).findings
    assert "it is none" in found.message
    dead = LossAsRun(0.0, valid_pixels=64, zero_gradient_share=1.0)
    assert run(LossHasNoGradient(), contract(), loss_as_run=dead).status == "fired"


def test_not_finite() -> None:
    (found,) = run(LossNotFinite(), contract(not_finite="one class only")).findings
    assert "one class only" in found.message
    assert run(
        LossNotFinite(), contract(), loss_as_run=LossAsRun(float("nan"), finite=False)
    ).findings
    raising = LossAsRun(None, raises="ValueError", finite=False)
    assert run(LossNotFinite(), contract(), loss_as_run=raising).status == "clear"
