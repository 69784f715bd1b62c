"""Void is left out of the sum, but counted in the mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.asked import VoidTrail
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_answers, need_known_loss


@dataclass(frozen=True)
class VoidDilutesLoss(Probe):
    """IGN010: the loss depends on how much void a crop has."""

    code = "IGN010"
    how = (
        "On small arrays all valid pixels are given the same class and the same prediction. A mean "
        "over the valid pixels is then the same with and without void; a mean over all pixels "
        "falls by exactly the share of void. The way in which void is fed (ids, rows of zeros, "
        "rows of 255, sample weights) is the one that is asked about."
    )
    why = (
        "A crop that is mostly void counts next to nothing, and the loss of two batches cannot be "
        "compared. Keras' sample weights do this: they divide by all pixels, where ignore_class "
        "divides by the valid ones (0.59 against 1.18 with half of the pixels void)."
    )
    fix = "Divide by the number of valid pixels: ignore_class, or a mean over the weights."
    fine = "A few per cent of void, much the same in every image: the mean is then off by as much."
    sources = "MEASURED: ignore_class 1.18, sample_weight 0.59"

    share: float = field(
        default=0.2,
        metadata={"doc": "share of void in the batch from which on it is more than a note"},
    )

    def examine(
        self, declared: Declared, loss_contract: LossContract, void_trail: VoidTrail
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_answers(loss_contract, "deterministic")
        if not void_trail.pixels:
            raise NotExaminedError("the batch holds no void pixel")
        if loss_contract.reduction == "sum":
            return  # nothing is divided: LOSS008
        way = _way(void_trail)
        diluted = loss_contract.facts.get(f"dilutes_{way}")
        if not diluted:
            return
        share = void_trail.pixels / void_trail.all_pixels
        words = _WORDS.get(way, f"id {void_trail.label}")
        yield self.finding(
            f"Void ({words}) is masked, but still counted: the loss is divided by all pixels, so "
            f"the {share:.1%} of void in this batch take as much off it.",
            (
                Evidence("share of void in the batch", share, self.share, "share"),
                Evidence(
                    "loss with void ÷ loss without, small arrays",
                    loss_contract.facts.get(f"ratio_{way}"),
                    1.0,
                ),
            ),
            Fix("Divide by the number of valid pixels.", _CODE, {"loss.stand_in": True}),
            None if share >= self.share else "info",
        )


_WORDS = {
    "weights": "sample weights of 0",
    "zero_rows": "one-hot rows of zeros",
    "rows_255": "one-hot rows of 255",
}
_CODE = (
    "per_pixel = keras.losses.sparse_categorical_crossentropy(ids, y_pred)   # (B, H, W)\n"
    "loss = tf.reduce_sum(valid * per_pixel) / tf.maximum(tf.reduce_sum(valid), 1.0)\n"
    "# or: SparseCategoricalCrossentropy(ignore_class=255)"
)


def _way(trail: VoidTrail) -> str:
    """The way in which most void pixels are fed, as the contract's facts name it."""
    if trail.weightless == trail.pixels:
        return "weights"
    most = max(trail.as_fed, key=lambda form: trail.as_fed[form], default="")
    ways = {"row of zeros": "zero_rows", "row of 255": "rows_255"}
    return ways.get(most, f"value_{most}")
