"""GRAD007: the head is frozen, or nothing trains at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import GraphFacts, LayerFacts, WeightFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.measures.graph_depth import layer_depths, on_path_to_outputs
from segdoctor.measures.initial_distribution import looks_initial

_STATISTICS = ("moving_mean", "moving_variance")


@dataclass(frozen=True)
class NothingToTrain(Probe):
    code = "GRAD007"
    how = "The trainable flags of all layers with weights, and of the last one before the output."
    why = (
        "Without a trainable weight fit runs, the loss moves with dropout and BN only, and nothing "
        "is learnt. layers[:356] freezes the Xception backbone, and the whole MobileNetV2 net."
    )
    fix = "Unfreeze the head, freeze by name and not by index, and compile again."
    fine = (
        "A fixed upsampling (a frozen Conv2DTranspose) behind a head that trains, and a head that "
        "was trained before and is kept on purpose."
    )
    sources = "FAULTS OPT-02; bonlime/keras-deeplab-v3-plus#5"

    fewest: int = field(default=1, metadata={"doc": "trainable weights that a net must have"})

    def examine(self, graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> Iterator[Finding]:
        if not weights:
            raise NotExaminedError("the model's weights are not at hand")
        held: dict[str, list[WeightFacts]] = {}
        for weight in weights:
            if weight.name not in _STATISTICS:
                held.setdefault(weight.layer, []).append(weight)
        weighted = [layer for layer in graph.layers if layer.name in held]
        if not weighted:
            return
        training = [layer for layer in weighted if layer.trainable is not False]
        free = sum(weight.count for layer in training for weight in held[layer.name])
        if free < self.fewest:
            yield self._nothing(weighted, held)
            return
        head = _head(graph, weighted)
        if head is None or head.trainable is not False:
            return
        yield self._frozen_head(head, held[head.name], free)

    def _nothing(
        self, weighted: Sequence[LayerFacts], held: Mapping[str, Sequence[WeightFacts]]
    ) -> Finding:
        count = sum(weight.count for layer in weighted for weight in held[layer.name])
        return self.finding(
            f"Nothing trains: all {len(weighted)} layers with weights are frozen, the head too.",
            (
                Evidence("trainable weights", 0, self.fewest, "weights"),
                Evidence("weights in all", count, None, "weights"),
            ),
            Fix(
                "Freeze the backbone by name and leave the rest trainable; compile again after "
                "every change.",
                "for layer in model.layers:\n"
                '    layer.trainable = not layer.name.startswith("expanded_conv")\n'
                "model.compile(optimizer=…, loss=…)",
                {"freeze": "none"},
            ),
        )

    def _frozen_head(self, head: LayerFacts, kernels: Sequence[WeightFacts], free: int) -> Finding:
        drawn = any(looks_initial(weight, head) for weight in kernels)
        said = "and its weights are as first drawn" if drawn else "though other layers train"
        return self.finding(
            f"The head {head.name} is frozen, {said}: the scores are a fixed mixture of the "
            "features.",
            (
                Evidence("head trains", False, True, "", head.name),
                Evidence("trainable weights before it", free, None, "weights"),
            ),
            Fix(
                "Let the head train, and compile again.",
                f'model.get_layer("{head.name}").trainable = True\n'
                "model.compile(optimizer=…, loss=…)",
                {"head.trainable": True},
            ),
            severity=None if drawn else "warning",
        )


def _head(graph: GraphFacts, weighted: Sequence[LayerFacts]) -> LayerFacts | None:
    """The last layer with weights before the output; a fixed upsampling behind it aside."""
    on_path = on_path_to_outputs(graph)
    depths = layer_depths(graph)
    leading = [layer for layer in weighted if on_path is None or layer.name in on_path]
    leading.sort(key=lambda layer: depths.get(layer.name, 0.0))
    while leading and leading[-1].trainable is False and _upsamples(leading[-1]):
        leading.pop()
    return leading[-1] if leading else None


def _upsamples(layer: LayerFacts) -> bool:
    return layer.class_name.endswith("Transpose")
