"""The loss as a black box: it raises, prefers wrong predictions, has no gradient, is no number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_known_loss

_STAND_IN = {"loss.stand_in": True}
_RIGHT = "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)"


@dataclass(frozen=True)
class LossRaises(Probe):
    """LOSS001: the loss fails on the batch."""

    code = "LOSS001"
    how = (
        "The loss is computed on the real batch and the model's real output, as fit does, and on "
        "small arrays with one class only and with saturated predictions."
    )
    why = "Training cannot start, or stops at the first batch of this kind."
    fix = "Repair the cause that the error names; check the loss on one batch before fit."
    fine = "A loss that refuses small arrays, but takes the real batch."
    sources = "the original question's Dice (axis=1 after tf.gather_nd)"

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract | None = None,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if loss_as_run is not None:
            error, where = loss_as_run.raises, "the batch"
        elif loss_contract is not None:
            error, where = loss_contract.raises, "small arrays of every layout"
        else:
            raise NotExaminedError("neither the loss nor a batch is at hand (--data would tell)")
        rare = loss_contract.facts.get("raises_at") if loss_contract is not None else None
        if not error and rare:
            where, _, error = str(rare).partition(": ")
            where = f"a legal small batch ({where})"
        if not error:
            return
        cause, words, code = _cause(error)
        yield self.finding(
            f"The loss fails on {where}: {error}.{cause}",
            (Evidence("error", error, where=where),),
            Fix(words, code, _STAND_IN),
        )


def _cause(error: str) -> tuple[str, str, str]:
    """What is behind an error text: a sentence, the remedy in words and in code."""
    low = error.lower()
    axis = "reduction dimension" in low or "axis" in low or "dimension" in low
    if axis and ("1 dimension" in low or "rank 1" in low or "out of bounds" in low):
        return (
            " An earlier step (tf.gather_nd, tf.boolean_mask, reshape) flattened (B, H, W, C) to "
            "one long list: the axes that the formula sums over are gone.",
            "Leave the shape as it is and mask by multiplication.",
            "valid = tf.cast(y_true != 255, y_pred.dtype)\n"
            "overlap = tf.reduce_sum(valid * y_true * y_pred, axis=(0, 1, 2))   # (C,)",
        )
    if "label value" in low or "valid range" in low:
        return (
            " An id has no channel: void, or a class beyond the head.",
            "Leave void out (ignore_class), and map the ids to the classes of the head.",
            _RIGHT,
        )
    return (
        "",
        "Repair the loss, or take one of Keras'.",
        _RIGHT,
    )


@dataclass(frozen=True)
class PerfectPredictionNotBest(Probe):
    """LOSS002: minimising this loss leads away from the labels."""

    code = "LOSS002"
    how = (
        "The loss of right predictions (hesitant to sure) beside that of wrong ones (every pixel "
        "another class, or all class 0) on small arrays: the least must belong to a right one."
    )
    why = "The optimizer goes where the loss is least. If that is not the label, it unlearns."
    fix = "Minimise 1 - score, and check loss(y, perfect) < loss(y, wrong) once."
    fine = (
        "Label smoothing is not least at the sharp one-hot prediction, but its arg max is right; "
        "-dice and 1 - dice are both sound."
    )
    sources = "FAULTS OUT-14, IGN-04"

    def examine(self, declared: Declared, loss_contract: LossContract) -> Iterator[Finding]:
        need_known_loss(declared)
        facts = loss_contract.facts
        if facts.get("best_is_label") is None or not facts.get("deterministic", True):
            raise NotExaminedError("the loss gave no comparable values on small arrays")
        if facts["best_is_label"] or not facts.get("label_sensitive", True):
            return
        wrong, right = facts.get("lowest_wrong"), facts.get("lowest_right")
        yield self.finding(
            f"The loss is lower for a wrong prediction ({wrong:.4g}) than for any right one "
            f"({right:.4g}): minimising it leads away from the labels.",
            (
                Evidence("least loss of a wrong prediction", wrong, right, where="small arrays"),
                Evidence("least loss of a right prediction", right, where="small arrays"),
            ),
            Fix("Turn the sign, or minimise 1 - score.", "return 1.0 - dice", _STAND_IN),
        )


@dataclass(frozen=True)
class LossHasNoGradient(Probe):
    """LOSS003: nothing flows back from the loss."""

    code = "LOSS003"
    how = (
        "The gradient with respect to the prediction, on small arrays with soft predictions and on "
        "the batch: None, or exactly zero everywhere."
    )
    why = (
        "argmax, round, a comparison or a cast to integers has no gradient, and neither has a "
        "metric object. Keras then raises “No gradients provided”, or trains nothing."
    )
    fix = "A soft form: probabilities in the place of arg max, products in the place of equality."
    fine = "A zero gradient at some pixels: void, or predictions that are already right."
    sources = "Golbstein/Keras-segmentation-deeplab-v3.1#6; keras-team/keras#10321"

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        asked = loss_contract.facts.get("has_gradient")
        runs = loss_as_run is not None and loss_as_run.value is not None and loss_as_run.finite
        zero = False
        if runs and loss_as_run is not None:
            zero = loss_as_run.valid_pixels > 0 and loss_as_run.zero_gradient_share == 1.0
        if asked is None and not runs:
            raise NotExaminedError("the loss gave no value whose gradient could be taken")
        if asked is not False and not zero:
            return
        where = "small arrays" if asked is False else "the batch"
        kind = loss_contract.facts.get("gradient", "zero everywhere") if asked is False else "zero"
        yield self.finding(
            f"The loss has no gradient on {where}: it is {kind}. Nothing can be learnt from it.",
            (
                Evidence("gradient on small arrays with soft predictions", str(kind), where=where),
                Evidence(
                    "pixels of the batch whose gradient is exactly zero",
                    loss_as_run.zero_gradient_share if runs and loss_as_run is not None else None,
                    0.0,
                    "share",
                ),
            ),
            Fix(
                "Write it without arg max, round, comparison or cast.",
                "overlap = tf.reduce_sum(y_true * probabilities, axis=(1, 2))",
                _STAND_IN,
            ),
        )


@dataclass(frozen=True)
class LossNotFinite(Probe):
    """LOSS004: NaN or infinity on a legal batch."""

    code = "LOSS004"
    how = (
        "The loss and its gradient on small arrays: one class only, saturated right and wrong "
        "predictions, nothing but void where it ignores void; and on the real batch."
    )
    why = (
        "One NaN in the loss is NaN in every weight after the step. log(0), 0/0 of an absent "
        "class and a mean over no pixel are the usual ways."
    )
    fix = "An epsilon in logarithms and denominators; tf.math.divide_no_nan for means."
    fine = "Labels that are no legal batch: ids beyond the classes are IGN003 and LBL003."
    sources = "FAULTS LAB-15, OUT-13; keras-team/tf-keras#734"

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        case = loss_contract.facts.get("not_finite")
        broken = loss_as_run is not None and not loss_as_run.raises and not loss_as_run.finite
        if not case and not broken:
            return
        where = "the batch" if broken else f"a legal small batch ({case})"
        evidence = []
        if case:
            evidence.append(Evidence("first case that is not finite", str(case), "none"))
        if loss_as_run is not None and broken:
            evidence.append(Evidence("loss of the batch", str(loss_as_run.value), "a number"))
        yield self.finding(
            f"The loss or its gradient is NaN or infinite on {where}.",
            evidence,
            Fix(
                "Keep logarithms and quotients away from zero.",
                "tf.math.log(tf.maximum(p, 1e-7)); tf.math.divide_no_nan(a, b)",
                _STAND_IN,
            ),
        )
