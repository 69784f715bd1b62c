"""The type of the labels as fed cannot hold their ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import Probe
from segdoctor.probes.loss_settings import need_own_labels

_LARGEST = {"bool": 1, "int8": 127, "uint8": 255, "float16": 2048, "bfloat16": 256}
"""The largest id up to which every id has a value of its own."""


@dataclass(frozen=True)
class LabelPrecisionLost(Probe):
    """LBL010: ids were cast to a type that is too small for them."""

    code = "LBL010"
    how = (
        "The type of the labels as fed against the largest id that there can be (the channels of "
        "the output, and the ignore label), and against the values that are there: a declared 255 "
        "that arrives as -1 went through int8."
    )
    why = (
        "int8 wraps 255 to -1 and 200 to -56, bool makes every class 1, float16 and bfloat16 round "
        "ids above 2048 and 256 to their neighbours. No error, other classes."
    )
    fix = "int32 for ids from the mask to the loss; float32 where a loss wants floating point."
    fine = "uint8 with up to 255 classes; any type that holds the ids, whatever it is."
    sources = "srihari-humbarwadi/DeepLabV3_Plus-Tensorflow2.0#15; FAULTS IGN-15"

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        head: HeadFacts | None = None,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        need_own_labels(declared)
        largest = _LARGEST.get(labels.dtype)
        if largest is None or labels.kind == "onehot":
            return
        classes = declared.num_classes or (head.channels if head is not None else 2)
        top = max(classes, 2) - 1
        void = declared.ignore_label
        label = None if void is None or void is False else int(void)
        wrapped = label is not None and labels.dtype == "int8" and label > largest
        lost = wrapped and float(label - 256 if label else 0) in labels.histogram
        negative = labels.dtype == "int8" and min(labels.histogram, default=0) < -1
        if top <= largest and not lost and not negative:
            return
        if lost and label is not None:
            count = labels.histogram[float(label - 256)]
            said = f"The ignore label {label} arrives as {label - 256} at {count} pixels"
        elif negative:
            said = f"The labels hold {min(labels.histogram):g}, which no one drew"
        else:
            said = f"There can be ids up to {top}"
        yield self.finding(
            f"{said}: the labels are {labels.dtype}, which holds ids up to {largest}.",
            (
                Evidence("largest id of the type", largest, max(top, label or 0), "ids"),
                Evidence("least value", min(labels.histogram, default=0.0), 0.0),
            ),
            Fix("Keep the ids as int32.", "y = tf.cast(mask, tf.int32)   # before any arithmetic"),
            # The ids are lost already; or the loss leaves out what is not there any more.
            "error" if negative or (lost and _left_out(label, loss_contract)) else None,
        )


def _left_out(label: int | None, contract: LossContract | None) -> bool:
    """Whether the loss leaves the ignore label out, and not what became of it."""
    ignores = contract.ignores if contract is not None else ()
    return label is not None and label in ignores and label - 256 not in ignores
