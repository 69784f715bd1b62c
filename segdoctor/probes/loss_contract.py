"""The loss as a black box: it raises, prefers wrong predictions, has no gradient, is no number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix, Plain
from segdoctor.core.measured import Declared, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import DICE_CODE, need_answers, need_known_loss

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
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if loss_as_run is not None:
            error, where = loss_as_run.raises, "the batch"
        elif loss_contract is not None:
            error, where = loss_contract.raises, "small arrays of every layout"
        else:
            raise NotExaminedError("neither the loss nor a batch is at hand (--data would tell)")
        facts = loss_contract.facts if loss_contract is not None else {}
        if not error:
            error, where = _elsewhere(facts, loss_at_shape)
        if not error:
            return
        cause, words, code = _cause(error, facts.get("raises_in_graph") == error)
        yield self.finding(
            f"The loss fails on {where}: {error.rstrip('. ')}.{cause}",
            (Evidence("error", error, where=where),),
            Fix(words, code, _STAND_IN),
        )


def _elsewhere(facts: Mapping[str, Plain], at_shape: LossAtShape | None) -> tuple[str, str]:
    """``(error, where)`` of a loss that bears the batch: in a graph, on other legal batches."""
    in_graph, rare = facts.get("raises_in_graph"), facts.get("raises_at")
    if in_graph:
        return str(in_graph), "the batch inside a graph, which is how fit runs it"
    if rare:
        where, _, error = str(rare).partition(": ")
        return error, f"a legal small batch ({where})"
    if at_shape is not None and at_shape.raises:
        where, _, error = at_shape.raises.partition(": ")
        return error, f"the batch's labels with another prediction ({where})"
    return "", ""


def _cause(error: str, in_graph: bool = False) -> tuple[str, str, str]:
    """What is behind an error text: a sentence, the remedy in words and in code."""
    low = error.lower()
    if in_graph:
        return (
            " It works only eagerly: fit traces the loss once with tensors that hold no numbers "
            "yet, so .numpy(), float() and Python's if cannot look at them.",
            "Write it with TensorFlow's or Keras' operations alone (tf.where in the place of if).",
            "weight = tf.where(tf.reduce_sum(y_true) > 0, 1.0, 0.0)\n"
            "# to look into it meanwhile: model.compile(…, run_eagerly=True)",
        )
    axis = "reduction dimension" in low or "axis" in low or "dimension" in low
    if axis and ("1 dimension" in low or "rank 1" in low or "out of bounds" in low):
        return (
            " An earlier step (tf.gather_nd, tf.boolean_mask, reshape) laid (B, H, W, C) out as "
            "one long list: the axes that the formula sums over are gone. Summing without an axis "
            "would run, and make one number of all pixels and classes.",
            "Leave the shape as it is, mask by multiplication, and sum over the pixels.",
            DICE_CODE,
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
        need_answers(loss_contract, "best_is_label")
        facts = loss_contract.facts
        if not facts.get("deterministic", True):
            raise NotExaminedError("the loss gives another value when it is asked again")
        deaf = str(facts.get("deaf_forms", "")).split()
        if not facts.get("label_sensitive", True) and ("BHWC" in deaf or "BHW1" in deaf):
            if facts.get("has_gradient"):
                yield self._deaf(loss_contract)
            return
        if facts["best_is_label"]:
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

    def _deaf(self, contract: LossContract) -> Finding:
        facts = contract.facts
        wrong, right = facts.get("lowest_wrong"), facts.get("lowest_right")
        return self.finding(
            "The loss does not compare a pixel's prediction with that pixel's label: with other "
            "labels its gradient does not change where the labels did.",
            (
                Evidence("label layouts that it understands", "none", "one", where=contract.name),
                Evidence("least loss of a wrong prediction", wrong, right, where="small arrays"),
            ),
            Fix(
                "Use y_true at the same pixel and the same class as y_pred.",
                "per_pixel = -tf.reduce_sum(y_true * tf.math.log(y_pred + 1e-7), axis=-1)",
                _STAND_IN,
            ),
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
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        case = loss_contract.facts.get("not_finite")
        broken = loss_as_run is not None and not loss_as_run.raises and not loss_as_run.finite
        at_shape = loss_at_shape.not_finite if loss_at_shape is not None else ""
        if not (case or broken or at_shape):
            return
        where = "the batch" if broken else f"a legal small batch ({case})"
        evidence = []
        if at_shape and loss_at_shape is not None:
            where = where if broken or case else f"the batch's labels ({at_shape})"
            shape = f"{at_shape}, {loss_at_shape.shape}, {loss_at_shape.dtype}"
            evidence.append(Evidence("first case at the batch's shape and type", shape, "none"))
        if case:
            evidence.append(Evidence("first case that is not finite", str(case), "none"))
        if loss_as_run is not None and broken:
            evidence.append(Evidence("loss of the batch", str(loss_as_run.value), "a number"))
        # One of Keras' own that breaks at probabilities of exactly 0 or 1 alone is no one's slip.
        rare = bool(loss_contract.facts.get("stock")) and not broken
        extreme = all("saturated" in str(name) for name in (case, at_shape) if name)
        yield self.finding(
            f"The loss or its gradient is NaN or infinite on {where}.",
            evidence,
            Fix(
                "Keep logarithms and quotients away from zero.",
                "tf.math.log(tf.maximum(p, 1e-7)); tf.math.divide_no_nan(a, b)",
                _STAND_IN,
            ),
            "warning" if rare and extreme else None,
        )
