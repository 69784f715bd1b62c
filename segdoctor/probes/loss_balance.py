"""How large the gradient is, and which class it comes from, at a prediction that is undecided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_known_loss, share_saved


@dataclass(frozen=True)
class GradientScaleExtreme(Probe):
    """LOSS008: a sum where a mean was meant, or the other way round."""

    code = "LOSS008"
    how = (
        "The absolute gradient of the loss, summed over all entries of the batch, at a nearly "
        "uniform prediction of the batch's own shape. The mean of a cross-entropy gives about 2 "
        "with respect to logits, and the number of classes with respect to probabilities."
    )
    why = (
        "The gradient of a sum grows with the pixels: 96 × 96 × 4 of them make it 37,000 times "
        "that of a mean. SGD then jumps, clipping eats the step, weight decay means nothing. "
        "Divided by the pixels twice, it vanishes beside everything else. Adam hides both."
    )
    fix = "The mean over the valid pixels, and a plain factor where one is wanted."
    fine = "With Adam alone, and neither clipping nor weight decay, only epsilon notices."
    sources = "keras.losses reduction; FAULTS OPT-10"

    factor: float = field(
        default=300.0,
        metadata={"doc": "times that the gradient may be larger or smaller than of a mean"},
    )

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        head: HeadFacts,
        loss_at_shape: LossAtShape,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        total = loss_at_shape.gradient_total
        if total is None:
            raise NotExaminedError("the loss gave no gradient at the batch's shape")
        usual = 2.0 if loss_contract.prediction == "logits" else float(max(head.channels, 2))
        ratio = total / usual
        # A mean over pixels and classes is 1/C of one over pixels; Dice has the same.
        low = 1.0 / (self.factor * max(head.channels, 2))
        if total == 0.0 or low <= ratio <= self.factor:
            return
        pixels = prod(head.shape) // head.channels
        larger = ratio > 1
        said = (
            f"{ratio:,.0f} times as large as" if larger else f"{1 / ratio:,.0f} times smaller than"
        )
        why = ""
        if larger and loss_contract.reduction == "sum":
            why = f" It is summed over the {pixels:,} pixels of the batch, not averaged."
        yield self.finding(
            f"The gradient of this loss is {said} that of a mean over the pixels.{why}",
            (
                Evidence("sum of |gradient| at an undecided prediction", total, usual),
                Evidence("reduction that was found", loss_contract.reduction, "mean"),
                Evidence("pixels of the batch", pixels, unit="px"),
            ),
            Fix(
                "Average over the pixels.",
                "return tf.reduce_mean(per_pixel)   # Keras: reduction='sum_over_batch_size'",
            ),
        )


@dataclass(frozen=True)
class DominatedByOneClass(Probe):
    """LOSS009: one class has nearly all of the gradient."""

    code = "LOSS009"
    how = (
        "The absolute gradient at a nearly uniform prediction, summed over the pixels of each "
        "class of the batch's labels, void left out. What the model has learnt has no part in it."
    )
    why = (
        "The first thing such a loss teaches is to say that class everywhere; the others then "
        "move the weights a hundredth as much. It stays at all background, with a high accuracy."
    )
    fix = (
        "Weights for rare classes (a sample_weight map), a focal loss, or cross-entropy plus Dice."
    )
    fine = "A batch that happens to hold little else; large objects in the rest of the data."
    sources = "FAULTS OPT-05; tensorflow/models#3739"

    share: float = field(
        default=0.97,
        metadata={"doc": "share of the gradient that one class may have, others being present"},
    )
    saved: float = field(
        default=0.7,
        metadata={
            "doc": "of a loss that is one ratio over an image: share of all that can be gained "
            "that this class everywhere must gain"
        },
    )

    def examine(
        self, declared: Declared, loss_contract: LossContract, loss_at_shape: LossAtShape
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        shares = loss_at_shape.gradient_shares
        if not shares:
            raise NotExaminedError("the loss gave no gradient at the batch's shape")
        if len(shares) < 2:
            return  # one class only: LBL011
        top = max(shares, key=lambda label: shares[label])
        if shares[top] < self.share:
            return
        pixels = loss_at_shape.pixel_shares.get(top, 0.0)
        region = loss_contract.facts.get("depends_on") in ("image", "batch")
        saved = share_saved(loss_at_shape)
        if region and saved is not None and saved < self.saved:
            return  # Dice: many small pulls of the background, and still little to gain by it
        code = (
            f"weight = np.where(ids == {top}, 1.0, 10.0).astype('float32')     # (B, H, W)\n"
            "model.fit(x, y, sample_weight=weight)"
        )
        more = "as it has of the pixels" if pixels > self.share else f"with {pixels:.1%} of pixels"
        yield self.finding(
            f"{shares[top]:.1%} of the gradient comes from class {top}, {more}; the other "
            f"{len(shares) - 1} classes of the batch share the rest.",
            (
                Evidence(f"share of the gradient of class {top}", shares[top], self.share, "share"),
                Evidence(f"share of the pixels of class {top}", pixels, unit="share"),
            ),
            Fix("Give the rare classes more weight.", code),
        )
