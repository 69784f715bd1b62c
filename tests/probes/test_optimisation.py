"""OPT001 and OPT002 on hand-made steps. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.history_facts import CallbackFacts, HistoryFacts
from segdoctor.core.measured import GradientFacts, StepEffect, UpdateFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.network_facts import OutputGradientFacts
from segdoctor.core.trace import Trace
from segdoctor.core.training_facts import SweepFacts
from segdoctor.core.trial_facts import AS_IT_IS, TrialRun
from segdoctor.probes.learning_rate import LearningRateOutsideRange
from segdoctor.probes.optimisation import UpdateTooLarge, UpdateTooSmall
from segdoctor.probes.schedule import ScheduleEndsTooEarly
from segdoctor.probes.trial import borne
from segdoctor.recorder.schedule import schedule_facts


def steps(ratio: float) -> tuple[UpdateFacts, ...]:
    kernels = (UpdateFacts(f"conv{i}", "kernel", ratio * (1 + 0.1 * i), 3) for i in range(5))
    return (*kernels, UpdateFacts("conv0", "bias", 100.0, 3))


# As measured on DeepLabv3+ MobileNetV2 with VOC pairs: optimizer, rate, ratio, mIoU after 60 steps.
MEASURED = [
    ("Adadelta", 1.0, 1.5e-2, "clear"),  # .77
    ("Adadelta", 0.1, 1.5e-3, "clear"),  # .72
    ("Adadelta", 1e-2, 1.5e-4, "warning"),  # .39
    ("Adadelta", 1e-3, 1.5e-5, "error"),  # .13
    ("Adadelta", 1e-3, 4e-5, "error"),  # the same in Xception, whose weights are smaller
    ("Adadelta", 1e-5, 1.5e-7, "error"),  # .02
    ("Adam", 1e-2, 1.1e-1, "clear"),  # .84
    ("Adam", 1e-3, 1.1e-2, "clear"),  # .85
    ("Adam", 1e-5, 1.1e-4, "clear"),  # .36, and a usual rate of fine-tuning
    ("Adam", 1e-5, 3e-5, "clear"),  # the same on a trained net
    ("Adam", 1e-6, 1.1e-5, "error"),  # .09
    ("SGD", 1e-3, 1.2e-3, "clear"),
    ("SGD", 1e-3, 1e-7, "clear"),  # near a minimum
    ("SGD", 1e-6, 1.2e-6, "error"),
    ("RMSprop", 1e-3, 2.6e-2, "clear"),
    ("", None, 1e-6, "error"),
]


@pytest.mark.parametrize(("name", "rate", "ratio", "wanted"), MEASURED)
def test_too_small(name: str, rate: float | None, ratio: float, wanted: str) -> None:
    settings = CompileFacts(optimizer=name or None, learning_rate=rate)
    outcome = examine(UpdateTooSmall(), Trace({"updates": steps(ratio), "compiled": settings}))
    found = outcome.findings[0].severity if outcome.findings else outcome.status
    assert found == wanted


def test_a_step_that_no_number_holds() -> None:
    """By the rate where the gradient is finite; else it is the gradient's fault."""
    sound = (GradientFacts("conv0", "kernel", 0.5, 10, True, 1.0, 1.0),)
    for gradient, wanted in (
        (sound, "fired"),
        ((replace(sound[0], finite=False),), "not examined"),
    ):
        facts = Trace({"updates": steps(math.inf), "gradients": gradient})
        outcome = examine(UpdateTooLarge(), facts)
        assert outcome.status == wanted
    settings = CompileFacts(optimizer="SGD", learning_rate=1e30)
    facts = Trace({"updates": steps(math.inf), "gradients": sound, "compiled": settings})
    (finding,) = examine(UpdateTooLarge(), facts).findings
    assert finding.severity == "error"
    assert "1e+30" in finding.message


def test_a_gradient_of_nothing_is_not_the_optimizers_fault() -> None:
    gradient = (GradientFacts("conv0", "kernel", 0.5, 10, True, 1e-12, 1.0),)
    outcome = examine(UpdateTooSmall(), Trace({"updates": steps(1e-9), "gradients": gradient}))
    assert outcome.status == "not examined"
    assert "gradient itself" in outcome.reason


