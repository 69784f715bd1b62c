"""Metrics that stay high for a model that says background everywhere, and metrics of void."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from segdoctor.core.asked import MetricContract, VoidTrail
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.metric_contract import need_metrics


@dataclass(frozen=True)
class AccuracyHidesCollapse(Probe):
    """MET003: no metric of the run would show that the model says one class everywhere."""

    code = "MET003"
    how = (
        "Each metric is computed on the real labels for a prediction that says their most frequent "
        "class at every pixel. If all metrics of the run call that good, none would show a "
        "collapse."
    )
    why = (
        "Three quarters of Pascal VOC's pixels are background: an accuracy of 0.75 is what a model "
        "has that sees nothing."
    )
    fix = "Watch the mean IoU over the classes beside it."
    fine = "Accuracy beside an IoU or F1 that would show it."
    sources = "bonlime/keras-deeplab-v3-plus#120, #56; tensorflow/models#9844; FAULTS MET-02"

    high: float = field(
        default=0.65,
        metadata={"doc": "score of a constant prediction, of 1 for a perfect one, that is high"},
    )

    def examine(self, metrics: tuple[MetricContract, ...]) -> Iterator[Finding]:
        need_metrics(metrics)
        scores = [m for m in metrics if m.facts.get("is_score") and not m.arranged]
        known = [(m, m.on_batch.get("background"), m.on_batch.get("right")) for m in scores]
        judged = [
            (m, low, top)
            for m, low, top in known
            if low is not None and top and isfinite(low) and isfinite(top)
        ]
        if not judged:
            raise NotExaminedError("no metric of the run is a score that works as it is fed")
        if any(low / top < self.high for _, low, top in judged):
            return
        metric, low, _ = max(judged, key=lambda entry: entry[1])
        label = metric.on_batch.get("background_class") or 0.0
        now = metric.on_batch.get("now")
        yield self.finding(
            f"Class {label:g} everywhere already scores {low:.3f} in {metric.name}, and no other "
            "metric of the run would show it.",
            (
                Evidence(f"{metric.name} of class {label:g} everywhere", low, self.high),
                Evidence(f"{metric.name} of the model now", now, low),
            ),
            Fix(
                "Add the mean IoU.",
                "metrics=['accuracy', keras.metrics.MeanIoU(num_classes=…, sparse_y_pred=False, "
                "ignore_class=255)]",
            ),
        )


@dataclass(frozen=True)
class VoidReachesMetric(Probe):
    """IGN008: void pixels are counted in the metric."""

    code = "IGN008"
    how = (
        "The labels have void as the run feeds it; everywhere else the prediction is perfect. What "
        "is predicted at void pixels is changed: the metric must not move."
    )
    why = (
        "Void counts as wrong wherever it is not left out, so that a perfect model scores below 1, "
        "and the best checkpoint is the one that guesses void. Sample weights reach "
        "weighted_metrics alone, not metrics."
    )
    fix = "ignore_class in MeanIoU, weighted_metrics with sample weights, a mask in one's own."
    fine = "Metrics that leave the label out, or that are fed weights of 0 there."
    sources = "keras.Model.compile(weighted_metrics); keras.metrics.MeanIoU(ignore_class)"

    def examine(
        self,
        declared: Declared,
        metrics: tuple[MetricContract, ...],
        void_trail: VoidTrail | None = None,
    ) -> Iterator[Finding]:
        need_metrics(metrics)
        asked = [metric for metric in metrics if "void" in metric.facts]
        if not asked:
            raise NotExaminedError("the batch holds no void pixel, or no metric works as it is fed")
        label = declared.ignore_label
        for metric in asked:
            how = metric.facts["void"]
            if how == "left out":
                continue
            value = metric.facts.get("at_void")
            share = "" if void_trail is None else f" ({void_trail.pixels} pixels of the batch)"
            effect = {
                "counts": self._effect(metric),
                "raises": "it fails on them",
                "not finite": "it is no number with them",
            }[str(how)]
            weighted = declared.ignore_declared_by == "sample_weight"
            code = (
                "model.compile(…, weighted_metrics=[…])   # metrics= get no sample weights"
                if weighted
                else f"keras.metrics.MeanIoU(num_classes=…, ignore_class={label}, "
                "sparse_y_pred=False)"
            )
            yield self.finding(
                f"Void pixels{share} reach the metric {metric.name}: {effect}.",
                (
                    Evidence("perfect but for void", value, metric.values.get("perfect")),
                    Evidence(
                        "the same with another prediction at void",
                        metric.values.get("void predicted as another"),
                        value,
                    ),
                ),
                Fix("Leave void out of the metric as well.", code),
            )

    def _effect(self, metric: MetricContract) -> str:
        one, other = (metric.values.get(f"void predicted as {w}") for w in ("one class", "another"))
        perfect = metric.values.get("perfect")
        if one is None or other is None or perfect is None:
            return "they change it"
        if abs(one - other) > 1e-6:
            return f"what is predicted there moves it from {one:.3g} to {other:.3g}"
        return f"a prediction that is perfect but for void scores {one:.3g}, not {perfect:.3g}"
