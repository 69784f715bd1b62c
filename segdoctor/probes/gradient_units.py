"""GRAD005, GRAD006: units that are dead, and a head that is saturated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import HeadFacts
from segdoctor.core.network_facts import ActivationFacts, Branch, OutputGradientFacts
from segdoctor.core.probe import NotExaminedError, Probe


@dataclass(frozen=True)
class DeadUnits(Probe):
    code = "GRAD005"
    how = (
        "Behind every rectifier, layer or function, the largest value of each channel over the "
        "whole batch, in the training call: a channel whose largest value is 0 gives nothing and "
        "gets no gradient. Then each part of a concatenation of channels (a branch, a skip; the "
        "sixteen nearest to the output) is set to zero in turn: one that matters moves the output."
    )
    why = "A ReLU whose input is negative for every image stays so: nothing can move it again."
    fix = "A smaller learning rate, He initialisation, biases of 0, LeakyReLU, batch norm before."
    fine = (
        "Some channels that this batch happens not to use: a trained net has up to a third of "
        "them. Maps of few values (a pooled image) are not judged, nor are rectifiers of one's own "
        "make (x times the sign of x) and those within a function of their own in the trace."
    )
    sources = "Maas et al. 2013, Rectifier nonlinearities; measured on keras.applications"

    dead: float = field(default=0.7, metadata={"doc": "share of the channels of one layer"})
    fewest_values: int = field(
        default=64, metadata={"doc": "values of a channel that the batch must give"}
    )
    fewest_channels: int = field(default=4, metadata={"doc": "channels of a layer to judge it"})

    effect: float = field(
        default=1e-4,
        metadata={"doc": "change of the output when a branch is zeroed, in spreads of it"},
    )

    def examine(
        self,
        activations: tuple[ActivationFacts, ...],
        branches: tuple[Branch, ...] = (),
    ) -> Iterator[Finding]:
        found = list(self._channels(activations))
        found = found or list(self._branches(branches))  # dead channels make branches idle
        if not found and not activations:
            raise NotExaminedError(
                "the net calls no nonlinearity that can be watched: no layer of Keras, and no relu "
                "of Keras or TensorFlow"
            )
        yield from found

    def _branches(self, branches: Sequence[Branch]) -> Iterator[Finding]:
        """Branches of a concatenation that change nothing when they are zeroed."""
        idle = [branch for branch in branches if branch.effect <= self.effect]
        if not idle:
            return
        first = idle[0]
        names = ", ".join(branch.layer for branch in idle[:4])
        received = first.gradient
        yield self.finding(
            f"{'A branch gives' if len(idle) == 1 else f'{len(idle)} branches give'} nothing "
            f"({names}): with it at zero the output is the same.",
            (
                Evidence(
                    "change of the output when it is zeroed",
                    *(
                        _round(first.effect),
                        self.effect,
                        "spreads",
                        f"{first.layer} → {first.merge}",
                    ),
                ),
                *(
                    [Evidence("gradient that it gets", _round(received), None, "", first.layer)]
                    if received is not None
                    else []
                ),
                Evidence("branches that were zeroed", len(branches), None, "branches"),
            ),
            Fix(
                "Look at the weights that lead out of the merge for this branch, and at its "
                "activation: either it is dead, or the layer behind it does not look at it."
            ),
        )

    def _channels(self, activations: Sequence[ActivationFacts]) -> Iterator[Finding]:
        judged = [
            fact
            for fact in activations
            if fact.activation in ("relu", "relu6")
            and fact.values >= self.fewest_values
            and fact.channels >= self.fewest_channels
            and fact.finite
        ]
        dead = [fact for fact in judged if fact.dead >= self.dead]
        if not dead:
            return
        worst = max(dead, key=lambda fact: (fact.dead, -fact.depth))  # the first of them
        others = f" ({len(dead)} layers in all)" if len(dead) > 1 else ""
        yield self.finding(
            f"{worst.dead:.0%} of the channels of {worst.layer} are zero for the whole batch"
            f"{others}: they give nothing and get no gradient.",
            (
                Evidence(
                    "dead channels of a layer", _round(worst.dead), self.dead, "share", worst.layer
                ),
                Evidence("layers with that many", len(dead), 0, f"of {len(judged)}"),
                Evidence("values of a channel in the batch", worst.values, None, "values"),
            ),
            Fix(
                "Start these layers anew with He-normal weights and biases of 0, and lower the "
                "learning rate; batch normalisation before the ReLU keeps them alive.",
                "x = layers.ReLU(negative_slope=0.1)(layers.BatchNormalization()(x))",
            ),
        )


@dataclass(frozen=True)
class OutputSaturated(Probe):
    code = "GRAD006"
    how = (
        "The gradient of the loss at each pixel of the output: of the pixels that are predicted "
        "wrongly, the share that has no gradient to speak of (of a squared error or a Dice: whose "
        "sigmoid or softmax lets none through), and of all pixels the share whose probabilities "
        "are at such an end."
    )
    why = "Where the probability is clipped the loss is flat: what is wrong there stays wrong."
    fix = "Give the loss logits, scale the head down, bring the inputs to unit scale."
    fine = "A trained net that is sure and right: only wrong pixels are counted."
    sources = "measured: Keras clips probabilities at 1e-7, its gradient there is exactly 0"

    without: float = field(
        default=0.5, metadata={"doc": "share of the wrong pixels that have no gradient"}
    )
    wrong: float = field(default=0.1, metadata={"doc": "share of the valid pixels that is wrong"})
    saturated: float = field(
        default=0.3, metadata={"doc": "share of the valid pixels at exactly 0 or 1"}
    )

    def examine(
        self, output_gradient_facts: OutputGradientFacts, head: HeadFacts
    ) -> Iterator[Finding]:
        facts = output_gradient_facts
        if head.kind not in ("softmax", "sigmoid") or facts.wrong <= self.wrong:
            return
        if facts.wrong_without < self.without or facts.saturated < self.saturated:
            return
        yield self.finding(
            f"The {head.kind} of the head is saturated: {facts.wrong_without:.0%} of the pixels "
            "that are wrong have no gradient, so the loss cannot mend them.",
            (
                Evidence(
                    "wrong pixels without gradient",
                    _round(facts.wrong_without),
                    self.without,
                    "share",
                ),
                Evidence("pixels at 0 or 1", _round(facts.saturated), self.saturated, "share"),
                Evidence("pixels that are wrong", _round(facts.wrong), self.wrong, "share"),
            ),
            Fix(
                "Let the head give logits and tell the loss so: it is then exact for any score. "
                "Scores this large come from inputs or weights that are not of unit scale.",
                "head = layers.Conv2D(classes, 1)      # no activation\n"
                "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
                {"head.activation": "remove", "loss.from_logits": True},
            ),
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
