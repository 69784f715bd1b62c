"""The metric as a black box: is perfect best, is it fed what it needs, what is averaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite, isnan

from segdoctor.core.asked import MetricContract
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import HeadFacts
from segdoctor.core.probe import NotExaminedError, Probe

_ARRANGED = {
    "ids as labels": "y = y.argmax(axis=-1)",
    "one-hot labels": "y = keras.utils.to_categorical(ids, {0})   # or a metric of ids: MeanIoU",
    "arg max": "y_pred = tf.argmax(y_pred, axis=-1)",
    "arg max with an axis": "y_pred = tf.argmax(y_pred, axis=-1)[..., None]",
    "one-hot of the arg max": "keras.metrics.OneHotMeanIoU(num_classes={0})   # one-hot labels",
    "softmax": "y_pred = tf.nn.softmax(y_pred)",
    "sigmoid": "y_pred = tf.sigmoid(y_pred)",
    "a threshold of 0.5": "keras.metrics.BinaryIoU(threshold=0.5)",
    "sigmoid and a threshold of 0.5": "keras.metrics.BinaryIoU(threshold=0.0)   # logits",
}


def need_metrics(metrics: tuple[MetricContract, ...]) -> None:
    """
    Raises
    ------
    NotExaminedError
        The run has no metric.
    """
    if not metrics:
        raise NotExaminedError("the run has no metric (--metric or metrics= would give one)")


@dataclass(frozen=True)
class NotOneWhenPerfect(Probe):
    """MET001: whatever the prediction is arranged into, the metric does not know a perfect one."""

    code = "MET001"
    how = (
        "Each metric is computed as fit does for predictions of known quality: every pixel right, "
        "every other pixel, none. A perfect prediction must be best, and a score between 0 and 1 "
        "must be 1. Where it is not, the usual arrangements (arg max, softmax, a threshold) are "
        "tried first: with one of them it is MET002."
    )
    why = (
        "Early stopping, the best checkpoint and you look at this number. If perfect is not best, "
        "all of them choose something else."
    )
    fix = "Compute it once by hand: metric(y, perfect) must be 1, metric(y, wrong) about 0."
    fine = "Errors (MSE, a loss) are best at their least; a log-likelihood has no 1."
    sources = "keras.metrics; FAULTS MET-01"

    def examine(self, metrics: tuple[MetricContract, ...]) -> Iterator[Finding]:
        need_metrics(metrics)
        for metric in metrics:
            facts = metric.facts
            if facts.get("works_as_fed") is not False or metric.arranged:
                continue
            if metric.raises:
                said = f"The metric {metric.name} fails on labels and outputs as this run has them"
                message = f"{said}: {metric.raises}."
            else:
                message = (
                    f"The metric {metric.name} gives {_show(metric, 'perfect')} for a perfect "
                    f"prediction, {_show(metric, 'half')} for a half right one and "
                    f"{_show(metric, 'wrong')} for one that is wrong everywhere."
                )
            yield self.finding(
                message,
                (
                    Evidence("perfect prediction", metric.values.get("perfect"), 1.0),
                    Evidence("every pixel wrong", metric.values.get("wrong"), 0.0),
                    Evidence("what it says", metric.raises or "no error", "no error"),
                ),
                Fix(
                    "Take a metric of Keras for these labels, or repair this one.",
                    "keras.metrics.MeanIoU(num_classes=…, sparse_y_pred=False, ignore_class=255)",
                ),
            )


@dataclass(frozen=True)
class FedUnarranged(Probe):
    """MET002: the metric needs ids and gets probabilities, or the other way round."""

    code = "MET002"
    how = (
        "Where a metric does not know a perfect prediction as it is fed, the prediction is "
        "arranged (arg max, softmax, sigmoid, a threshold of 0.5) until it does: that step is "
        "missing."
    )
    why = (
        "MeanIoU casts what it gets to integers: probabilities become 0, and the IoU is a constant "
        "that never moves, however well the model learns."
    )
    fix = "sparse_y_pred=False, OneHotMeanIoU for one-hot labels, BinaryIoU for one channel."
    fine = "Metrics that take the arg max themselves, as all accuracies of Keras do."
    sources = "tensorflow/tensorflow#32875, #39173, #55565; keras-team/keras#14094"

    def examine(self, metrics: tuple[MetricContract, ...], head: HeadFacts) -> Iterator[Finding]:
        need_metrics(metrics)
        for metric in metrics:
            if metric.facts.get("threshold_on_logits"):
                yield self._threshold(metric)
            if not metric.arranged:
                continue
            fed = {"logits": "logits", "softmax": "probabilities", "sigmoid": "probabilities"}
            given = fed.get(head.kind, "the output")
            before, wrong = metric.facts.get("as_fed_perfect"), metric.facts.get("as_fed_wrong")
            told = (
                f"fails on them ({metric.raises})"
                if metric.raises
                else f"gives {_number(before)} for a perfect prediction and {_number(wrong)} for "
                "one that is wrong everywhere"
            )
            if metric.arranged in ("ids as labels", "one-hot labels"):
                given = f"labels that are no {metric.arranged.partition(' ')[0]}"
                told = told.replace(" on them", "")
            yield self.finding(
                f"The metric {metric.name} is fed {given} and {told}; with {metric.arranged} it "
                f"gives {_show(metric, 'perfect')} and {_show(metric, 'wrong')}.",
                (
                    Evidence("perfect prediction, as fed", before, metric.values.get("perfect")),
                    Evidence("wrong prediction, as fed", wrong, metric.values.get("wrong")),
                    Evidence("what is missing", metric.arranged, "nothing"),
                ),
                Fix(f"Feed it {metric.arranged}.", self._code(metric, head.channels)),
            )

    def _code(self, metric: MetricContract, classes: int) -> str:
        if metric.name in ("MeanIoU", "IoU") and metric.arranged.startswith("arg max"):
            return f"keras.metrics.{metric.name}(num_classes={classes}, sparse_y_pred=False, …)"
        return _ARRANGED[metric.arranged].format(classes)

    def _threshold(self, metric: MetricContract) -> Finding:
        hesitant = metric.values.get("hesitant")
        return self.finding(
            f"The metric {metric.name} cuts at 0.5, but gets logits, whose cut is 0: scores "
            "between 0 and 0.5 are counted as a no, though they mean a yes.",
            (Evidence("right, but hesitant", hesitant, metric.values.get("perfect")),),
            Fix(
                "Set the threshold to 0, or put a sigmoid before the metric.",
                f"keras.metrics.{metric.name}(threshold=0.0)",
            ),
            "warning",
        )


@dataclass(frozen=True)
class AveragedWrongly(Probe):
    """MET004: an IoU or Dice of each batch, or of classes that are not there."""

    code = "MET004"
    how = (
        "Two unlike batches are fed one after the other, and as one. A batch that lacks classes is "
        "predicted perfectly, and wrong at every pixel: the classes that are not there must "
        "neither lower nor raise the score, nor make it NaN. After a reset the same prediction "
        "must score the same."
    )
    why = (
        "The mean of IoUs of batches is no IoU of the data: it depends on the batch size and the "
        "order. An absent class counted as 0 punishes a perfect prediction, counted as 1 (the "
        "smoothing term in both places) it gives 0.9 to a model that sees nothing."
    )
    fix = "Sum the confusion matrix over all batches, then divide, over classes that occur."
    fine = "Accuracies and losses: the mean of equal batches is the mean."
    sources = "keras.metrics.MeanIoU (sums a confusion matrix); MEASURED"

    apart: float = field(
        default=0.02,
        metadata={"doc": "difference that feeding batch by batch may make to a score"},
    )
    absent: float = field(
        default=0.1, metadata={"doc": "part of a score that absent classes may take or give"}
    )

    def examine(self, metrics: tuple[MetricContract, ...]) -> Iterator[Finding]:
        need_metrics(metrics)
        for metric in metrics:
            if metric.facts.get("keeps_state"):
                yield self._never_empty(metric)
            if not metric.facts.get("is_score"):
                continue
            told = list(self._told(metric))
            if not told:
                continue
            yield self.finding(
                f"The metric {metric.name} {'; it '.join(words for words, _ in told)}.",
                [evidence for _, evidence in told],
                Fix(
                    "Sum the confusion matrix over the batches, as Keras' IoU metrics do.",
                    "keras.metrics.MeanIoU(num_classes=…, sparse_y_pred=False, ignore_class=255)",
                ),
            )

    def _never_empty(self, metric: MetricContract) -> Finding:
        first, again = metric.values.get("perfect"), metric.values.get("perfect, again")
        return self.finding(
            f"The metric {metric.name} is not emptied by reset_state: the same perfect prediction "
            f"gives {_number(first)} at first and {_number(again)} after others, so each epoch, "
            "and validation, counts what came before.",
            (Evidence("perfect prediction, after others", again, first),),
            Fix(
                "Set every variable of the metric to zero in reset_state, or leave it to Keras.",
                "def reset_state(self):\n    for v in self.variables:\n"
                "        v.assign(tf.zeros_like(v))",
            ),
        )

    def _told(self, metric: MetricContract) -> Iterator[tuple[str, Evidence]]:
        facts = metric.facts
        one, two = _fact(metric, "batches_apart"), _fact(metric, "batches_together")
        if one is not None and two is not None and abs(one - two) > self.apart:
            yield (
                f"is averaged over batches ({one:.3g} for two batches, {two:.3g} for the same "
                "pixels as one)",
                Evidence("two batches, one after the other", one, two),
            )
        known = _fact(metric, "classes_it_knows")
        if known is not None:
            yield (
                f"knows {known:.0f} classes only (num_classes={known:.0f}), and Keras leaves the "
                "pixels of all others out without a word",
                Evidence("classes that it knows", known, "output channels"),
            )
        right = metric.values.get("two classes, right")
        lowers, raises = _fact(metric, "absent_lowers"), _fact(metric, "absent_raises")
        if lowers is not None and isnan(lowers):
            yield (
                "is no number where a class is absent",
                Evidence("perfect, with absent classes", "not a number", 1.0),
            )
        elif lowers is not None and lowers > self.absent and right:
            yield (
                f"counts absent classes as 0 ({_number(right)} for a perfect prediction)",
                Evidence("perfect, with absent classes", right, 1.0),
            )
        if raises is not None and isfinite(raises) and raises > self.absent:
            worst = metric.values.get("two classes, wrong")
            yield (
                f"counts absent classes as 1 ({_number(worst)} with every pixel wrong)",
                Evidence("all wrong, with absent classes", worst, facts.get("as_fed_wrong", 0.0)),
            )


def _fact(metric: MetricContract, name: str) -> float | None:
    value = metric.facts.get(name)
    return float(value) if isinstance(value, float | int) else None


def _show(metric: MetricContract, name: str) -> str:
    return _number(metric.values.get(name))


def _number(value: object) -> str:
    if not isinstance(value, float | int):
        return "no number"
    return f"{value:.3g}" if isfinite(value) else "NaN"
