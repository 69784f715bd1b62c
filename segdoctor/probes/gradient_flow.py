"""GRAD001, GRAD004: gradients that do not arrive, or arrive as NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import GradientFacts, ModeFacts
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.network_facts import CutOperation, NotFinite
from segdoctor.core.probe import Probe
from segdoctor.measures.graph_depth import on_path_to_every_output


@dataclass(frozen=True)
class NoGradientPath(Probe):
    code = "GRAD001"
    how = (
        "One backward pass of the run's loss; a trainable variable on the way to the output whose "
        "gradient is None has no path to the loss."
    )
    why = "Those weights keep their first values for ever, whatever the learning rate."
    fix = "Take argmax, round, casts to integer and NumPy code out of the path to the loss."
    fine = (
        "Layers that do not lead to the output (a part kept for later, a second output without a "
        "loss) and frozen layers have no gradient by design; one that a call runs for nothing is a "
        "warning."
    )
    sources = "FAULTS OUT-08; measured"

    half: float = field(
        default=0.5,
        metadata={"doc": "share of the weights without gradient, where the graph is not known"},
    )

    def examine(
        self,
        gradients: tuple[GradientFacts, ...],
        graph: GraphFacts,
        gradient_cut: tuple[CutOperation, ...] | None = None,
    ) -> Iterator[Finding]:
        trained = [fact for fact in gradients if fact.trainable]
        on_path = on_path_to_every_output(graph)
        if on_path is not None:
            trained = [fact for fact in trained if fact.layer in on_path]
        cut = [fact for fact in trained if fact.norm is None]
        if not cut:
            return
        weights = sum(fact.size for fact in trained)
        lost = sum(fact.size for fact in cut)
        if on_path is None and lost < self.half * weights and not gradient_cut:
            return
        last = max(cut, key=lambda fact: fact.depth)
        whole = len(cut) == len(trained)
        if gradient_cut == () and not whole:
            return  # nothing cuts the path: these weights do not lead to the output at all
        unused = [op.layer or op.name for op in gradient_cut or () if not op.operation]
        if unused:
            yield self._unused(unused)
            return
        said = (
            "No trainable weight has a gradient: something between the output and the loss, or in "
            "the loss, cannot be differentiated."
            if whole
            else f"{len(cut)} of {len(trained)} trainable variables have no gradient; the path is "
            f"cut right behind {last.layer}."
        )
        yield self.finding(
            said,
            (
                Evidence("trainable variables without gradient", len(cut), 0, "variables"),
                Evidence("share of the weights", _round(lost / max(weights, 1)), 0, "share"),
                Evidence("last layer without gradient", last.layer, where=last.variable),
                *(
                    Evidence(
                        "operation that cuts the path", op.operation, where=op.layer or op.name
                    )
                    for op in gradient_cut or ()
                ),
            ),
            Fix(
                "Look for argmax, round, a comparison, a cast to integer, tf.stop_gradient or "
                ".numpy() behind that layer or in the loss, and leave it out of the training "
                "path: class ids are made after training, from the scores.",
                "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
                "# scores (B, H, W, C) go into the loss; argmax only to look at them",
            ),
        )

    def _unused(self, layers: list[str]) -> Finding:
        names = ", ".join(layers[:4])
        return self.finding(
            f"{names} {'runs' if len(layers) == 1 else 'run'} in every step, and nothing of what "
            f"{'it gives' if len(layers) == 1 else 'they give'} reaches the output: a skip that is "
            "not connected, or a layer that was left over.",
            (Evidence("layers that run for nothing", len(layers), 0, "layers", layers[0]),),
            Fix("Use what the layer gives (a concatenation, a sum), or leave the layer out."),
            severity="warning",
        )


@dataclass(frozen=True)
class GradientNotFinite(Probe):
    code = "GRAD004"
    how = "Every gradient of one backward pass is tested for NaN and Inf."
    why = "One step with it and the weights are NaN."
    fix = "Mend the operation that makes it: log(0), 0/0, sqrt(0), a power of a negative number."
    fine = "A loss scale in mixed precision may overflow once; Keras then skips the step."
    sources = "FAULTS OPT-14, OPT-18, IGN-01"

    fewest: int = field(default=1, metadata={"doc": "variables with NaN or Inf"})

    def examine(
        self,
        gradients: tuple[GradientFacts, ...],
        modes: ModeFacts | None = None,
        not_finite: NotFinite | None = None,
    ) -> Iterator[Finding]:
        broken = [fact for fact in gradients if fact.trainable and not fact.finite]
        if len(broken) < self.fewest:
            return
        first = max(broken, key=lambda fact: fact.depth)
        value = modes.loss_training if modes is not None else None
        itself = value is not None and not math.isfinite(value)
        whole = len(broken) == sum(fact.trainable for fact in gradients)
        said = (
            "the loss itself is not finite"
            if itself
            else "they come from the loss or the output"
            if whole
            else f"they begin at {first.layer} and spread from there towards the input"
        )
        evidence = [
            Evidence("variables with NaN or Inf in the gradient", len(broken), 0, "variables"),
            Evidence("nearest to the output", first.layer, where=first.variable),
        ]
        if value is not None:
            evidence.append(Evidence("loss", str(value) if itself else _round(value)))
        if not_finite is not None and not_finite.operation:
            place = not_finite.layer or {"loss": "the loss", "backward": "the backward pass"}.get(
                not_finite.where, "the model"
            )
            said += f"; the first operation that gives one is {not_finite.operation} in {place}"
            evidence.append(Evidence("first operation", not_finite.operation, where=place))
        if not_finite is not None and not_finite.where == "input":
            said = "the images that are fed hold them already"
        if not_finite is not None and not_finite.where == "forward":
            evidence.append(Evidence("the output itself is finite", False, True))
        yield self.finding(
            f"The gradient has NaN or Inf in {len(broken)} variables; {said}.",
            evidence,
            Fix(
                "Guard the operation: add a small number inside log, sqrt and division, leave "
                "void pixels out, keep sums in float32.",
                "tf.debugging.enable_check_numerics()   # names the operation in the next step",
            ),
        )


def _round(value: float) -> float:
    return float(f"{value:.3g}")
