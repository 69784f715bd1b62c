"""What a training shows while it runs: real updates, drift of batch norm, predicted classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.engine import Outcome, examine
from segdoctor.core.explain import explained
from segdoctor.core.measured import Declared, UpdateFacts
from segdoctor.core.trace import Trace
from segdoctor.examination.verdict import exit_code_of
from segdoctor.probes.registry import PROBES
from segdoctor.report.report import Report
from segdoctor.sources.history import read_history

_WATCHED = ("OPT001", "OPT002", "HIST001", "HIST002", "HIST004")
MOST_KERNELS, MOST_ENTRIES = 24, 4096


class Eyes:
    """Looks at a model between steps. ``usual_s``: seconds that a look takes."""

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
        self._model, self._x = model, None if batch is None else batch[0]
        self._before: list[Any] = []
        self._ratios: dict[tuple[str, str], list[float]] = {}
        self._moving: dict[str, Any] = {}
        self._drift: list[float] = []
        self._classes: list[int] = []
        self._writer = _writer(log_dir)
        self.usual_s = 0.0
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
        and how many classes are predicted on the batch."""
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
            output = np.asarray(self._model(np.asarray(self._x), training=False))
            ids = output.argmax(-1) if output.shape[-1] > 1 else output > output.mean()
            self._classes.append(len(np.unique(ids)))
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
            "classes_predicted": self._classes,
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
            for name, values in (("bn_drift", self._drift), ("classes", self._classes)):
                if values:
                    _scalar(f"segdoctor/{name}", values[-1])


def outcomes_of(eyes: Eyes, history: Mapping[str, Any]) -> tuple[Outcome, ...]:
    """The answers of the probes that a training itself can tell."""
    fields: dict[str, object] = {"declared": Declared()}
    if history.get("loss"):
        fields["history"] = read_history(history)
    if eyes.updates():
        fields["updates"] = eyes.updates()
    trace = Trace(fields)
    return tuple(examine(probe, trace) for probe in PROBES if probe.code in _WATCHED)


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
