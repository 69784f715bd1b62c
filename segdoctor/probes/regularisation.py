"""OPT004, OPT006: penalties that outweigh the data, and half precision that loses gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import Probe
from segdoctor.core.training_facts import PenaltyFacts, PrecisionFacts


@dataclass(frozen=True)
class RegularisationDominates(Probe):
    code = "OPT004"
    how = (
        "For each kernel the gradient of the L2 losses is set against that of the data term; of "
        "the optimizer's weight decay its part of the real step. The median over the kernels is "
        "judged."
    )
    why = "The weights shrink towards zero, whatever the images say."
    fix = "A weight decay of 1e-4 or less (SGD), AdamW's 4e-3 or less; L2 of 1e-4 or less."
    fine = "Near a minimum data and penalty pull equally: that is what a minimum is."
    sources = "measured; Chen et al. 2018 (DeepLabv3+): weight decay 4e-5"

    limit: float = field(
        default=10.0, metadata={"doc": "median of |pull of the penalty| / |pull of the data|"}
    )

    hopeless: float = field(
        default=100.0,
        metadata={"doc": "the same from which on it is an error: the trial then tries the fix"},
    )

    def examine(self, penalties: tuple[PenaltyFacts, ...]) -> Iterator[Finding]:
        for fact in penalties:
            if fact.ratio <= self.limit:
                continue
            evidence = [
                Evidence(
                    "pull of the penalty over that of the data", _round(fact.ratio), self.limit
                ),
                Evidence("largest", _round(fact.largest), None, "", fact.layer),
            ]
            if fact.kind == "L2 loss":
                evidence += [
                    Evidence("penalty in the loss", _round(fact.loss_penalty)),
                    Evidence("loss of the data", _round(fact.loss_data)),
                ]
            yield self.finding(
                f"The {fact.kind} pulls the weights {fact.ratio:.0f} times as strongly as the "
                "images do: they shrink, and nothing is learnt.",
                evidence,
                Fix(
                    "Lower it by a factor of a hundred, or leave it out until the run learns.",
                    "kernel_regularizer=keras.regularizers.L2(1e-4)"
                    if fact.kind == "L2 loss"
                    else "keras.optimizers.AdamW(1e-3, weight_decay=1e-4)",
                    {"regularisation": "none"},
                ),
                severity="error" if fact.ratio > self.hopeless else None,
            )


@dataclass(frozen=True)
class MixedPrecisionUnderflow(Probe):
    code = "OPT006"
    how = (
        "Which layers compute in float16, whether the optimizer scales the loss, and the type of "
        "the output that the loss receives."
    )
    why = (
        "float16 ends at 6e-8: gradients of a mean over 200,000 pixels are zero. It also ends at "
        "65504: a Dice that sums 512×512 pixels is Inf."
    )
    fix = "LossScaleOptimizer (compile does it for mixed_float16), and a float32 head."
    fine = "bfloat16, whose range is float32's; compile(…) wraps the optimizer by itself."
    sources = "tensorflow/tensorflow#45568; keras-team/keras#11832; FAULTS OPT-14"

    fewest: int = field(default=1, metadata={"doc": "layers in half precision"})

    def examine(self, precision: PrecisionFacts | None) -> Iterator[Finding]:
        if precision is None or precision.layers < self.fewest:
            return
        if precision.scaled is False:
            yield self.finding(
                f"{precision.layers} layers compute in {precision.dtype}, and the optimizer does "
                "not scale the loss: small gradients become exactly zero.",
                (
                    Evidence("layers in half precision", precision.layers, 0, "layers"),
                    Evidence("loss scaling", False, True),
                ),
                Fix(
                    "Wrap the optimizer, or take bfloat16.",
                    "optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)\n"
                    '# or: keras.mixed_precision.set_global_policy("mixed_bfloat16")',
                ),
            )
        elif precision.output == precision.dtype:
            yield self.finding(
                f"The output is {precision.output}: the loss sums over pixels in a type that ends "
                "at 65504.",
                (Evidence("type of the output", precision.output, "float32"),),
                Fix(
                    "Let the last layer give float32.",
                    'layers.Activation("linear", dtype="float32")   # or dtype= of the head',
                ),
                severity="warning",
            )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
