"""MDL006, MDL007, MDL011: a design that does not fit itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import NotExaminedError, Probe

if TYPE_CHECKING:
    from segdoctor.core.network_facts import ResizeConvention

# The first of the three atrous rates of a DeepLab pyramid × output stride.
_PUBLISHED = 96


@dataclass(frozen=True)
class StrideAndRatesDisagree(Probe):
    code = "MDL006"
    how = (
        "Parallel atrous convolutions are found in the graph; their rates are set against the "
        "side of the map they look at, and against its stride."
    )
    why = (
        "A 3×3 kernel whose rate is as large as the map sees nothing but zeros around its centre: "
        "it is a 1×1 convolution. Rates of stride 16 at stride 8 see half as far as they were "
        "made for."
    )
    fix = "Rates 6, 12, 18 at output stride 16 and 12, 24, 36 at 8; a larger input."
    fine = "DeepLab v2's four rates at stride 8, and rates chosen for small images."
    sources = "Chen et al. 2017 (Rethinking atrous convolution), 2018; FAULTS ARCH-02"

    outside: float = field(default=1.0, metadata={"doc": "atrous rate over the side of the map"})

    def examine(
        self, graph: GraphFacts, whole_graph: GraphFacts | None = None
    ) -> Iterator[Finding]:
        from segdoctor.measures.strides import pyramids

        for pyramid in pyramids(whole_graph or graph):
            blind = [r for r in pyramid.rates if pyramid.side and r >= self.outside * pyramid.side]
            if blind:
                yield self.finding(
                    f"At this input size the map before {pyramid.layers[0]} has a side of "
                    f"{pyramid.side}: the atrous rates {_listed(blind)} reach beyond it, and "
                    "these branches are 1×1 convolutions.",
                    (
                        Evidence(
                            "largest rate over the side of the map",
                            *(round(max(blind) / (pyramid.side or 1), 2), self.outside, ""),
                            pyramid.source,
                        ),
                        Evidence("side of the map", pyramid.side, max(blind) + 1, "px"),
                    ),
                    Fix(
                        "Take a larger input, or smaller rates.",
                        f"side >= {int((max(blind) + 1) * (pyramid.stride or 16))}",
                    ),
                )
                continue
            three = len(pyramid.rates) == 3 and pyramid.rates in ((6, 12, 18), (12, 24, 36))
            stride = round(pyramid.stride) if pyramid.stride else None
            if (
                three
                and stride
                and stride * pyramid.rates[0] != _PUBLISHED
                and stride in (4, 8, 16, 32)
            ):
                meant = _PUBLISHED // pyramid.rates[0]
                yield self.finding(
                    f"The rates {_listed(pyramid.rates)} were published for an output stride of "
                    f"{meant}; here the map before them has a stride of {stride}.",
                    (Evidence("output stride", stride, meant, "", pyramid.source),),
                    Fix(
                        "Use the rates of this stride.",
                        f"rates = {tuple(_PUBLISHED // stride * k for k in (1, 2, 3))}",
                    ),
                    severity="info" if stride < meant else None,
                )


def _listed(rates: object) -> str:
    return ", ".join(str(rate) for rate in rates)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ResizeConventionDiffers(Probe):
    code = "MDL007"
    how = (
        "The scores before the last bilinear resize are resized with half-pixel centres and with "
        "align_corners, and both are scored on the batch: weights fit the one they were trained "
        "with better."
    )
    why = (
        "With the other convention the same weights paint edges up to 6.5 px off at a factor of "
        "16 near the border."
    )
    fix = "tf.compat.v1.image.resize(…, align_corners=True) with such weights, or fine-tune."
    fine = "A net that is not trained yet fits neither."
    sources = "bonlime/keras-deeplab-v3-plus#49, #137; FAULTS ARCH-01; measured: 33.0 for 39.5"

    gain: float = field(
        default=0.04, metadata={"doc": "share of the loss that the other convention saves"}
    )
    trained: float = field(
        default=0.05,
        metadata={"doc": "accuracy above the largest class's share that shows training"},
    )

    def examine(self, resize_convention: ResizeConvention | None) -> Iterator[Finding]:
        fact = resize_convention
        if fact is None:
            return
        if max(fact.own_accuracy, fact.other_accuracy) < fact.majority + self.trained:
            raise NotExaminedError("the net is not trained enough to fit one of the two")
        gain = 1.0 - fact.other_loss / max(fact.own_loss, 1e-12)
        if gain <= self.gain or fact.other_accuracy <= fact.own_accuracy:
            return
        other = "half-pixel" if fact.own == "align_corners" else "align_corners"
        yield self.finding(
            f"{fact.layer} resizes with {fact.own}, and these weights fit {other} better: "
            "edges are shifted, most of all near the borders.",
            (
                Evidence(
                    "loss saved by the other convention",
                    _round(gain),
                    self.gain,
                    "share",
                    fact.layer,
                ),
                Evidence(
                    "accuracy as it is", _round(fact.own_accuracy), _round(fact.other_accuracy)
                ),
                Evidence("factor of the resize", _round(fact.factor)),
            ),
            Fix(
                "Resize as the weights were trained, or fine-tune the decoder with the resize you "
                "have.",
                "tf.compat.v1.image.resize(x, size, method='bilinear', align_corners=True)",
            ),
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")


@dataclass(frozen=True)
class LinearStack(Probe):
    code = "MDL011"
    how = (
        "Pairs of 3×3 and larger convolutions that follow each other are looked at for something "
        "between them that bends: an activation in the layer, or a layer of its own. Of a net of "
        "Keras' own layers: whether there is any activation before its head."
    )
    why = "Two convolutions without a nonlinearity are one, at twice the price."
    fix = "activation='relu', or a ReLU behind the batch normalisation."
    fine = "Linear bottlenecks (1×1), separable and depthwise convolutions, the head."
    sources = "measured: silent on keras.applications and on U-Nets"

    share: float = field(default=0.5, metadata={"doc": "share of the pairs without a nonlinearity"})

    def examine(self, graph: GraphFacts) -> Iterator[Finding]:
        from segdoctor.measures.linear_stack import linear_pairs, unbent

        pairs, judged = linear_pairs(graph)
        convolutions = unbent(graph)
        if convolutions:
            yield self._nowhere(convolutions)
            return
        if not pairs or len(pairs) < self.share * judged:
            return
        first, second = pairs[0]
        yield self.finding(
            f"{len(pairs)} of {judged} pairs of convolutions have nothing between them that "
            f"bends, {first} and {second} to begin with: each such pair is a single convolution.",
            (
                Evidence(
                    "linear pairs of convolutions",
                    len(pairs),
                    int(self.share * judged),
                    f"of {judged}",
                    f"{first} → {second}",
                ),
            ),
            self._relu(),
        )

    def _nowhere(self, convolutions: int) -> Finding:
        return self.finding(
            f"None of the {convolutions} convolutions has an activation behind it, the head aside.",
            (Evidence("activations before the head", 0, 1, f"of {convolutions} convolutions"),),
            self._relu(),
        )

    @staticmethod
    def _relu() -> Fix:
        return Fix(
            "Put a ReLU behind each of them.",
            'layers.Conv2D(64, 3, padding="same", activation="relu")',
        )
