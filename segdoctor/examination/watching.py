"""What a training shows while it runs: real updates, drift of batch norm, predicted classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.engine import Outcome, examine
from segdoctor.core.explain import explained
from segdoctor.core.measured import Declared, UpdateFacts
from segdoctor.core.trace import Trace
from segdoctor.examination.batch_look import BatchLook, look_at
from segdoctor.examination.verdict import exit_code_of
from segdoctor.probes.registry import PROBES
from segdoctor.report.report import Report
from segdoctor.sources.history import read_history

_WATCHED = ("GRAD005", "OPT001", "OPT002", "HIST001", "HIST002", "HIST004", "HIST007")
_WORDS = {
    "batch_norm_drift": "drift of moving means between looks, spreads",
    "batch_norm_gap": "output in training mode against inference, spreads",
    "dead_units": "dead channels of the worst rectifier, share",
    "classes_predicted": "classes predicted",
    "accuracy": "accuracy",
    "mean_iou": "mean IoU in training mode",
}
MOST_KERNELS, MOST_ENTRIES = 24, 4096


class Eyes:
    """Looks at a model between steps, and at one batch between epochs."""

    def __init__(self, model: Any, batch: Any, log_dir: str | None) -> None:
        from segdoctor.recorder.layers import batch_norm_layers
        from segdoctor.recorder.live_graph import owned_variables, variable_name

        trained = {id(variable) for variable in model.trainable_variables}
        kernels = [
            (path, variable_name(variable), variable)
            for path, variable in owned_variables(model)
            if id(variable) in trained and len(variable.shape) > 1
        ]
        places = np.linspace(0, len(kernels) - 1, min(len(kernels), MOST_KERNELS)).astype(int)
        self._kernels = [kernels[place] for place in dict.fromkeys(places.tolist())]
        self._norms = [(path, layer) for path, layer in batch_norm_layers(model)]
        self._model = model
        self._x: Any = None if batch is None else batch[0]
        self._y: Any = None if batch is None else batch[1]
        self._before: list[Any] = []
        self._ratios: dict[tuple[str, str], list[float]] = {}
        self._moving: dict[str, Any] = {}
        self._drift: list[float] = []
        self._seen: list[BatchLook] = []
        self._writer = _writer(log_dir)
        self.looks = 0

    @property
    def between(self) -> bool:
        """Whether a step is being looked at."""
        return bool(self._before)

    def before_step(self) -> None:
        self._before = [_some(variable) for _, _, variable in self._kernels]

    def after_step(self) -> None:
        for (layer, name, variable), before in zip(self._kernels, self._before, strict=True):
            size = float(np.linalg.norm(before))
            if size:
                step = float(np.linalg.norm(_some(variable) - before))
                self._ratios.setdefault((layer, name), []).append(step / size)
        self._before = []
        self.looks += 1

    def after_epoch(self, epoch: int) -> None:
        """How far the statistics moved since the last look, in standard deviations of the layer;
        and what the batch shows."""
        moved = []
        for path, layer in self._norms:
            mean = np.asarray(layer.moving_mean)
            if path in self._moving:
                spread = np.sqrt(np.asarray(layer.moving_variance) + 1e-6)
                moved.append(float(np.median(np.abs(mean - self._moving[path]) / spread)))
            self._moving[path] = mean.copy()
        if moved:
            self._drift.append(max(moved))
        if self._x is not None:
            self._seen.append(look_at(self._model, self._x, self._y))
        self._summarise(epoch)

    def not_finite(self) -> list[str]:
        """Variables that hold NaN or Inf, from the input on."""
        from segdoctor.recorder.live_graph import owned_variables, variable_name

        return [
            f"{path}/{variable_name(variable)}"
            for path, variable in owned_variables(self._model)
            if not np.isfinite(np.asarray(variable)).all()
        ]

    def updates(self) -> tuple[UpdateFacts, ...]:
        return tuple(
            UpdateFacts(layer, name, float(np.mean(ratios)), len(ratios))
            for (layer, name), ratios in self._ratios.items()
        )

    def series(self) -> dict[str, Any]:
        """Plain values for the report."""
        return {
            "update_ratio": {f"{a}/{b}": values for (a, b), values in self._ratios.items()},
            "batch_norm_drift": self._drift,
            **self._of_the_batch(),
        }

    def _of_the_batch(self) -> dict[str, list[float]]:
        seen = self._seen
        found: dict[str, list[float]] = {
            "batch_norm_gap": [look.gap for look in seen] if self._norms else [],
            "dead_units": [look.dead[0] for look in seen],
            "classes_predicted": [look.predicted for look in seen],
            "accuracy": [look.accuracy for look in seen if look.accuracy is not None],
            "mean_iou": [look.miou for look in seen if look.miou is not None],
        }
        return {name: values for name, values in found.items() if values}

    def fields(self, loss: Sequence[float]) -> dict[str, object]:
        """What the probes ask of the batch: its units, and the ends of its curves beside its
        classes."""
        if not self._seen:
            return {}
        last = self._seen[-1]
        found: dict[str, object] = {"activations": last.activations}
        if last.histogram is not None:
            series = self._of_the_batch()
            curves = {"loss": loss, "accuracy": series["accuracy"], "mean_iou": series["mean_iou"]}
            found["prior"] = read_history({k: list(v) for k, v in curves.items() if v})
            found["scan"] = ScanFacts("", "the batch", (), histogram=last.histogram, void=False)
        return found

    def told(self) -> list[str]:
        """What no code stands for, in words."""
        if not self._seen:
            return []
        last, notes = self._seen[-1], []
        if last.predicted == 1 and last.present > 1:
            notes.append(
                f"collapsed: every pixel of the batch is one class, its labels have {last.present}"
            )
        if last.not_finite:
            notes.append(f"on the batch the first output with NaN or Inf is that of "
                         f"{last.not_finite}")  # fmt: skip
        return notes

    def table(self) -> dict[str, Any]:
        """The series as a table of the report."""
        ratios = [values for values in self._ratios.values() if values]
        rows = []
        if ratios:
            first, last = (float(np.median([v[at] for v in ratios])) for at in (0, -1))
            rows.append(["update / weights, median of the kernels", first, last, self.looks])
        for name, values in (("batch_norm_drift", self._drift), *self._of_the_batch().items()):
            if values:
                rows.append([_WORDS[name], values[0], values[-1], len(values)])
        shown = [[a, f"{b:.3g}", f"{c:.3g}", n] for a, b, c, n in rows]
        return {
            "title": "What the training showed",
            "columns": ["quantity", "at first", "at last", "looks"],
            "rows": shown,
            "note": "The batch is the one that the monitor was given; updates are real steps.",
        }

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _summarise(self, epoch: int) -> None:
        if self._writer is None:
            return
        with self._writer.as_default(step=epoch):
            for (layer, name), ratios in self._ratios.items():
                _scalar(f"segdoctor/update_ratio/{layer}/{name}", ratios[-1])
            for name, values in (("batch_norm_drift", self._drift), *self._of_the_batch().items()):
                if values:
                    _scalar(f"segdoctor/{name.replace('batch_norm', 'bn')}", values[-1])


def outcomes_of(eyes: Eyes, history: Mapping[str, Any]) -> tuple[Outcome, ...]:
    """The answers of the probes that a training itself can tell."""
    fields: dict[str, object] = {"declared": Declared(), **eyes.fields(history.get("loss", ()))}
    prior = fields.pop("prior", None)
    if history.get("loss"):
        fields["history"] = read_history(history)
    if eyes.updates():
        fields["updates"] = eyes.updates()
    trace = Trace(fields)
    beside = trace.having(history=prior) if prior is not None else trace
    return tuple(
        examine(probe, beside if probe.code == "HIST007" else trace)
        for probe in PROBES
        if probe.code in _WATCHED
    )


def with_outcomes(report: Report, seen: tuple[Outcome, ...], fail_on: str) -> Report:
    """``report`` with what the training showed in the place of what one batch would tell."""
    mine = {o.code: o for o in seen if o.status in ("fired", "clear")}
    outcomes = tuple(
        mine[o.code] if o.code in mine and o.status != "ignored" else o for o in report.outcomes
    )
    kept = [f for f in report.findings if f.code not in mine]
    found = [f for o in outcomes if o.code in mine for f in o.findings]
    findings = explained([*kept, *found])
    code = report.exit_code
    if code in (0, 1):
        code = exit_code_of(
            findings, outcomes, fail_on=fail_on, interrupted=False, refused=False, incomplete=False
        )
    return replace(report, outcomes=outcomes, findings=findings, exit_code=code)


def _some(variable: Any) -> Any:
    """At most 4096 entries, evenly spread, as float64."""
    flat = np.asarray(variable).reshape(-1)
    return flat[:: max(1, flat.size // MOST_ENTRIES)].astype(np.float64)


def _scalar(tag: str, value: float) -> None:
    """As ``tf.summary.scalar``, which needs TensorBoard installed where the training runs."""
    import tensorflow as tf

    kind = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=kind)
    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=metadata)


def _writer(log_dir: str | None) -> Any:
    if log_dir is None:
        return None
    import tensorflow as tf

    return tf.summary.create_file_writer(os.path.join(log_dir, "segdoctor"))