@pytest.mark.parametrize(("ratio", "fires"), [(0.11, False), (0.4, False), (1.1, True), (18, True)])
def test_too_large(ratio: float, fires: bool) -> None:
    outcome = examine(UpdateTooLarge(), Trace({"updates": steps(ratio)}))
    assert outcome.status == ("fired" if fires else "clear")
    if fires:
        patch = outcome.findings[0].fix.patch  # type: ignore[union-attr]
        assert patch == {"optimizer.name": "Adam", "optimizer.learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("ratio", "effect", "wanted"),
    [
        (0.1, StepEffect(13.0, 1.41, 10.2), "error"),  # only the head trains, SGD 50
        (0.1, StepEffect(120.0, 1.41, math.inf), "error"),
        (0.1, StepEffect(4.3, 1.97, 0.5), "clear"),  # SGD 1 with batch normalisation: .99
        (
            0.077,
            StepEffect(3.2, 66.5, 305.0),
            "clear",
        ),  # Adam 1e-2 on 0 … 255: the best of its kind
        (0.1, StepEffect(0.3, 1.41), "clear"),
        (1.2, StepEffect(7.0, 1.97, 0.56), "warning"),  # Adam .1 with batch normalisation: 1.0
        (1.2, StepEffect(3.8, 1.41, 6.1), "error"),  # … and without: .59
        (1.5, StepEffect(2.5, 0.81, 0.79), "error"),  # a Dice that cannot grow: .18
    ],
)
def test_what_a_large_step_does(ratio: float, effect: StepEffect, wanted: str) -> None:
    outcome = examine(UpdateTooLarge(), Trace({"updates": steps(ratio), "step_effect": effect}))
    assert (outcome.findings[0].severity if outcome.findings else outcome.status) == wanted


@pytest.mark.parametrize(
    ("verdict", "wanted"), [("learns", "warning"), ("slow", "error"), ("does not learn", "error")]
)
def test_a_large_step_with_which_the_run_learns_is_a_warning(verdict: str, wanted: str) -> None:
    (found,) = examine(UpdateTooLarge(), Trace({"updates": steps(1.1)})).findings
    small = replace(found, code="OPT001")
    run = TrialRun(AS_IT_IS, {}, 60, 1.0, 3.0, 0.1, 0.9, 0.9, 1.0, 0.1, verdict)
    told = borne([found, small], [run])
    assert [each.severity for each in told] == [wanted, "error"]
    assert borne([found], []) == (found,)


SWEPT = SweepFacts((1e-6, 10.0), (1.0, 1.0), 1e-3, 1e-1, 1e-5, "Adam")


@pytest.mark.parametrize(
    ("wrong", "rate", "fires"),
    [
        (0.5, 1e-5, True),
        (0.1, 1e-5, False),
        (0.1, 1e-7, True),
        (0.38, 1e-5, True),
        (0.1, 5.0, True),
    ],
)
def test_low_rates_are_for_nets_that_know(wrong: float, rate: float, fires: bool) -> None:
    known = OutputGradientFacts(pixels={0: 0.6, 3: 0.4}, wrong=wrong)
    swept = replace(SWEPT, run=rate)
    trace = Trace({"sweep": swept, "output_gradient_facts": known})
    assert bool(examine(LearningRateOutsideRange(), trace).findings) is fires


def plateau(values: list[float], epochs: int = 40) -> list[str]:
    """OPT005 where ReduceLROnPlateau(patience=2) watches a curve that ends at ``epochs``."""
    watching = CallbackFacts("ReduceLROnPlateau", "loss", "min", "min", 2, factor=0.1)
    history = HistoryFacts("dict", tuple(range(len(values))), {"loss": tuple(values)})
    optimizer = SimpleNamespace(learning_rate=1e-3)
    facts = schedule_facts(optimizer, epochs, 10, None, [watching], history)
    return [f.code for f in examine(ScheduleEndsTooEarly(), Trace({"schedule": facts})).findings]


def test_a_plateau_that_is_one_and_one_of_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.25, 40)
    assert plateau((np.linspace(2.0, 1.0, 40) + noise).tolist()) == ["OPT005"]
    settled = [1.5, 0.8, 0.4, 0.2, 0.1, 0.06, *[0.05 + 0.001 * (i % 3) for i in range(34)]]
    assert plateau(settled) == []


@pytest.mark.parametrize("probe", [UpdateTooSmall(), UpdateTooLarge()])
def test_steps_of_nan_are_left_to_the_gradient(probe: UpdateTooSmall | UpdateTooLarge) -> None:
    assert examine(probe, Trace({"updates": steps(math.nan)})).status == "not examined"
    assert examine(probe, Trace({"updates": ()})).status == "not examined"
