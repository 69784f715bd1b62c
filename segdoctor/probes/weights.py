"""MDL003: a frozen backbone as its initializer drew it, and one that was loaded in part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import GraphFacts, WeightFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.measures.initial_distribution import looks_initial
from segdoctor.measures.partial_load import left_out


@dataclass(frozen=True)
class WeightsNeverLoaded(Probe):
    code = "MDL003"
    how = (
        "Mean, spread and range of each frozen kernel are compared with what its initializer "
        "draws. Chance gives a match in a trained kernel hardly ever; several are proof. Of a net "
        "that trains, kernels as drawn are named whose biases and normalisation are at their first "
        "values too, and which lie between loaded layers, or are named as those before which, or "
        "beside which in one nested model, they stand."
    )
    why = (
        "A frozen random backbone gives features that no one trained: everything behind learns "
        "slowly, and predicts badly on new images. A random layer in the midst of loaded ones "
        "feeds them what they were not trained on."
    )
    fix = "Load the weights (and see that the names match), or let the backbone train."
    fine = (
        "A new net with everything trainable starts like this. So does a head that trains on a "
        "loaded backbone, and a first convolution made anew for other channels. Layers that may "
        "have been put in on purpose (as many channels leave as come, none named alike) are info. "
        "A last part that was not loaded looks like a new head."
    )
    sources = "measured; CONTRACT.md: frozen at initial values stands for said to be pretrained"

    fewest: int = field(default=2, metadata={"doc": "frozen kernels as drawn"})
    share: float = field(default=0.05, metadata={"doc": "of the frozen kernels that can be judged"})

    def examine(self, graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> Iterator[Finding]:
        if not weights:
            raise NotExaminedError("the weights are not at hand")
        layers = {layer.name: layer for layer in graph.layers}
        frozen = {layer.name for layer in graph.layers if layer.trainable is False}
        judged = [
            (weight, initial)
            for weight in weights
            if weight.layer in frozen
            and weight.name.endswith("kernel")
            and (initial := looks_initial(weight, layers.get(weight.layer))) is not None
        ]
        drawn = [weight for weight, initial in judged if initial]
        if len(drawn) < self.fewest or len(drawn) < self.share * len(judged):
            yield from self._skipped(graph, weights)
            return
        first = drawn[0]
        whole = len(drawn) >= 0.9 * len(judged)
        said = (
            f"The frozen part was never loaded: {len(drawn)} of its {len(judged)} kernels are "
            "distributed as their initializer draws them."
            if whole
            else f"The frozen part was loaded in part only: {len(drawn)} of its {len(judged)} "
            f"kernels are as their initializer draws them, {first.layer} the first."
        )
        yield self.finding(
            said,
            (
                Evidence("frozen kernels as drawn", len(drawn), 0, "kernels", first.layer),
                Evidence("frozen kernels judged", len(judged), None, "kernels"),
                Evidence("spread of the first", _round(first.std), None, "", first.layer),
            ),
            Fix(
                "Load the pretrained weights and look at what load_weights skips (by_name and "
                "skip_mismatch are silent); without pretrained weights let the backbone train.",
                "before = model.get_weights()\n"
                "model.load_weights(path)\n"
                "same = sum(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))\n"
                'print(same, "of", len(before), "arrays were not changed")',
                {"freeze": "none"},
            ),
        )

    def _skipped(self, graph: GraphFacts, weights: tuple[WeightFacts, ...]) -> Iterator[Finding]:
        """Of what trains, kernels that a load left as drawn."""
        found = left_out(graph, weights)
        if found is None:
            raise NotExaminedError(
                "some kernels are loaded and others as drawn, and the calls between the layers, "
                "which would tell a new head from a gap, are not known"
            )
        if not found.layers:
            return
        first, count = found.layers[0], len(found.layers)
        others = f" ({count} such layers)" if count > 1 else ""
        yield self.finding(
            f"{first.layer}{others} is as its initializer drew it, in the midst of loaded layers: "
            + (
                "put in on purpose, or left out by the load."
                if found.inserted
                else "the load left it out."
            ),
            (
                Evidence("kernels as drawn among loaded ones", count, 0, "kernels", first.layer),
                Evidence("kernels that are loaded", found.loaded, None, "kernels"),
                Evidence("spread of the first", _round(first.std), None, "", first.layer),
            ),
            Fix(
                "Look at what load_weights skips (by_name and skip_mismatch are silent), and give "
                "the layers the names that they have in the file.",
                "before = model.get_weights()\n"
                "model.load_weights(path)\n"
                "same = sum(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))\n"
                'print(same, "of", len(before), "arrays were not changed")',
            ),
            severity="info" if found.inserted else None,
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
