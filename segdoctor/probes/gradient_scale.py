"""GRAD002, GRAD003: gradients that vanish or explode on their way to the input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import GradientFacts, HeadFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.network_facts import ActivationFacts
from segdoctor.core.probe import Probe

_AFFINE = ("bias", "beta", "gamma")


def kernels(gradients: Sequence[GradientFacts]) -> list[GradientFacts]:
    """Trained weights that mix channels: no biases and no BN scales and shifts, whose gradient
    may be near 0 by design (a bias before BN)."""
    return [
        fact
        for fact in gradients
        if fact.trainable
        and fact.norm is not None
        and fact.finite
        and fact.weight_norm > 0.0
        and not fact.variable.endswith(_AFFINE)
    ]


def feature_size(gradients: Sequence[GradientFacts]) -> tuple[GradientFacts, float] | None:
    """The head's kernel, and the size of what it gets: its gradient's norm over its bias'."""
    trained = [fact for fact in gradients if fact.trainable and fact.norm is not None]
    last = max(kernels(trained), key=lambda fact: fact.depth, default=None)
    if last is None or last.norm is None:
        return None
    for fact in trained:
        if (
            fact.layer == last.layer
            and fact.variable.endswith("bias")
            and fact.finite
            and fact.norm
        ):
            return last, last.norm / fact.norm
    return None


@dataclass(frozen=True)
class GradientVanishes(Probe):
    code = "GRAD002"
    how = (
        "For each trained kernel the gradient's norm over the kernel's own: a relative step that "
        "does not depend on width. The best of the kernels near the input is set against the "
        "median of those near the output (a head that starts near zero is left out). And the "
        "gradient of the head's kernel over that of its bias, which is the size of the features."
    )
    why = "The early layers, which see the image, do not learn; the rest learns on noise."
    fix = "Batch normalisation, ReLU instead of sigmoid or tanh inside, skips, He initialisation."
    fine = (
        "Branches that start at zero on purpose (gamma 0), biases before BN, a head that starts "
        "near zero, and a net that has converged, whose gradients are small everywhere."
    )
    sources = "Glorot & Bengio 2010; measured on DeepLabv3+ and U-Nets, trained and untrained"

    orders: float = field(
        default=4.0, metadata={"doc": "powers of ten by which the gradient falls to the input"}
    )
    small_head: float = field(
        default=0.5, metadata={"doc": "norm of a head's kernel that counts as near zero"}
    )
    fewest: int = field(default=3, metadata={"doc": "trained kernels needed to judge"})

    def examine(self, gradients: tuple[GradientFacts, ...]) -> Iterator[Finding]:
        found = kernels(gradients)
        if len(found) < self.fewest:
            return
        features = feature_size(gradients)
        if features is not None and 0.0 < features[1] < 10.0**-self.orders:
            yield self._faint(*features)
            return
        dead = not any(fact.norm for fact in found)
        last = max(found, key=lambda fact: fact.depth)
        if last.weight_norm < self.small_head and not dead:
            found = [fact for fact in found if fact.depth < last.depth]
            if len(found) < self.fewest:
                return
        early, late = _ends(found)
        best = max(early, key=_relative)
        reference = _median([_relative(fact) for fact in late])
        if reference == 0.0:
            yield from self._dead(gradients, found)
            return
        fall = math.log10(reference / max(_relative(best), 1e-40))
        if fall <= self.orders:
            return
        yield self.finding(
            f"The gradient vanishes on its way to the input: at {best.layer} it is "
            f"{_power(fall)} times smaller than near the output, beside the weights it moves.",
            (
                Evidence("fall towards the input", _round(fall), self.orders, "powers of ten"),
                Evidence(
                    "gradient over weights near the input",
                    _round(_relative(best)),
                    None,
                    "",
                    best.layer,
                ),
                Evidence("median near the output", _round(reference)),
            ),
            _steadier(),
        )

    def _faint(self, head: GradientFacts, size: float) -> Finding:
        """The features in front of the head are next to nothing: so is every kernel's gradient."""
        return self.finding(
            f"The features fade on their way to the output: those that {head.layer} gets are "
            f"{size:.1e} in size, so only its bias has a gradient to speak of, and no kernel.",
            (
                Evidence(
                    "gradient of the head's kernel over that of its bias",
                    *(_round(size), 10.0**-self.orders, "", head.layer),
                ),
                Evidence(
                    "size of the head's kernel", _round(head.weight_norm), None, "", head.layer
                ),
            ),
            _steadier(),
        )

    def _dead(
        self, gradients: Sequence[GradientFacts], found: Sequence[GradientFacts]
    ) -> Iterator[Finding]:
        """No kernel has any gradient, and a bias behind them has: the features are dead."""
        alive = [
            fact
            for fact in gradients
            if fact.trainable and fact.variable.endswith("bias") and (fact.norm or 0.0) > 0.0
        ]
        zero_head = any(
            fact.trainable and fact.weight_norm == 0.0 and (fact.norm or 0.0) > 0.0
            for fact in gradients
            if not fact.variable.endswith(_AFFINE)
        )
        if not alive or zero_head or any(fact.norm for fact in found):
            return
        last = max(alive, key=lambda fact: fact.depth)
        yield self.finding(
            f"No kernel has any gradient, only the bias of {last.layer} has: the features in "
            "front of it are zero for the whole batch.",
            (
                Evidence("kernels with a gradient", 0, len(found), "kernels"),
                Evidence("gradient of the bias", _round(last.norm or 0.0), None, "", last.layer),
            ),
            _steadier(),
        )


