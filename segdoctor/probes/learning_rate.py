"""OPT003: the range in which this run's loss falls, and where the run's rate lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.network_facts import OutputGradientFacts
from segdoctor.core.probe import Probe
from segdoctor.core.training_facts import SweepFacts


@dataclass(frozen=True)
class LearningRateOutsideRange(Probe):
    code = "OPT003"
    how = (
        "A range test on a copy: the run's own optimizer takes one step on one batch at each of "
        "36 rates from 1e-6 to 10. The useful range goes from where the loss has begun to fall to "
        "a third of the rate at which it is least."
    )
    why = "Below the range a run takes ten times as long, above it the loss swings."
    fix = "Take a rate within the range."
    fine = (
        "A rate near the border of the range; and a low one where the net knows this batch "
        "already: careful fine-tuning."
    )
    sources = "Smith 2017, Cyclical learning rates for training neural networks"

    below: float = field(
        default=20.0, metadata={"doc": "times below the range's lower end that are too low"}
    )
    above: float = field(
        default=10.0, metadata={"doc": "times above the range's upper end that are too high"}
    )
    careful: float = field(
        default=1000.0, metadata={"doc": "times below it, where the net knows the batch already"}
    )
    knows: float = field(
        default=0.6,
        metadata={"doc": "wrong pixels, over those of saying the largest class, of such a net"},
    )

    def examine(
        self, sweep: SweepFacts, output_gradient_facts: OutputGradientFacts | None = None
    ) -> Iterator[Finding]:
        if sweep.low is None or sweep.high is None or sweep.run is None:
            return
        knows = output_gradient_facts is not None and self._knows(output_gradient_facts)
        low = sweep.low / (self.careful if knows else self.below)
        high = sweep.high * self.above
        if low <= sweep.run <= high:
            return
        too = "below" if sweep.run < low else "above"
        middle = (sweep.low * sweep.high) ** 0.5
        yield self.finding(
            f"{sweep.optimizer}'s rate of {sweep.run:.1e} lies far {too} the range in which this "
            f"batch's loss falls ({sweep.low:.1e} to {sweep.high:.1e}).",
            (
                Evidence(
                    "learning rate",
                    _round(sweep.run),
                    _round(sweep.low if too == "below" else sweep.high),
                ),
                Evidence("rates tried on a copy", len(sweep.rates), None, "rates"),
                Evidence("seconds for it", round(sweep.seconds, 1), None, "s"),
            ),
            Fix(
                f"Use a rate within the range, {middle:.0e} to begin with.",
                f"optimizer.learning_rate = {middle:.0e}",
                {"optimizer.learning_rate": float(f"{middle:.0e}")},
            ),
        )

    def _knows(self, facts: OutputGradientFacts) -> bool:
        """Whether the net is clearly better than saying the largest class everywhere."""
        by_chance = 1.0 - max(facts.pixels.values(), default=1.0)
        return facts.wrong < self.knows * by_chance


def _round(value: float) -> float:
    return float(f"{value:.3g}")
