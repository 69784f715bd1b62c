"""BN008: batch normalisations that pass nothing on, or NaN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import BatchNormFacts, GraphFacts, LayerFacts
from segdoctor.core.probe import Probe
from segdoctor.measures.initial_distribution import constant_of

_NO_VARIANCE = 1e-12


def without_variance(fact: BatchNormFacts) -> bool:
    variance = fact.moving_variance
    return variance is not None and variance.maximum <= _NO_VARIANCE


@dataclass(frozen=True)
class Degenerate(Probe):
    code = "BN008"
    how = "Gamma, beta, moving mean and variance of each BN as stored."
    why = "A channel without variance or with gamma 0 passes nothing on; NaN passes on NaN."
    fix = "Load sound weights; give a layer with gamma 0 a new start."
    fine = (
        "Gammas that start at zero on purpose (the last BN of a residual branch), single dead "
        "channels, and variances that are small but not zero."
    )
    sources = "FAULTS BN-07; measured"

    smallest_variance: float = field(
        default=_NO_VARIANCE,
        metadata={"doc": "largest moving variance of a layer that counts as none"},
    )

    def examine(
        self, graph: GraphFacts, batch_norms: tuple[BatchNormFacts, ...]
    ) -> Iterator[Finding]:
        layers = {layer.name: layer for layer in graph.layers}
        faults = [
            (fact, *fault)
            for fact in batch_norms
            if (fault := self._fault(fact, layers)) is not None
        ]
        if not faults:
            return
        first, what, *_ = faults[0]
        more = f" ({len(faults)} layers in all)" if len(faults) > 1 else ""
        yield self.finding(
            f"The batch normalisation {first.layer} is degenerate: {what}{more}.",
            [Evidence(what, value, limit, "", fact.layer) for fact, what, value, limit in faults],
            Fix(
                "Load sound weights, or initialise these layers anew and let the statistics be "
                "measured.",
                "",
                {"bn.recalibrate": True},
            ),
        )

    def _fault(
        self, fact: BatchNormFacts, layers: Mapping[str, LayerFacts]
    ) -> tuple[str, float, float] | None:
        for weight in (fact.gamma, fact.beta, fact.moving_mean, fact.moving_variance):
            if weight is not None and weight.not_finite:
                return f"{weight.name} holds NaN or Inf", weight.not_finite, 0
        variance, gamma = fact.moving_variance, fact.gamma
        if variance is not None and variance.minimum < 0.0:
            return "a moving variance is negative", _round(variance.minimum), 0
        if variance is not None and variance.maximum <= self.smallest_variance:
            limit = self.smallest_variance
            return "the moving variance is zero in every channel", _round(variance.maximum), limit
        config = layers[fact.layer].config if fact.layer in layers else {}
        starts_at_zero = constant_of(config.get("gamma_initializer"), 1.0) == 0.0
        if gamma is not None and gamma.zeros == gamma.count and not starts_at_zero:
            return "gamma is zero in every channel", gamma.zeros, 0
        return None


def _round(value: float) -> float:
    return float(f"{value:.3g}")