@dataclass(frozen=True)
class GradientExplodes(Probe):
    code = "GRAD003"
    how = (
        "As for GRAD002, with the growth towards the input; the size of the last features and of "
        "the logits; and the norm of the whole gradient beside the clipping that "
        "the optimizer applies."
    )
    why = "Steps of the early layers throw away what was learnt, or clipping leaves nothing."
    fix = "Batch normalisation, smaller initial weights, inputs of unit scale, a mean for a sum."
    fine = (
        "A growth of two or three powers of ten over a hundred layers is normal in new nets, and "
        "logits of a few hundred where images of 0 … 255 go into a net without normalisation."
    )
    sources = (
        "measured: untrained DeepLabv3+ Xception grows by a factor of 60 to 500; a new U-Net "
        "(He-normal) has logits of 3 from images of unit scale and of 880 from 0 … 255; kernels "
        "drawn with a deviation of 1 gave logits of 2,600, a first loss of 607 and no learning"
    )

    orders: float = field(
        default=4.0, metadata={"doc": "powers of ten by which the gradient grows to the input"}
    )
    clipped: float = field(
        default=1000.0, metadata={"doc": "norm of the gradient over the clipping norm"}
    )
    logits: float = field(
        default=2000.0, metadata={"doc": "largest score of the output, as logits"}
    )
    large: float = field(
        default=1.0,
        metadata={"doc": "gradient over weights that is large in itself, where the features fade"},
    )
    fewest: int = field(default=3, metadata={"doc": "trained kernels needed to judge"})

    def examine(
        self,
        gradients: tuple[GradientFacts, ...],
        compiled: CompileFacts | None = None,
        head: HeadFacts | None = None,
        activations: tuple[ActivationFacts, ...] = (),
        y_train: Any = None,
    ) -> Iterator[Finding]:
        found, features = kernels(gradients), feature_size(gradients)
        faint = features is not None and 0.0 < features[1] < 10.0**-self.orders  # that is GRAD002
        faint = faint and max(map(_relative, found), default=0.0) < self.large
        told = list(self._growth(found)) if len(found) >= self.fewest and not faint else []
        # A new net with batch normalisation has large scores in prediction alone.
        trains = math.inf if y_train is None else float(abs(y_train).max(initial=0.0))
        yield from told or self._blown_up(gradients, head, activations, trains)
        limit = _clip_norm(compiled)
        if limit is None:
            return
        whole = math.sqrt(sum((fact.norm or 0.0) ** 2 for fact in gradients if fact.trainable))
        if whole > self.clipped * limit:
            yield self.finding(
                f"Clipping eats the gradient: its norm is {whole:.3g}, and the optimizer cuts it "
                f"to {limit:.3g}.",
                (Evidence("norm of the gradient", _round(whole), _round(self.clipped * limit)),),
                Fix(
                    "Find what makes the gradient so large (a sum for a mean, inputs of 255) "
                    "before clipping it."
                ),
                severity="warning",
            )

    def _blown_up(
        self,
        gradients: Sequence[GradientFacts],
        head: HeadFacts | None,
        activations: Sequence[ActivationFacts],
        trains: float,
    ) -> Iterator[Finding]:
        """Values that grow on their way to the output, and every kernel's gradient with them."""
        scores = size = 0.0
        if head is not None and head.kind == "logits":
            scores = min(max(abs(head.minimum), abs(head.maximum)), trains)
        last = max(activations, key=lambda fact: fact.depth, default=None)
        if last is not None and last.finite:
            size = math.hypot(last.mean, last.spread)
        if not (size > 10.0**self.orders or scores > self.logits) or not any(
            fact.norm for fact in gradients
        ):
            return
        evidence = [Evidence("largest score", _round(scores), self.logits)] if scores else []
        if last is not None:
            evidence.append(
                Evidence(
                    "size of the last features", _round(size), 10.0**self.orders, "", last.layer
                )
            )
        told = f"scores of {scores:.2g}" if scores > self.logits else f"features of {size:.2g}"
        yield self.finding(
            f"The values explode on their way to the output ({told}), and the gradient of every "
            "kernel with them: the first loss is hundreds of times that of a guess.",
            evidence,
            _steadier(),
        )

    def _growth(self, found: Sequence[GradientFacts]) -> Iterator[Finding]:
        early, late = _ends(found)
        here = _median([_relative(fact) for fact in early])
        there = _median([_relative(fact) for fact in late])
        if here <= 0.0 or there <= 0.0:
            return
        growth = math.log10(here / there)
        if growth <= self.orders:
            return
        worst = max(early, key=_relative)
        yield self.finding(
            f"The gradient explodes on its way to the input: beside the weights it moves it is "
            f"{_power(growth)} times larger there than near the output.",
            (
                Evidence("growth towards the input", _round(growth), self.orders, "powers of ten"),
                Evidence(
                    "largest gradient over weights", _round(_relative(worst)), None, "", worst.layer
                ),
            ),
            _steadier(),
        )


