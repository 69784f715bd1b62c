"""The tables that the questions end in: the contract, the void trail, the metrics."""

from __future__ import annotations

import math
from typing import Any

from segdoctor.core.asked import LossAtShape, MetricContract, VoidTrail
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.trace import Trace
from segdoctor.examination.void_stations import void_table

Table = dict[str, Any]
_FORMS = {"BHWC": "one-hot (B, H, W, C)", "BHW": "ids (B, H, W)", "BHW1": "ids (B, H, W, 1)"}


def loss_tables(trace: Trace) -> list[Table]:
    """Those of the three tables that there is something to say in."""
    made = (contract_table(trace), void_table(trace), metric_table(trace))
    return [table for table in made if table["rows"]]


def contract_table(trace: Trace) -> Table:
    """Your loss expects …, your model gives …, your labels are …"""
    contract = trace.get("loss_contract")
    rows: list[list[str]] = []
    if isinstance(contract, LossContract):
        rows = [
            ["prediction", _expects(contract), _gives(trace)],
            ["labels", _takes(contract), _labels(trace)],
            ["void", _leaves_out(contract), _void_fed(trace)],
            ["sample weights", _weights(contract), ""],
            ["sums up as", _sums_up(contract), ""],
            ["a pixel depends on", str(contract.facts.get("depends_on", "unknown")), ""],
            *_values(trace),
        ]
    declared = trace.get("declared")
    stand_in = isinstance(declared, Declared) and declared.loss_stand_in
    name = contract.name if isinstance(contract, LossContract) else "the loss"
    return {
        "title": "What the loss expects, and what it is given",
        "columns": ["", "the loss (a stand-in)" if stand_in else name, "your run"],
        "rows": rows,
        "note": "Found by questions on small arrays and on the batch, without source code.",
    }


def _expects(contract: LossContract) -> str:
    if contract.raises:
        return f"fails: {contract.raises}"
    words = {"either": "logits or probabilities"}.get(contract.prediction, contract.prediction)
    facts = contract.facts
    if facts.get("yes_no_per_channel"):
        return f"{words}, yes/no for each channel"
    return f"{words}, classes compete" if facts.get("channels_compete") else words


def _gives(trace: Trace) -> str:
    head = trace.get("head")
    if not isinstance(head, HeadFacts):
        return ""
    shape = " × ".join(str(size) for size in head.shape)
    return f"{head.kind} {head.minimum:.3g} … {head.maximum:.3g}, {shape} {head.dtype}"


def _takes(contract: LossContract) -> str:
    return ", ".join(_FORMS.get(form, form) for form in contract.forms) or "unknown"


def _labels(trace: Trace) -> str:
    labels = trace.get("labels")
    if not isinstance(labels, LabelFacts):
        return ""
    shape = " × ".join(str(size) for size in labels.shape)
    return f"{labels.kind}, {shape} {labels.dtype}"


def _leaves_out(contract: LossContract) -> str:
    facts = contract.facts
    out = [str(label) for label in contract.ignores]
    if facts.get("zero_rows") == "ignored":
        out.append("rows of zeros")
    ways = [key for key in facts if key.startswith("dilutes_") and key != "dilutes_weights"]
    diluted = any(facts[key] for key in ways)
    counted = ", still counted in the mean" if out and diluted else ""
    return f"leaves out {', '.join(out)}{counted}" if out else "leaves nothing out"


def _void_fed(trace: Trace) -> str:
    trail = trace.get("void_trail")
    if not isinstance(trail, VoidTrail):
        return "no ignore label is known"
    if not trail.pixels:
        return f"{trail.label}, none in this batch"
    most = list(trail.as_fed.items())[:3]
    return ", ".join(f"{form}: {count:,} px" for form, count in most)


def _weights(contract: LossContract) -> str:
    known = {
        "per pixel": "reach each pixel"
        + (", divided by all pixels" if contract.facts.get("dilutes_weights") else ""),
        "not per pixel": "do not reach pixels: the loss is one number",
        "refused": "a map of weights is refused",
    }
    return known.get(str(contract.facts.get("weights")), "unknown")


def _sums_up(contract: LossContract) -> str:
    facts = contract.facts
    if facts.get("forgets_classes"):
        return "one ratio over all pixels and classes"
    words = {"mean": "a mean", "sum": "a sum", "whole batch": "one ratio over the batch"}
    return words.get(contract.reduction, "unknown")


def _values(trace: Trace) -> list[list[str]]:
    asked, run = trace.get("loss_at_shape"), trace.get("loss_as_run")
    rows = []
    if isinstance(asked, LossAtShape) and asked.undecided is not None:
        label = f"class {asked.background_class} everywhere"
        values = {
            "perfect": asked.right,
            label: asked.background,
            "undecided": asked.undecided,
            "wrong": asked.wrong,
        }
        told = " · ".join(f"{name} {_number(value)}" for name, value in values.items())
        now = run.value if isinstance(run, LossAsRun) else None
        rows.append(["loss on your labels", told, f"now {_number(now)}"])
    return rows


def metric_table(trace: Trace) -> Table:
    """What each metric gives for predictions of known quality, as the run feeds it."""
    metrics = trace.get("metrics")
    rows = [
        [
            metric.name,
            *(_number(_as_fed(metric, name)) for name in ("perfect", "half", "wrong")),
            _number(metric.on_batch.get("background")),
            _number(metric.on_batch.get("now")),
        ]
        for metric in (metrics if isinstance(metrics, tuple) else ())
    ]
    return {
        "title": "What the metrics say of predictions of known quality",
        "columns": ["metric", "perfect", "half right", "wrong", "one class everywhere", "now"],
        "rows": rows,
        "note": "The last two on the batch's own labels, the others on drawn ones.",
    }


def _as_fed(metric: MetricContract, name: str) -> float | None:
    value = metric.facts.get(f"as_fed_{name}", metric.values.get(name))
    return float(value) if isinstance(value, float | int) else None


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if math.isfinite(value) else "not a number"
