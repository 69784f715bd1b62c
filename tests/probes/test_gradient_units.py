"""Dead units that could not be looked for are not called clear."""

from __future__ import annotations

from segdoctor.core.engine import examine
from segdoctor.core.network_facts import ActivationFacts
from segdoctor.core.trace import Trace
from segdoctor.probes.gradient_units import DeadUnits


def test_a_net_without_a_nonlinearity_that_can_be_watched_is_not_examined() -> None:
    outcome = examine(DeadUnits(), Trace({"activations": ()}))
    assert outcome.status == "not examined"
    assert "no nonlinearity" in outcome.reason


def test_one_rectifier_that_is_watched_is_judged() -> None:
    seen = ActivationFacts("a", "relu", 0.5, 1.0, 1.0, 0.0, 0.0, 16, 1024, True)
    assert examine(DeadUnits(), Trace({"activations": (seen,)})).status == "clear"
