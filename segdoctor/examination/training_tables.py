"""The tables and curves of a training for the report: BN triage, what trains, history, sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from segdoctor.core.finding import Finding
from segdoctor.core.history_facts import HistoryFacts
from segdoctor.core.measured import BatchNormObserved, Declared
from segdoctor.core.model_facts import BatchNormFacts, GraphFacts
from segdoctor.core.network_facts import OutputGradientFacts
from segdoctor.core.trace import Trace
from segdoctor.core.training_facts import FreezeFacts, ScheduleFacts, SweepFacts
from segdoctor.measures.freeze_blocks import in_words
from segdoctor.probes.batch_norm_statistics import at_default

_SEMANTICS = {
    "keras<=2.1.2": "In the Keras of this run (2.1.2 or older) a frozen BN used the batch's "
    "statistics and went on moving its own; in Keras 3 trainable=False means inference mode, so "
    "that the same script trains another net.",
    "keras2.1.3-2.3.1": "In the Keras of this run (2.1.3 to 2.3.1) a frozen BN used the batch's "
    "statistics while training and moved none; in Keras 3 trainable=False means inference mode.",
    "tf_keras": "In tf.keras 2 trainable=False means inference mode, and a mode wired into the "
    "graph is kept; Keras 3's fit overrides a wired mode.",
    "keras3": "In Keras 3 trainable=False means inference mode, and fit overrides a mode that is "
    "wired into the graph.",
}
_MOST_ROWS = 60


def training_tables(trace: Trace) -> list[dict[str, Any]]:
    """Tables as ``report.tables`` shows them; those without rows are left out."""
    made = (_batch_norm_table(trace), _freeze_table(trace), _class_table(trace))
    return [table for table in made if table is not None]


def _batch_norm_table(trace: Trace) -> dict[str, Any] | None:
    facts, seen, graph = (trace.get(n) for n in ("batch_norms", "bn_observed", "graph"))
    declared = trace.get("declared")
    if not isinstance(facts, tuple) or not facts:
        return None
    observed = {s.layer: s for s in seen} if isinstance(seen, tuple) else {}
    steps = None
    if isinstance(declared, Declared) and declared.epochs and declared.steps_per_epoch:
        steps = declared.epochs * declared.steps_per_epoch
    groups: dict[tuple[Any, ...], list[BatchNormFacts]] = {}
    for fact in facts:
        groups.setdefault(_state(fact, observed.get(fact.layer)), []).append(fact)
    rows = []
    for state, members in groups.items():
        trains, wired, fit, predict, plain, statistics, momentum, epsilon = state
        left = "" if steps is None else f"{momentum**steps:.0%}"
        rows.append(
            [
                len(members),
                "trains" if trains else "frozen",
                {None: "follows", True: "training", False: "inference"}[wired],
                fit,
                predict,
                plain,
                statistics,
                momentum,
                left,
                epsilon,
                members[0].layer,
            ]
        )
    flavour = graph.flavour if isinstance(graph, GraphFacts) else "keras3"
    return {
        "title": "Batch normalisation: what each layer does",
        "columns": [
            *("layers", "flag", "wired mode", "in fit", "in predict", "in model(x)"),
            "stored statistics",
            *("momentum", "first values left", "eps", "first of them"),
        ],
        "rows": rows[:_MOST_ROWS],
        "note": _SEMANTICS.get(flavour, ""),
    }


def _state(fact: BatchNormFacts, seen: BatchNormObserved | None) -> tuple[Any, ...]:
    momentum, epsilon = float(f"{fact.momentum:.6g}"), float(f"{fact.epsilon:.3g}")
    if seen is None:
        statistics = "default" if at_default(fact) else "not compared"
        asked = ("?", "?", "?")
        return (fact.trainable, fact.wired_training, *asked, statistics, momentum, epsilon)
    modes = {"batch": "batch statistics", "moving": "stored statistics"}
    return (
        fact.trainable,
        fact.wired_training,
        modes.get(seen.training_mode, "unclear") + (", moves them" if seen.moved else ""),
        modes.get(seen.inference_mode, "unclear"),
        modes.get(seen.plain_mode, "unclear"),
        _statistics(fact, seen),
        momentum,
        epsilon,
    )


def _statistics(fact: BatchNormFacts, seen: BatchNormObserved) -> str:
    if at_default(fact):
        return "default (0, 1)"
    if seen.mean_gap <= 1.0 and seen.variance_gap <= 0.5:
        return "of this data"
    if seen.mean_gap_beyond_lag <= 1.0 and seen.variance_gap_beyond_lag <= 0.5:
        return "lag behind this data"
    return "of other data"


def _freeze_table(trace: Trace) -> dict[str, Any] | None:
    freeze = trace.get("freeze")
    if not isinstance(freeze, FreezeFacts) or all(block.trains for block in freeze.blocks):
        return None
    trains = sum(block.norms for block in freeze.blocks if block.trains)
    return {
        "title": "What trains",
        "columns": ["block", "state", "layers", "parameters", "BN"],
        "rows": [
            [b.name, "trains" if b.trains else "frozen", b.layers, b.parameters, b.norms]
            for b in freeze.blocks[:_MOST_ROWS]
        ],
        "note": f"trains: {in_words(freeze.blocks, True)}, {trains} BN; "
        f"frozen: {in_words(freeze.blocks, False)}",
    }


def _class_table(trace: Trace) -> dict[str, Any] | None:
    facts = trace.get("output_gradient_facts")
    if not isinstance(facts, OutputGradientFacts) or not facts.by_class:
        return None
    rows: list[list[Any]] = [
        [str(label), round(facts.pixels.get(label, 0.0), 4), round(share, 4)]
        for label, share in facts.by_class.items()
    ]
    if facts.void:
        rows.append(["void", None, round(facts.void, 4)])
    return {
        "title": "Gradient of the loss at the output, by class",
        "columns": ["class", "share of the pixels", "share of the gradient"],
        "rows": rows[:_MOST_ROWS],
        "note": "void must have none",
    }


def history_curves(trace: Trace, findings: Sequence[Finding]) -> dict[str, Any]:
    """The curves with the places that findings speak of: ``epochs``, ``series``, ``marks``."""
    history = trace.get("history")
    if not isinstance(history, HistoryFacts):
        return {}
    marks = []
    for finding in findings:
        if not finding.code.startswith("HIST"):
            continue
        for item in finding.evidence:
            place = item.where.removeprefix("epoch ").partition(" of ")[0]
            if item.where.startswith("epoch ") and place.isdigit():
                marks.append({"place": int(place) - 1, "code": finding.code})
                break
    return {
        "source": history.source,
        "epochs": list(history.epochs),
        "series": {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in history.series.items()
        },
        "marks": marks,
    }


def sweep_curve(trace: Trace) -> dict[str, Any]:
    """The range test as the figure draws it."""
    sweep = trace.get("sweep")
    if not isinstance(sweep, SweepFacts):
        return {}
    return _finite(
        {
            "rates": list(sweep.rates),
            "losses": list(sweep.losses),
            "low": sweep.low,
            "high": sweep.high,
            "run": sweep.run,
            "optimizer": sweep.optimizer,
            "seconds": sweep.seconds,
        }
    )


def schedule_curve(trace: Trace) -> dict[str, Any]:
    schedule = trace.get("schedule")
    if not isinstance(schedule, ScheduleFacts):
        return {}
    return {
        "name": schedule.name,
        "by": schedule.by,
        "planned": schedule.planned,
        "steps": list(schedule.steps),
        "rates": list(schedule.rates),
    }


def _finite(table: Mapping[str, Any]) -> dict[str, Any]:
    losses = [loss if math.isfinite(loss) else None for loss in table["losses"]]
    return {**table, "losses": losses}
