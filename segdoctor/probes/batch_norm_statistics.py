"""BN002, BN004, BN005: the statistics that batch normalisation holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import BatchNormFacts, GraphFacts, LayerFacts, WeightFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.measures.initial_distribution import constant_of, looks_initial
from segdoctor.probes.batch_norm_degenerate import without_variance

if TYPE_CHECKING:
    from segdoctor.core.measured import BatchNormObserved, Declared


def at_default(fact: BatchNormFacts) -> bool:
    """Moving mean exactly 0 and moving variance exactly 1 in every channel."""
    mean, variance = fact.moving_mean, fact.moving_variance
    if mean is None or variance is None or mean.not_finite or variance.not_finite:
        return False
    return mean.minimum == mean.maximum == 0.0 and variance.minimum == variance.maximum == 1.0


@dataclass(frozen=True)
class BatchTooSmall(Probe):
    code = "BN002"
    how = (
        "The run's own batch size, shared out among its replicas, and for each BN in training mode "
        "the number of values of one channel that a share gives it (examples × height × width)."
    )
    why = (
        "Statistics of few examples are noise: with 3 examples per replica DeepLab stayed at a "
        "mIoU of .004, with frozen BN it reached .47 (tensorflow/models#4367). Behind global "
        "pooling a batch of one gives a constant."
    )
    fix = "A larger batch, frozen BN, synchronized=True over replicas, or GroupNormalization."
    fine = "Frozen BN does not look at the batch."
    sources = "tensorflow/models#4367, #5774, #4878, #5148"

    fewest_examples: int = field(default=4, metadata={"doc": "examples in a replica's batch"})

    def examine(
        self, bn_observed: tuple[BatchNormObserved, ...], declared: Declared
    ) -> Iterator[Finding]:
        training = [seen for seen in bn_observed if seen.training_mode == "batch"]
        if not training:
            return
        size = declared.batch_size
        if size is None:
            raise NotExaminedError("the run's batch size is not known (--batch-size would tell)")
        shared = ""
        if declared.replicas > 1 and not all(seen.synchronized for seen in training):
            training = [seen for seen in training if not seen.synchronized]
            shared = f" ({size} shared out among {declared.replicas} replicas)"
            size = max(size // declared.replicas, 1)
        if size >= self.fewest_examples:
            return
        poorest = min(training, key=lambda seen: seen.values_per_example or 1 << 62)
        values = size * poorest.values_per_example
        constant = values == 1
        said = (
            f"{poorest.layer} sees a single value of each channel, so its output is constant"
            if constant
            else f"so few give the statistics of its {len(training)} BN"
        )
        yield self.finding(
            f"The batch has {size} example{'s' if size > 1 else ''}{shared}: {said}.",
            (
                Evidence("examples in a batch", size, self.fewest_examples, "examples"),
                Evidence("values of a channel", values, None, "values", poorest.layer),
            ),
            Fix(
                "Take a larger batch (smaller crops), or freeze the batch normalisations if the "
                "net is pretrained, or use GroupNormalization.",
                "for layer in model.layers:\n"
                "    if isinstance(layer, keras.layers.BatchNormalization):\n"
                "        layer.trainable = False",
                {"bn.freeze": True},
            ),
            severity="error" if constant else None,
        )


@dataclass(frozen=True)
class StatisticsAtDefault(Probe):
    code = "BN004"
    how = (
        "Moving mean exactly 0 and moving variance exactly 1 in every channel, beside a gamma or "
        "beta that is no longer what its initializer gives, or beside a frozen kernel that is not "
        "as drawn: the layer was trained, its statistics were not kept."
    )
    why = (
        "In prediction, and in training where the layer is frozen, features are not normalised at "
        "all: everything behind sees numbers it was not trained on."
    )
    fix = "Load the statistics too, train with training=True, or measure them anew."
    fine = (
        "A new net has mean 0 and variance 1 everywhere, and gamma 1 and beta 0 beside them. With "
        "frozen kernels that are as drawn too, nothing was loaded: that is MDL003."
    )
    sources = "michalfaber/tensorflow_Realtime_Multi-Person_Pose_Estimation#13; FAULTS BN-06"

    fewest: int = field(default=1, metadata={"doc": "layers"})

    def examine(
        self,
        graph: GraphFacts,
        weights: tuple[WeightFacts, ...],
        batch_norms: tuple[BatchNormFacts, ...],
        bn_observed: tuple[BatchNormObserved, ...] | None = None,
    ) -> Iterator[Finding]:
        if not any(fact.moving_mean is not None for fact in batch_norms):
            if batch_norms:
                raise NotExaminedError("the weights are not at hand")
            return
        layers = {layer.name: layer for layer in graph.layers}
        kernels = {w.layer: w for w in weights if w.name.endswith("kernel")}
        # A layer of one's own that normalises with the batch in prediction too.
        unused = {seen.layer for seen in bn_observed or () if seen.inference_mode == "batch"}
        default = [fact for fact in batch_norms if at_default(fact) and fact.layer not in unused]
        guilty = [
            (fact, sign)
            for fact in default
            if (sign := _sign_of_training(fact, layers, kernels)) is not None
        ]
        if len(guilty) < self.fewest:
            return
        first, sign = guilty[0]
        yield self.finding(
            f"{len(guilty)} of {len(batch_norms)} batch normalisations hold moving mean 0 and "
            "variance 1 although they were trained: their statistics were never loaded or never "
            "updated.",
            (
                Evidence("trained BN with default statistics", len(guilty), 0, "layers"),
                Evidence("moving mean, in all channels", 0.0, None, "", first.layer),
                Evidence(f"{sign.name}: lowest value", _round(sign.minimum), None, "", sign.layer),
                Evidence(f"{sign.name}: highest value", _round(sign.maximum), None, "", sign.layer),
            ),
            Fix(
                "Load the file that has the moving statistics; in a loop of your own call "
                "model(x, training=True); or measure them anew on the training images.",
                "for x, _ in dataset.take(50):\n"
                "    model(x, training=True)   # moves the statistics, nothing else",
                {"bn.recalibrate": True},
            ),
        )


def _sign_of_training(
    fact: BatchNormFacts, layers: Mapping[str, LayerFacts], kernels: Mapping[str, WeightFacts]
) -> WeightFacts | None:
    """The weight that shows that the layer was trained, or None."""
    config = layers[fact.layer].config if fact.layer in layers else {}
    for weight, key, usual in (
        (fact.gamma, "gamma_initializer", 1.0),
        (fact.beta, "beta_initializer", 0.0),
    ):
        start = constant_of(config.get(key), usual)
        if weight is not None and start is not None and not weight.not_finite:
            off = max(abs(weight.minimum - start), abs(weight.maximum - start))
            if off > 1e-6 * max(1.0, abs(start)):
                return weight
    kernel = kernels.get(fact.feeds_from or "")
    if kernel is not None and not fact.trainable and fact.feeding_trainable is False:
        return kernel if looks_initial(kernel, layers.get(kernel.layer)) is False else None
    return None


@dataclass(frozen=True)
class StatisticsStale(Probe):
    code = "BN005"
    how = (
        "What flows into each BN is compared with the moving statistics it holds. A layer that "
        "runs on its stored statistics in training is judged by the plain gap. Of layers in "
        "training mode the first one is judged, which sees the images, by what no lag explains: a "
        "moving average on its way from mean 0, variance 1 to this data holds a mixture of both, "
        "with one share for all channels."
    )
    why = "Features leave the range that the weights behind were trained on."
    fix = "Feed what the statistics were gathered from (input range!), or measure them anew."
    fine = (
        "A new net, and a net in training whose averages lag, have large gaps that the mixture "
        "explains. A trained net on its own data had gaps of at most 0.8 deviations and 0.6 "
        "orders (person net on VOC), with [0, 255] for [-1, 1] 70 deviations and 4 orders."
    )
    sources = "measured; FAULTS DATA-10, BN-05"

    mean_gap: float = field(
        default=3.0, metadata={"doc": "median |batch mean − stored mean| in stored deviations"}
    )
    variance_gap: float = field(
        default=1.0, metadata={"doc": "median |log10(batch variance / stored variance)|"}
    )
    unexplained: float = field(
        default=0.25,
        metadata={"doc": "orders of variance (deviations of mean) that no lag explains"},
    )

    def examine(
        self,
        batch_norms: tuple[BatchNormFacts, ...],
        bn_observed: tuple[BatchNormObserved, ...],
    ) -> Iterator[Finding]:
        default = {fact.layer for fact in batch_norms if at_default(fact)}
        # What a layer without variance, and those behind it, are fed tells nothing: that is BN008.
        broken = {fact.layer for fact in batch_norms if without_variance(fact)}
        end = min((seen.depth for seen in bn_observed if seen.layer in broken), default=math.inf)
        judged = [seen for seen in bn_observed if seen.layer not in default and seen.depth < end]
        entrance = min((seen.depth for seen in bn_observed), default=0.0)
        stale = [seen for seen in judged if self._is_stale(seen, seen.depth == entrance)]
        if not stale:
            return
        first = min(stale, key=lambda seen: seen.depth)
        worst = max(stale, key=lambda seen: seen.variance_gap + seen.mean_gap)
        yield self.finding(
            f"{len(stale)} of {len(judged)} batch normalisations hold statistics that do not "
            f"describe what flows into them, from {first.layer} on: the data is in another range "
            "or of another kind than what they were gathered from.",
            (
                Evidence(
                    "median |batch mean − stored mean|",
                    *(_round(worst.mean_gap), self.mean_gap, "stored deviations", worst.layer),
                ),
                Evidence(
                    "median |log10(batch variance / stored variance)|",
                    *(_round(worst.variance_gap), self.variance_gap, "orders", worst.layer),
                ),
                Evidence("layers concerned", len(stale), 0, "layers", first.layer),
            ),
            Fix(
                "Feed images in the range that the weights were trained with; if the range is "
                "right and the images are of another kind, measure the statistics anew.",
                "for x, _ in dataset.take(50):\n"
                "    model(x, training=True)   # trainable BN: moves the statistics",
                {"bn.recalibrate": True},
            ),
        )

    def _is_stale(self, seen: BatchNormObserved, first: bool) -> bool:
        apart = seen.mean_gap > self.mean_gap or seen.variance_gap > self.variance_gap
        if not apart:
            return False
        if seen.training_mode == "moving":
            return True
        return first and (
            seen.mean_gap_beyond_lag > self.unexplained
            or seen.variance_gap_beyond_lag > self.unexplained
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