def _ends(
    found: Sequence[GradientFacts],
) -> tuple[Sequence[GradientFacts], Sequence[GradientFacts]]:
    """The kernels nearest to the input and to the output: a quarter each, at least one, and
    those of the same depth."""
    ordered = sorted(found, key=lambda fact: fact.depth)
    part = max(len(ordered) // 4, 1)
    first, last = ordered[part - 1].depth, ordered[-part].depth
    early = [fact for fact in ordered if fact.depth <= first]  # all branches that begin there
    return early, [fact for fact in ordered if fact.depth >= last]


def _relative(fact: GradientFacts) -> float:
    return (fact.norm or 0.0) / fact.weight_norm


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _clip_norm(compiled: CompileFacts | None) -> float | None:
    if compiled is None:
        return None
    for name in ("global_clipnorm", "clipnorm"):
        value = compiled.optimizer_config.get(name)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return None


def _power(orders: float) -> str:
    return f"10^{orders:.0f}"


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _steadier() -> Fix:
    return Fix(
        "Put batch normalisation behind the convolutions, use ReLU inside the net, start from "
        "He-normal weights, or add skip connections.",
        'x = layers.Conv2D(64, 3, padding="same", use_bias=False, '
        'kernel_initializer="he_normal")(x)\n'
        "x = layers.ReLU()(layers.BatchNormalization()(x))",
    )
