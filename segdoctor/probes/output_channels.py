"""The number of output channels against the number of classes in the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_values import USUAL_VOIDS, LabelValues, label_values


@dataclass(frozen=True)
class ChannelsDifferFromClasses(Probe):
    """OUT008: the head has another number of channels than there are classes."""

    code = "OUT008"
    how = (
        "Counts the output channels, and the classes: as declared, else the width of one-hot "
        "labels, else the ids in all masks on disk (or in the batch), void aside, where they are a "
        "class list of their own."
    )
    why = (
        "A class without a channel cannot be predicted. A sparse loss raises on its id on a CPU "
        "and gives NaN on a GPU, one-hot labels of another width do not fit the output."
    )
    fix = "As many channels as classes, or labels mapped to the classes that the head has."
    fine = (
        "One channel with sigmoid is two classes. A batch, or a small data set, that lacks some "
        "classes is no fault."
    )
    sources = "tensorflow/models#3730; the person model (2 channels) against VOC's 21 ids"

    gaps: float = field(
        default=0.2,
        metadata={"doc": "share of unused ids up to which ids count as a class list of their own"},
    )

    def examine(
        self,
        head: HeadFacts,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        wanted = declared.num_classes if declared and declared.num_classes_declared else None
        if wanted is not None and not _fits(head.channels, wanted):
            yield self._found(head, wanted, "declared", Evidence("classes declared", wanted))
            return
        width = self._width(head, labels, declared)
        if width is not None and width != head.channels:
            evidence = Evidence("channels of the one-hot labels", width, head.channels)
            yield self._found(head, width, "in the one-hot labels", evidence)
            return
        if wanted is not None:
            return  # ids beyond what is declared and what the head has are LBL003
        if labels is None and scan is None:
            raise NotExaminedError("there are no labels (--data or --num-classes would tell)")
        for values in label_values(labels, scan, declared, head, loss_contract):
            classes = self._class_list(values, head.channels)
            if classes is not None:
                evidence = Evidence(
                    "largest id", classes - 1, max(head.channels, 2) - 1, "", values.where
                )
                yield self._found(head, classes, f"in the {values.where}", evidence)
                return

    def _width(
        self, head: HeadFacts, labels: LabelFacts | None, declared: Declared | None
    ) -> int | None:
        """Channels of one-hot labels that the user's pipeline made."""
        own = declared is None or declared.encoding_declared
        if labels is None or labels.kind != "onehot" or not own:
            return None
        axis = -1 if labels.sums_to_one_over is None else labels.sums_to_one_over
        return labels.shape[axis]

    def _class_list(self, values: LabelValues, channels: int) -> int | None:
        """Classes of the labels where they are more than the head has, else None."""
        from segdoctor.measures.palettes import VOC_CLASSES, class_list

        if values.kind not in ("ids", "binary"):
            return None
        aside = {values.void, *USUAL_VOIDS, *values.masked}
        ids = {v: n for v, n in values.histogram.items() if v not in aside}
        if not ids or max(ids) < max(channels, 2):
            return None
        if values.voc_layout and all(0 <= value < VOC_CLASSES for value in ids):
            return VOC_CLASSES
        return class_list(ids, None, self.gaps)

    def _found(self, head: HeadFacts, classes: int, where: str, evidence: Evidence) -> Finding:
        channels = f"{head.channels} output channel" + ("s" if head.channels != 1 else "")
        fewer = head.channels < classes
        effect = (
            f"the classes from {max(head.channels, 2)} on can never be predicted"
            if fewer
            else "the channels beyond them are never the right answer"
        )
        words = f"Give the head {classes} channels"
        if fewer and head.channels <= 2:
            words += ", or map the labels to the two classes it has (--label-map 15=1,else=0)"
        return self.finding(
            f"The model has {channels}, but there are {classes} classes {where}: {effect}.",
            (Evidence("output channels", head.channels, classes), evidence),
            Fix(
                f"{words}.",
                f"outputs = layers.Conv2D({classes}, 1)(x)",
                {"head.channels": classes},
            ),
        )


def _fits(channels: int, classes: int) -> bool:
    return channels == classes or (channels == 1 and classes == 2)
