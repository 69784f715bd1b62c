"""OPT001 and OPT002 on hand-made steps. No TensorFlow."""

from __future__ import annotations

import math

import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import GradientFacts, UpdateFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.optimisation import UpdateTooLarge, UpdateTooSmall


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


@pytest.mark.parametrize("probe", [UpdateTooSmall(), UpdateTooLarge()])
def test_steps_of_nan_are_left_to_the_gradient(probe: UpdateTooSmall | UpdateTooLarge) -> None:
    assert examine(probe, Trace({"updates": steps(math.nan)})).status == "not examined"
    assert examine(probe, Trace({"updates": ()})).status == "not examined"
