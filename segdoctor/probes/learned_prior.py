"""HIST007: the training learnt the class frequencies and nothing of the images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.fed_facts import FedFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.history_facts import HistoryFacts
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError, Probe


@dataclass(frozen=True)
class LearnedPriorOnly(Probe):
    code = "HIST007"
    how = (
        "From the pixels of each class in the masks (of a folder, or of up to 64 examples as they "
        "are fed): the entropy of their frequencies (the "
        "cross-entropy of a net that says these everywhere), the share of the largest class (its "
        "accuracy), and the mean IoU of saying that class everywhere. The ends of the curves are "
        "set against these three numbers; an accuracy that equals the share and stands still to "
        "the fourth digit tells by itself."
    )
    why = (
        "Accuracy .74 and a falling loss look like learning and are the background alone: on VOC "
        "the constant predictor has a mean IoU of .035."
    )
    fix = "The features do not reach the head, or the step is too small: mend those errors."
    fine = "A set of nearly one class, where a good net has such an accuracy too: the IoU decides."
    sources = "tensorflow/models#3739; DrSleep/tensorflow-deeplab-resnet#96; FAULTS OPT-05"

    loss_margin: float = field(
        default=0.08, metadata={"doc": "distance of the loss from the entropy, as a share of it"}
    )
    accuracy_margin: float = field(
        default=0.02, metadata={"doc": "distance of the accuracy from the largest class's share"}
    )
    iou_margin: float = field(
        default=0.01, metadata={"doc": "distance of the mean IoU from the constant predictor's"}
    )
    still: int = field(
        default=5,
        metadata={"doc": "epochs in which an accuracy that stands still is evidence by itself"},
    )
    agreeing: int = field(default=2, metadata={"doc": "of the three that must agree"})

    def examine(
        self,
        history: HistoryFacts,
        declared: Declared,
        scan: ScanFacts | None = None,
        fed: FedFacts | None = None,
    ) -> Iterator[Finding]:
        from segdoctor.measures.curves import entropy, is_accuracy, is_iou

        void = declared.ignore_label
        if scan is not None:
            void = void if void is not None else scan.void
            histogram = scan.histogram
        elif fed is not None and fed.classes:
            histogram = fed.classes
        else:
            raise NotExaminedError(
                "how frequent each class is is not known (the data set's masks would tell: data=)"
            )
        counts = {
            label: pixels
            for label, pixels in histogram.items()
            if pixels and (void is False or void is None or label != void)
        }
        if len(counts) < 2:
            raise NotExaminedError("the masks hold fewer than two classes")
        total = sum(counts.values())
        share = max(counts.values()) / total
        prior = entropy(list(counts.values()))
        classes = declared.num_classes or len(counts)
        # With two classes it may be the IoU of the foreground alone.
        constant = {share / classes, share / len(counts), *((0.0,) if len(counts) == 2 else ())}
        known: list[tuple[bool, str, float, float]] = []
        for names, goal, margin, what in (
            (("loss",), prior, self.loss_margin * prior, "loss"),
            (_keys(history, is_accuracy), share, self.accuracy_margin, "accuracy"),
            (_keys(history, is_iou), None, self.iou_margin, "mean IoU"),
        ):
            last = _end(history, names)
            if last is None:
                continue
            aim = goal if goal is not None else min(constant, key=lambda c: abs(c - last))
            known.append((abs(last - aim) <= margin, what, last, aim))
        if not known:
            raise NotExaminedError("the history has no loss, accuracy or IoU")
        right = [entry for entry in known if entry[0]]
        still = self._still(history, prior) if right and right[0][1] == "accuracy" else ""
        wrong_iou = any(what == "mean IoU" and not agrees for agrees, what, _, _ in known)
        if wrong_iou or (len(right) < self.agreeing and not still):
            return
        told = ", ".join(
            f"{what} {last:.3g} (knowing only that: {aim:.3g})" for _, what, last, aim in right
        )
        told += still
        yield self.finding(
            f"The training learnt how frequent each class is and nothing of the images: {told}.",
            [
                Evidence(f"{what} at the end", _round(last), _round(aim), "", "last epochs")
                for _, what, last, aim in known
            ],
            Fix(
                "Class weights do not help here. Something keeps the images from the head: mend "
                "the errors above; then look at the mean IoU, not at the accuracy."
            ),
        )

    def _still(self, history: HistoryFacts, prior: float) -> str:
        """That the accuracy stands still to the fourth digit, beside a loss (with a penalty, as a
        rule) that is nowhere below the entropy; "" where it does not."""
        from segdoctor.measures.curves import is_accuracy

        accuracy = history.series[_keys(history, is_accuracy)[0]]
        tail = accuracy[len(accuracy) // 2 :]
        loss = _end(history, ("loss",))
        if len(tail) < self.still or loss is None or loss < (1.0 - self.loss_margin) * prior:
            return ""
        if not all(abs(value - tail[0]) < 1e-4 for value in tail):
            return ""
        return f", the same to the fourth digit in the last {len(tail)} epochs"


def _keys(history: HistoryFacts, fits: object) -> tuple[str, ...]:
    assert callable(fits)
    plain = [name for name in history.series if not name.startswith("val_") and fits(name)]
    return tuple(plain or [name for name in history.series if fits(name)])


def _end(history: HistoryFacts, names: tuple[str, ...]) -> float | None:
    """The median of the last fifth of the first curve that is there; None if it is not finite."""
    for name in names:
        values = history.series.get(name)
        if values:
            tail = sorted(values[-max(len(values) // 5, 1) :])
            middle = tail[len(tail) // 2]
            return middle if math.isfinite(middle) else None
    return None


def _round(value: float) -> float:
    return float(f"{value:.3g}")
