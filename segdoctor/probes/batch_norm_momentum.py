"""BN007: moving averages that cannot catch up within the planned steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import BatchNormObserved, Declared
from segdoctor.core.model_facts import BatchNormFacts
from segdoctor.core.probe import NotExaminedError, Probe


@dataclass(frozen=True)
class MomentumTooSlow(Probe):
    code = "BN007"
    how = (
        "momentum to the power of the planned steps: the share of the first statistics that the "
        "moving averages still hold at the end. Layers that train and whose statistics are not "
        "those of the data are judged."
    )
    why = (
        "With momentum .99 a net that had learnt by heart had a mIoU of .99 in training and .08 "
        "in inference mode after 60 steps; .99^145 = .23, .999^1160 = .31, .9997^1160 = .71."
    )
    fix = "momentum=0.9 for short runs, or measure the statistics anew after training."
    fine = "Statistics that describe the data already, as those of a pretrained net."
    sources = "keras-team/keras#10666, #7265; FAULTS BN-05"

    left: float = field(
        default=0.05, metadata={"doc": "share of the first statistics left at the end"}
    )
    mean_gap: float = field(
        default=0.5, metadata={"doc": "median |batch mean − stored mean| that is worth moving"}
    )
    variance_gap: float = field(
        default=0.3, metadata={"doc": "median |log10(batch / stored variance)|, likewise"}
    )

    def examine(
        self,
        batch_norms: tuple[BatchNormFacts, ...],
        bn_observed: tuple[BatchNormObserved, ...],
        declared: Declared,
    ) -> Iterator[Finding]:
        moving = {seen.layer: seen for seen in bn_observed if seen.moved}
        off = [
            fact
            for fact in batch_norms
            if fact.layer in moving
            and (
                moving[fact.layer].mean_gap > self.mean_gap
                or moving[fact.layer].variance_gap > self.variance_gap
            )
        ]
        if not off:
            return
        if declared.epochs is None or declared.steps_per_epoch is None:
            raise NotExaminedError(
                "the planned steps are not known (--epochs and --steps-per-epoch would tell)"
            )
        steps = declared.epochs * declared.steps_per_epoch
        slow = [fact for fact in off if fact.momentum**steps > self.left]
        if not slow:
            return
        worst = max(slow, key=lambda fact: fact.momentum)
        rest = worst.momentum**steps
        enough = self.left ** (1.0 / max(steps, 1))
        yield self.finding(
            f"With a momentum of {worst.momentum:g} the moving averages of {len(slow)} BN layers "
            f"still hold {rest:.0%} of their first values after the {steps:,} planned steps: "
            "prediction runs on statistics that were never the data's.",
            (
                Evidence("share of the first statistics left", _round(rest), self.left, "share"),
                Evidence("momentum", worst.momentum, float(f"{enough:.3f}"), "", worst.layer),
                Evidence("planned steps", steps, None, "steps"),
            ),
            Fix(
                "Use momentum 0.9 in short runs, train longer, or measure the statistics anew "
                "after training.",
                "x = layers.BatchNormalization(momentum=0.9)(x)",
                {"bn.recalibrate": True},
            ),
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
