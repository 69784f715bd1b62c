"""The activations before the output: twice, over one channel, over a wrong axis, on logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe

NORMALISING = ("softmax", "sigmoid", "hard_sigmoid", "log_softmax")
RECTIFIED = ("relu", "relu6", "tanh", "hard_tanh", "softplus", "softsign", "clip")

_UNKNOWN_GRAPH = "what leads to the output is not known: no layer graph, and no trace of it"


@dataclass(frozen=True)
class ActivationAppliedTwice(Probe):
    """OUT003: the graph itself has softmax or sigmoid twice."""

    code = "OUT003"
    how = (
        "The layer graph (of subclassed models and Lambda layers: a trace of the forward pass) is "
        "walked back from the output to what makes the scores."
    )
    why = (
        "Softmax of a softmax lies between 1/(e+C-1) and e/(e+C-1): with 21 classes no probability "
        "can exceed 0.12, so the loss cannot fall below 2.12, whatever the loss expects."
    )
    fix = "Keep the last activation only: the layer that makes the scores needs none."
    fine = "A softmax in an attention block, with a convolution behind it."
    sources = "FAULTS OUT-02, OUT-10"

    def examine(self, head: HeadFacts) -> Iterator[Finding]:
        if not (head.path_known or head.activations):
            raise NotExaminedError(_UNKNOWN_GRAPH)
        twice = [a for a in head.activations if a.activation in NORMALISING]
        if len(twice) < 2:
            return
        first, last = twice[-2], twice[-1]
        yield self.finding(
            f"The output goes through {first.activation} in layer {first.layer!r} and through "
            f"{last.activation} again in {last.layer!r}.",
            (
                Evidence("activations that make probabilities", len(twice), 1, "layers"),
                Evidence("largest output on the batch", head.maximum, 1.0, where=last.layer),
            ),
            Fix(
                "Take one of the two out.",
                f'layers.Conv2D(num_classes, 1)  # {first.layer}: no activation="…"',
                {"head.activation": "remove"},
            ),
        )


@dataclass(frozen=True)
class SoftmaxOverOneChannel(Probe):
    """OUT004: the softmax of one number is 1."""

    code = "OUT004"
    how = "The output has one channel, came through a softmax over it, and is 1 everywhere."
    why = (
        "Softmax divides by the sum over the channels; with one channel that is the number itself. "
        "Keras hides it: binary cross-entropy reaches back to the logits, so the loss falls like "
        "that of a healthy run while every prediction stays 1."
    )
    fix = "sigmoid for one channel, or two channels with softmax."
    fine = "sigmoid over one channel."
    sources = "jocicmarko/ultrasound-nerve-segmentation#18; MEASURED: loss 0.74 → 0.08, all 1.0"

    def examine(self, head: HeadFacts, loss_as_run: LossAsRun | None = None) -> Iterator[Finding]:
        over_one = [a for a in head.activations if a.activation == "softmax" and a.axis_size == 1]
        always_one = head.channels == 1 and head.minimum == head.maximum == 1.0
        if not (over_one or always_one):
            return
        layer = over_one[-1].layer if over_one else ""
        evidence = [
            Evidence("smallest output", head.minimum, where=layer),
            Evidence("largest output", head.maximum, where=layer),
        ]
        seen = ""
        if loss_as_run is not None and loss_as_run.rescued and loss_as_run.value is not None:
            seen = (
                " The loss still falls, because Keras trains the scores behind the softmax: the "
                "curve looks healthy and the masks are all foreground."
            )
            evidence.append(
                Evidence("loss as fit has it", loss_as_run.value, loss_as_run.plain_value)
            )
        yield self.finding(
            f"The softmax runs over one single channel, so every output is 1.{seen}",
            evidence,
            Fix(
                "Use sigmoid for one channel.",
                'outputs = layers.Conv2D(1, 1, activation="sigmoid")(x)',
                {"head.activation": "remove", "loss.stand_in": True},
            ),
        )


@dataclass(frozen=True)
class SoftmaxOverWrongAxis(Probe):
    """OUT006: rows, columns, pixels or images compete, not classes."""

    code = "OUT006"
    how = "The output is not negative and sums to one over other axes than that of the classes."
    why = (
        "The pixels of a row (or the images of a batch) then share one unit of probability among "
        "them: no pixel can be sure of its class, and the loss stays on a plateau."
    )
    fix = "Softmax over the class axis: the last one, or axis=1 for channels-first outputs."
    fine = "A sigmoid for each class sums to anything."
    sources = "MrGiovanni/ModelsGenesis#8"

    def examine(self, head: HeadFacts) -> Iterator[Finding]:
        axes = head.sums_to_one_over
        if not axes:
            return
        told = ", ".join(str(axis) for axis in axes)
        length = math.prod(head.shape[axis] for axis in axes)
        yield self.finding(
            f"The output of shape {head.shape} sums to one over axis {told} (length "
            f"{length}), not over the classes on axis {head.class_axis} "
            f"({head.channels} channels).",
            (
                Evidence("largest |sum over classes - 1|", head.channel_sum_error, 0.01),
                Evidence("axis that sums to one", told, str(head.class_axis)),
            ),
            Fix(
                "Normalise over the classes.",
                f"outputs = layers.Softmax(axis={head.class_axis})(logits)",
                {"head.activation": "remove", "loss.stand_in": True},
            ),
        )


@dataclass(frozen=True)
class RectifiedLogits(Probe):
    """OUT007: the scores are cut off or squeezed before the loss sees them."""

    code = "OUT007"
    how = (
        "The layer graph is walked back from the output: a ReLU, tanh or clip stands between the "
        "layer that makes the scores and the output, or its softmax."
    )
    why = (
        "ReLU makes all negative scores equal and stops their gradient: a pixel whose scores are "
        "all below zero learns nothing any more. tanh bounds the scores to ±1, so softmax over 21 "
        "classes cannot exceed 0.27."
    )
    fix = "No activation on the layer that makes the scores."
    fine = (
        "A ReLU before a normalisation or a further convolution; tanh with a hinge loss, and with "
        "labels from -1 to 1."
    )
    sources = "MEASURED: a real file with ReLU output and mean squared error"

    def examine(
        self,
        head: HeadFacts,
        declared: Declared | None = None,
        loss_contract: LossContract | None = None,
        labels: LabelFacts | None = None,
    ) -> Iterator[Finding]:
        if not (head.path_known or head.activations):
            raise NotExaminedError(_UNKNOWN_GRAPH)
        cut = [a for a in head.activations if a.activation in RECTIFIED]
        name = loss_contract.name.lower() if loss_contract is not None else ""
        if not cut:
            return
        fed = labels.histogram if labels is not None else {}
        signed = bool(fed) and min(fed) == -1 and max(fed) == 1
        if cut[-1].activation in ("tanh", "hard_tanh") and ("hinge" in name or signed):
            return
        last = cut[-1]
        at_the_end = head.activations[-1] is last
        known = loss_contract if declared is None or not declared.loss_stand_in else None
        wants = "softmax" if head.channels > 1 else "sigmoid"
        takes_logits = known is not None and known.prediction == "logits"
        code = f"layers.Conv2D(num_classes, 1)  # {last.layer}: no activation"
        if at_the_end and not takes_logits:
            code = f'layers.Conv2D(num_classes, 1, activation="{wants}")  # {last.layer}'
        yield self.finding(
            f"The scores go through {last.activation} in layer {last.layer!r} before "
            f"{'the loss' if at_the_end else 'the softmax'} sees them.",
            (
                Evidence("smallest output on the batch", head.minimum, where=last.layer),
                Evidence("largest output on the batch", head.maximum, where=last.layer),
            ),
            Fix(
                f"Take the {last.activation} off the scores.",
                code,
                {"head.activation": "remove", "loss.stand_in": True} if at_the_end else {},
            ),
        )
