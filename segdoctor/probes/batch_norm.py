"""BN001, BN003, BN006, BN011: the mode in which batch normalisation really runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import BatchNormFacts, GraphFacts
from segdoctor.core.probe import NotExaminedError, Probe

if TYPE_CHECKING:
    from segdoctor.core.measured import BatchNormObserved, ModeFacts

_OLD = {
    "keras<=2.1.2": "In the Keras of this run (2.1.2 or older) a frozen BatchNormalization still "
    "uses the batch's statistics, and goes on moving its stored ones; in Keras 3 trainable=False "
    "means inference mode.",
    "keras2.1.3-2.3.1": "In the Keras of this run (2.1.3 to 2.3.1) a frozen BatchNormalization "
    "still uses the batch's statistics while training; in Keras 3 trainable=False means inference "
    "mode.",
}


@dataclass(frozen=True)
class FrozenUsesBatchStatistics(Probe):
    code = "BN001"
    how = (
        "Every batch-normalisation layer is watched while the model is called as fit calls it: "
        "what came out is compared with what the batch's statistics and the stored ones would "
        "give. A frozen layer should have used the stored ones. Files of Keras 2.3.1 and older "
        "are run as their Keras ran them."
    )
    why = (
        "The layers behind learn on features that were normalised by each batch and are tested on "
        "features normalised by the stored statistics: good in training, near chance in "
        "prediction. In keras-team/keras#9965 mending it took accuracy from 77 % to 93 %."
    )
    fix = (
        "Run the frozen part in inference mode: tf.keras 2 and Keras 3 do so by themselves once "
        "trainable is False; a layer of your own must look at self.trainable."
    )
    fine = "Trainable layers use batch statistics while training; that is what they are for."
    sources = "keras-team/keras#9965, #9522, #4762, #7085, #9214; keras tags 2.1.2, 2.1.3, 2.3.1"

    fewest: int = field(default=1, metadata={"doc": "frozen layers on batch statistics"})

    def examine(
        self,
        graph: GraphFacts,
        batch_norms: tuple[BatchNormFacts, ...],
        bn_observed: tuple[BatchNormObserved, ...] | None = None,
    ) -> Iterator[Finding]:
        frozen = [fact.layer for fact in batch_norms if not fact.trainable]
        if bn_observed is not None:
            frozen = [seen.layer for seen in bn_observed if not seen.trainable]
            guilty = [
                seen.layer
                for seen in bn_observed
                if not seen.trainable and seen.training_mode == "batch"
            ]
            moved = sum(seen.moved for seen in bn_observed if seen.layer in set(guilty))
        elif graph.flavour in _OLD:
            guilty, moved = frozen, len(frozen) if graph.flavour == "keras<=2.1.2" else 0
        elif frozen:
            raise NotExaminedError("no batch was run, and the graph alone does not show the mode")
        else:
            return
        if len(guilty) < self.fewest:
            return
        evidence = [
            Evidence("frozen BN layers on batch statistics", len(guilty), 0, "layers", guilty[0]),
            Evidence("frozen BN layers", len(frozen), None, "layers"),
        ]
        if moved:
            evidence.append(
                Evidence("frozen BN layers whose stored statistics moved", moved, 0, "layers")
            )
        yield self.finding(
            f"{_layers(len(guilty))} frozen, yet normalise with the statistics of each batch "
            "while training and with the stored ones in prediction: what is behind them learns "
            "on other features than it is tested on. " + _OLD.get(graph.flavour, ""),
            evidence,
            Fix(
                "Let the frozen layers run in inference mode. In tf.keras 2 and Keras 3 setting "
                "trainable to False is enough; load the weights again afterwards if the stored "
                "statistics were moved.",
                "for layer in backbone.layers:\n"
                "    layer.trainable = False       # Keras 3: BN then uses its stored statistics\n"
                "model.compile(optimizer=…, loss=…)  # after every change of trainable",
                {"bn.training": "inference"},
            ),
        )


@dataclass(frozen=True)
class TrainInferenceGap(Probe):
    code = "BN003"
    how = (
        "The same batch is sent through the model as fit and as predict call it, dropout and other "
        "noise off. Then the statistics that training moves are set to the batch's own and the "
        "comparison is made again: what vanishes was the lag of the moving averages."
    )
    why = "What is learnt is not what predicts: training looks good and every prediction is bad."
    fix = "Find the layer where the gap opens, and let it do the same in both modes."
    fine = (
        "Early in training a gap is normal, for moving averages lag: with momentum .99 a net that "
        "had learnt by heart had a mIoU of .99 in training and .08 in inference mode. "
        "Recalibration closes that gap."
    )
    sources = "keras-team/keras#10666, #7265; measured"

    limit: float = field(
        default=0.25,
        metadata={"doc": "difference of the outputs after recalibration, in their spreads"},
    )

    def examine(self, modes: ModeFacts) -> Iterator[Finding]:
        left = modes.gap_recalibrated
        if left is None:
            raise NotExaminedError("the statistics could not be recalibrated")
        if math.isnan(left) or math.isnan(modes.gap):
            raise NotExaminedError("the output is not finite in one of the modes")
        if left <= self.limit or modes.gap <= self.limit:
            return
        evidence = [
            Evidence("gap after recalibration", _round(left), self.limit, "spreads of the output"),
            Evidence("gap as it is", _round(modes.gap), None, "spreads of the output"),
        ]
        for name, value in (
            ("loss in training mode", modes.loss_training),
            ("loss in inference mode", modes.loss_inference),
        ):
            if value is not None:
                evidence.append(Evidence(name, _round(value)))
        where = f"; it opens at {modes.first_layer}" if modes.first_layer else ""
        if modes.first_layer:
            evidence.append(Evidence("first BN where it opens", modes.first_layer))
        yield self.finding(
            "The same images give very different outputs in training and in inference mode, and "
            f"fresh moving statistics do not close the gap{where}.",
            evidence,
            Fix(
                "Make that layer do the same in both modes: freeze it properly, or let it train "
                "and follow fit and predict.",
                "",
                {"bn.training": "inference"},
            ),
        )


@dataclass(frozen=True)
class TrainableForcedInference(Probe):
    code = "BN006"
    how = (
        "A layer whose trainable is True is watched in the training call; it used its stored "
        "statistics all the same, and did not move them."
    )
    why = (
        "Stored statistics that never move cannot follow the features: from scratch they stay at "
        "mean 0 and variance 1, and the layer normalises nothing."
    )
    fix = "Do not wire training=False into layers that train; or freeze them as well."
    fine = (
        "base(x, training=False) on a pretrained base is the recipe of Keras' guide for "
        "fine-tuning: the statistics describe the data, and it is reported as information."
    )
    sources = "keras.io/guides/transfer_learning; keras-team/keras#20285; measured on tf_keras 2.21"

    mean_gap: float = field(
        default=1.0, metadata={"doc": "median |batch mean − stored mean| in stored deviations"}
    )
    variance_gap: float = field(
        default=0.7, metadata={"doc": "median |log10(batch variance / stored variance)|"}
    )

    def examine(self, bn_observed: tuple[BatchNormObserved, ...]) -> Iterator[Finding]:
        forced = [seen for seen in bn_observed if seen.trainable and seen.training_mode == "moving"]
        if not forced:
            return
        worst = max(forced, key=lambda seen: seen.mean_gap + seen.variance_gap)
        astray = worst.mean_gap > self.mean_gap or worst.variance_gap > self.variance_gap
        told = (
            "and these do not describe the data"
            if astray
            else "which describe the data well, as with a pretrained base"
        )
        yield self.finding(
            f"{_layers(len(forced))} trainable, but run on their stored statistics in training "
            f"too ({told}): training=False is wired into their call, or the call around them hands "
            "no mode on.",
            (
                Evidence("trainable BN in inference mode", len(forced), 0, "layers", worst.layer),
                Evidence("variance gap", _round(worst.variance_gap), self.variance_gap, "orders"),
                Evidence("mean gap", _round(worst.mean_gap), self.mean_gap, "deviations"),
            ),
            Fix(
                "Take training=False out of the call, or hand training on where a call() of your "
                "own does not; or freeze these layers if the base is pretrained and meant to stay.",
                "x = base(x)                  # follows fit and predict\n"
                "# or: base.trainable = False  # frozen, and in inference mode",
                {"bn.unwire": True},
            ),
            severity=None if astray else "info",
        )


@dataclass(frozen=True)
class WiredModeOverridden(Probe):
    code = "BN011"
    how = (
        "The graph wires training=False into the call of a BN or of the model around it; in the "
        "training call the layer was seen to use the batch's statistics and to move its own."
    )
    why = (
        "Keras 3's fit passes training=True through to every layer of a functional model, so the "
        "pretrained statistics that base(x, training=False) was to keep are overwritten."
    )
    fix = "Freeze the BN layers: trainable=False is what Keras 3 honours."
    fine = "tf_keras keeps the wired mode; a frozen layer keeps its statistics in every Keras."
    sources = "keras-team/keras#20285; measured on Keras 3.15.1"

    fewest: int = field(default=1, metadata={"doc": "overridden layers"})

    def examine(
        self,
        batch_norms: tuple[BatchNormFacts, ...],
        bn_observed: tuple[BatchNormObserved, ...],
    ) -> Iterator[Finding]:
        wired = {fact.layer for fact in batch_norms if fact.wired_training is False}
        guilty = [
            seen
            for seen in bn_observed
            if seen.layer in wired and seen.trainable and seen.training_mode == "batch"
        ]
        if len(guilty) < self.fewest:
            return
        moved = sum(seen.moved for seen in guilty)
        yield self.finding(
            f"{_layers(len(guilty))} called with training=False in the graph, but this Keras "
            "overrides it in fit: they use the statistics of each batch and overwrite the stored "
            "ones.",
            (
                Evidence(
                    "BN wired to inference that ran on batch statistics",
                    *(len(guilty), 0, "layers", guilty[0].layer),
                ),
                Evidence("of these, stored statistics moved", moved, 0, "layers"),
            ),
            Fix(
                "Freeze the batch normalisations of the base; the rest of it may train.",
                "for layer in base.layers:\n"
                "    if isinstance(layer, keras.layers.BatchNormalization):\n"
                "        layer.trainable = False\n"
                "model.compile(optimizer=…, loss=…)",
                {"bn.freeze": True},
            ),
        )


def _layers(count: int) -> str:
    return "One batch normalisation is" if count == 1 else f"{count} batch normalisations are"


def _round(value: float) -> float:
    return float(f"{value:.3g}")
