"""The scale of the output against the scale that the loss takes: logits or probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import answered, need_known_loss, takes_from_logits
from segdoctor.probes.output_activation import RECTIFIED

_UNTOLD = "the loss's answers do not tell whether it takes logits or probabilities"


def _need_scale(declared: Declared, contract: LossContract) -> None:
    need_known_loss(declared)
    if contract.raises:
        raise NotExaminedError(f"the loss raises on every question: {contract.raises}")
    if contract.prediction == "unknown":
        raise NotExaminedError(_UNTOLD)


@dataclass(frozen=True)
class SoftmaxOnSoftmaxLoss(Probe):
    """OUT001: probabilities go into a loss that makes probabilities of them once more."""

    code = "OUT001"
    how = (
        "The output is measured: does it lie in [0, 1] and sum to one over the classes? The loss "
        "is asked on small arrays whether it has a softmax or sigmoid inside. Then the loss of the "
        "batch is taken twice, as fit does and for the bare numbers: where the two differ, Keras "
        "reached back to the logits behind the activation, and the fault is without effect."
    )
    why = (
        "A second softmax squeezes probabilities into a narrow band: with 21 classes even a "
        "perfect prediction scores -log(e/(e+20)) = 2.12 instead of 0, gradients shrink, and the "
        "loss looks stuck from the first epoch."
    )
    fix = (
        "Keep one of the two: from_logits=False for an output with softmax or sigmoid, or no "
        "activation at the end of the model with from_logits=True."
    )
    fine = (
        "Softmax as the very last operation: Keras reaches back to the logits and only warns "
        "(info). Not so with ignore_class, whose masking hides the way back, nor with any layer "
        "behind the softmax, even a Reshape."
    )
    sources = "bonlime/keras-deeplab-v3-plus#152; keras-team/keras#15271; MEASURED"

    def examine(
        self,
        declared: Declared,
        head: HeadFacts,
        loss_contract: LossContract,
        loss_as_run: LossAsRun,
    ) -> Iterator[Finding]:
        _need_scale(declared, loss_contract)
        if head.kind not in ("softmax", "sigmoid") or loss_contract.prediction != "logits":
            return
        name = head.kind
        evidence = [
            Evidence("output, smallest and largest", f"{head.minimum:.3g} … {head.maximum:.3g}"),
            Evidence("loss of a perfect prediction, as probabilities", *_floors(loss_contract)),
        ]
        if loss_as_run.value is not None:
            evidence.append(
                Evidence(
                    "loss of the batch as fit has it",
                    loss_as_run.value,
                    loss_as_run.plain_value,
                    where="the limit is the loss of the bare output",
                )
            )
        fix = self._fix(head, loss_contract)
        if loss_as_run.rescued:
            yield self.finding(
                f"The model ends in {name} and the loss is told to expect logits. It works only "
                f"because Keras reaches back behind the last {name}; a layer added behind it, or "
                "ignore_class in the loss, would end that without a word.",
                evidence,
                fix,
                severity="info",
            )
            return
        floor, best = _floors(loss_contract)
        effect = ""
        if floor is not None and best is not None:
            effect = f" Even a perfect prediction scores {floor:.2f} instead of {best:.2f}."
        yield self.finding(
            f"The output has been through {name}, and the loss applies it once more"
            f" (from_logits=True).{effect} {self._unseen(head, loss_contract, name)}",
            evidence,
            fix,
        )

    def _unseen(self, head: HeadFacts, contract: LossContract, name: str) -> str:
        """Why Keras does not reach back."""
        if head.layers_behind:
            layers = ", ".join(head.layers_behind)
            return f"Keras cannot reach back to the logits: {layers} stands behind the {name}."
        if takes_from_logits(contract) and contract.ignores:
            return (
                "Keras would reach back to the logits, but the masking by "
                f"ignore_class={contract.ignores[0]} hides the way."
            )
        return "Keras does not reach back to the logits here, and warns of nothing."

    def _fix(self, head: HeadFacts, contract: LossContract) -> Fix:
        if takes_from_logits(contract):
            return Fix(
                f"Tell the loss that it gets probabilities, or take the {head.kind} off.",
                f"loss = keras.losses.{_class_name(contract)}(from_logits=False, …)",
                {"loss.from_logits": False},
            )
        return Fix(
            f"End the model in plain scores: the loss applies its own {head.kind}.",
            "outputs = layers.Conv2D(num_classes, 1)(x)  # no activation",
            {"head.activation": "remove"},
        )


@dataclass(frozen=True)
class LogitsIntoProbabilityLoss(Probe):
    """OUT002: unbounded scores go into a loss that takes them for probabilities."""

    code = "OUT002"
    how = (
        "The output is measured: it has values outside [0, 1]. The loss is asked on small arrays: "
        "it has neither softmax nor sigmoid inside, and is clipped, undefined or misled outside "
        "[0, 1]."
    )
    why = (
        "The loss clips scores below 0 and above 1: there the gradient is exactly zero, and any "
        "large constant score looks perfect. With 21 classes the categorical cross-entropy has no "
        "gradient on about half of the pixels."
    )
    fix = "from_logits=True in the loss, or a softmax (one channel: sigmoid) at the end."
    fine = (
        "Mean squared error and its kind take any numbers; hinge losses take scores; a loss with "
        "its own softmax takes logits."
    )
    sources = "bonlime/keras-deeplab-v3-plus#54, #79, #111; MEASURED"

    def examine(
        self,
        declared: Declared,
        head: HeadFacts,
        loss_contract: LossContract,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        _need_scale(declared, loss_contract)
        if head.kind != "logits" or loss_contract.prediction != "probabilities":
            return
        if head.activations and head.activations[-1].activation in RECTIFIED:
            return  # OUT007 says it: neither logits nor probabilities
        evidence = [
            Evidence("smallest output", head.minimum, 0.0),
            Evidence("largest output", head.maximum, 1.0),
        ]
        silent = 0.0
        if loss_as_run is not None and loss_as_run.value is not None:
            silent = loss_as_run.zero_gradient_share
            evidence.append(
                Evidence("pixels whose gradient is exactly zero", silent, 0.0, "share", "the batch")
            )
        activation = "softmax" if head.channels > 1 else "sigmoid"
        effect = f" On {silent:.0%} of the pixels the gradient is exactly zero." if silent else ""
        yield self.finding(
            f"The model ends in logits ({head.minimum:.2g} … {head.maximum:.2g}), but the loss "
            f"takes its output for probabilities and cuts off what is outside [0, 1].{effect}",
            evidence,
            self._fix(loss_contract, activation),
        )

    def _fix(self, contract: LossContract, activation: str) -> Fix:
        if takes_from_logits(contract):
            return Fix(
                "Tell the loss that it gets logits (it is also the more exact way).",
                f"loss = keras.losses.{_class_name(contract)}(from_logits=True)",
                {"loss.from_logits": True},
            )
        return Fix(
            f"Put a {activation} behind the last layer: this loss has none inside.",
            f'outputs = layers.Activation("{activation}", dtype="float32")(logits)',
            {"head.activation": activation},
        )


@dataclass(frozen=True)
class SigmoidWithCategoricalLoss(Probe):
    """OUT005: the head's idea of classes is not the loss's."""

    code = "OUT005"
    how = (
        "The loss is asked whether raising one channel changes the gradient of another (classes "
        "that exclude each other), or whether each channel is a yes/no question of its own. The "
        "output is measured: does it sum to one over the classes?"
    )
    why = (
        "Softmax makes channels compete, binary cross-entropy asks each by itself and counts the "
        "20 easy noes of 21 as much as the one yes; independent sigmoids can all be high at once, "
        "which an exclusive loss never sees."
    )
    fix = "Softmax with (sparse) categorical cross-entropy, sigmoids with binary cross-entropy."
    fine = (
        "Dice, Tversky and mean squared error suit both; several labels at one pixel need sigmoids."
    )
    sources = "MEASURED: softmax over 12 with binary cross-entropy in a real file"

    def examine(
        self, declared: Declared, head: HeadFacts, loss_contract: LossContract
    ) -> Iterator[Finding]:
        _need_scale(declared, loss_contract)
        facts = loss_contract.facts
        if head.channels < 2 or loss_contract.prediction != "probabilities":
            return
        alike = facts.get("forgets_classes")  # one ratio over all entries: they compete as pixels
        exclusive = facts.get("channels_compete") and facts.get("additive") and not alike
        if head.kind == "sigmoid" and exclusive:
            yield self.finding(
                f"The {head.channels} channels are independent sigmoids, but the loss treats the "
                "classes as exclusive.",
                [
                    Evidence("largest |sum over classes - 1|", head.channel_sum_error, 0.01),
                    Evidence("channels compete in the loss", True, where=loss_contract.name),
                ],
                Fix(
                    "One class per pixel: softmax. Several: binary cross-entropy.",
                    'outputs = layers.Conv2D(num_classes, 1, activation="softmax")(x)',
                ),
            )
        elif head.kind == "softmax" and facts.get("yes_no_per_channel"):
            yield self.finding(
                f"The output is a softmax over {head.channels} classes, but the loss asks a yes/no "
                "question per channel (binary cross-entropy).",
                [
                    Evidence("largest |sum over classes - 1|", head.channel_sum_error, 0.01),
                    Evidence("yes/no per channel in the loss", True, where=loss_contract.name),
                ],
                Fix(
                    "Use the loss of exclusive classes.",
                    "loss = keras.losses.CategoricalCrossentropy()  # ids: SparseCategorical…",
                ),
            )


def _floors(contract: LossContract) -> tuple[float | None, float | None]:
    """The loss of a perfect prediction as 0/1, and as large logits."""
    return answered(contract, "one-hot, "), answered(contract, "push 20, ")


def _class_name(contract: LossContract) -> str:
    """``sparse_categorical_crossentropy`` → ``SparseCategoricalCrossentropy``."""
    name = contract.name
    return name if "_" not in name else "".join(part.capitalize() for part in name.split("_"))
