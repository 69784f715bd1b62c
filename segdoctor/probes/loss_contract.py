"""The loss as a black box: it prefers wrong predictions, has no gradient, is no number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix, Plain
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.network_facts import NotFinite
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_answers, need_known_loss

_STAND_IN = {"loss.stand_in": True}


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

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        loss_at_shape: LossAtShape | None = None,
        loss_as_run: LossAsRun | None = None,
        labels: LabelFacts | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if labels is not None and head is not None and _from_one(labels, head.channels):
            raise NotExaminedError("the labels count from 1, and the small arrays from 0")
        need_answers(loss_contract, "best_is_label")
        facts = loss_contract.facts
        if not facts.get("deterministic", True):
            raise NotExaminedError("the loss gives another value when it is asked again")
        deaf = str(facts.get("deaf_forms", "")).split()
        if not facts.get("label_sensitive", True) and ("BHWC" in deaf or "BHW1" in deaf):
            if loss_as_run is not None and loss_as_run.raises:
                raise NotExaminedError(f"the loss fails on the batch: {loss_as_run.raises}")
            if facts.get("has_gradient"):
                yield self._deaf(loss_contract)
            return
        if facts["best_is_label"] or _right_on_the_batch(facts, loss_at_shape):
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


def _from_one(labels: LabelFacts, channels: int) -> bool:
    values = labels.histogram
    return labels.kind == "ids" and channels > 1 and 0 not in values and channels in values


def _right_on_the_batch(facts: Mapping[str, Plain], asked: LossAtShape | None) -> bool:
    """Whether class 0 everywhere is better on the small arrays alone, whose labels are noise: a
    term that asks for smooth outlines pays off only where objects have some size."""
    if not facts.get("only_class_0_is_better") or asked is None:
        return False
    if asked.right is None or asked.wrong is None or asked.background is None:
        return False
    return asked.right < min(asked.wrong, asked.background)


@dataclass(frozen=True)
class LossHasNoGradient(Probe):
    """LOSS003: nothing flows back from the loss."""

    code = "LOSS003"
    how = (
        "The gradient with respect to the prediction, on small arrays with soft predictions and on "
        "the batch: None, or exactly zero everywhere. And the loss of right, wrong and undecided "
        "predictions of the batch's labels: the same for all of them."
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
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if loss_at_shape is not None and _constant(loss_at_shape):
            yield self._always_the_same(loss_at_shape)
            return
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

    def _always_the_same(self, asked: LossAtShape) -> Finding:
        return self.finding(
            f"The loss is {asked.right:.4g} on the batch's labels for right predictions, for wrong "
            "ones and for undecided ones alike: nothing can be learnt from it. With one channel, a "
            "categorical loss makes every output 1.",
            (
                Evidence("loss of right predictions", asked.right, where="the batch's labels"),
                Evidence("loss of wrong predictions", asked.wrong, where="the batch's labels"),
            ),
            Fix(
                "Take a loss that fits the channels: binary cross-entropy for one.",
                "loss = keras.losses.BinaryCrossentropy()",
                _STAND_IN,
            ),
        )


def _constant(asked: LossAtShape) -> bool:
    values = (asked.right, asked.wrong, asked.background, asked.undecided)
    first = asked.right
    if first is None or any(value is None or not isfinite(value) for value in values):
        return False
    size = max(abs(value) for value in values if value is not None)
    return all(value is not None and abs(value - first) <= 1e-6 * size for value in values)


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
        head: HeadFacts | None = None,
        not_finite: NotFinite | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        case = loss_contract.facts.get("not_finite")
        if head is not None and head.channels == 1 and not loss_contract.facts.get("asked_as_fed"):
            case = None  # Keras lays labels of another rank out in another way
        broken = loss_as_run is not None and not loss_as_run.raises and not loss_as_run.finite
        if broken and head is not None and not isfinite(head.minimum + head.maximum):
            broken = False  # what the model gives is none: GRAD004, MDL004
        if not_finite is not None and not_finite.where == "forward":
            broken = False  # the same, in training mode alone
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
        # Neither is one that breaks only where *every* pixel is exactly right: x ** 0.75 at 0, nor
        # tf_keras' ignore_class, which divides by the valid pixels, on a batch that has none.
        facts = loss_contract.facts
        rare = bool(facts.get("stock") or facts.get("only_if_all_right")) and not broken
        extreme = all(_extreme(str(name), facts) for name in (case, at_shape) if name)
        if facts.get("only_if_all_right"):
            where = "predictions that are exactly right at every pixel"
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


def _extreme(case: str, facts: Mapping[str, Plain]) -> bool:
    return "saturated" in case or (case == "nothing but void" and bool(facts.get("stock")))
