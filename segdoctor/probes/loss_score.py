"""A metric in the place of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, LossContract
from segdoctor.core.probe import Probe
from segdoctor.probes.loss_settings import need_answers, need_known_loss


@dataclass(frozen=True)
class MetricUsedAsLoss(Probe):
    """LOSS010: a metric object, or a score that rises with quality, is minimised."""

    code = "LOSS010"
    how = (
        "Is the loss an object with the state of a metric? On small arrays: does its value rise "
        "all the way to the right prediction, where it has a top, and fall all the way to a wrong "
        "one? (A loss of the wrong sign has no top: LOSS002.)"
    )
    why = (
        "fit minimises. A score that is minimised drives the model to the worst prediction there "
        "is; a metric object sums up over batches, and has no gradient."
    )
    fix = "1 - score for a soft score (Dice, IoU of probabilities); for a metric object, a loss."
    fine = "1 - dice and -dice; cosine similarity as Keras has it (it is negative)."
    sources = "FAULTS OUT-08; keras-team/keras#10321"

    def examine(self, declared: Declared, loss_contract: LossContract) -> Iterator[Finding]:
        need_known_loss(declared)
        facts, name = loss_contract.facts, loss_contract.name
        if facts.get("metric_object"):
            yield self.finding(
                f"{name} is a metric object: it adds up over batches and gives no gradient. As a "
                "loss it trains nothing.",
                (Evidence("object in the place of the loss", "metric", "loss", where=name),),
                Fix(
                    "Put it among the metrics, and train with a loss.",
                    "model.compile(loss=keras.losses.SparseCategoricalCrossentropy(…), "
                    f"metrics=[{name}(…)])",
                    {"loss.stand_in": True},
                ),
            )
            return
        need_answers(loss_contract, "deterministic")
        if not facts.get("rises_with_quality") or not facts.get("deterministic", True):
            return
        best, worst = facts.get("at_perfect"), facts.get("at_wrong")
        soft = facts.get("has_gradient")
        turned = f"return 1.0 - {name}(y_true, y_pred)"
        yield self.finding(
            f"{name} is a score: it is {best:.3g} for a perfect prediction and {worst:.3g} for a "
            "wrong one. Minimised as it is, it drives the model away from the labels.",
            (
                Evidence("value of a perfect prediction", best, worst, where="small arrays"),
                Evidence("value of a wrong prediction", worst, where="small arrays"),
            ),
            Fix(
                "Minimise 1 - score." if soft else "It has no gradient either: take a loss.",
                turned if soft else "loss = keras.losses.CategoricalCrossentropy()",
                {"loss.stand_in": True},
            ),
        )
