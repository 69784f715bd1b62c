"""The figures of a report: which there are, what each shows, and why one is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.report.arrangement import class_name
from segdoctor.report.canvas import DARK, LIGHT, Theme, blank, drawing, svg
from segdoctor.report.charts import (
    draw_batch_norms,
    draw_gradients,
    draw_loss,
    draw_miou,
)
from segdoctor.report.histogram import class_shares, draw_histogram
from segdoctor.report.pictures import class_colours, void_label
from segdoctor.report.report import EXAMINED, Report
from segdoctor.report.training_charts import draw_history, draw_sweep
from segdoctor.report.void_chart import ROW, draw_void_trail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.4, 2.7


@dataclass(frozen=True, slots=True)
class Drawn:
    """One figure as SVG in both appearances, or the reason why there is none."""

    slug: str
    title: str
    caption: str
    light: bytes = b""
    dark: bytes = b""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    slug: str
    title: str
    caption: str
    kinds: tuple[str, ...]
    present: Callable[[Report], bool]
    draw: Callable[[Report, Theme], Figure]
    absent: str
    asked_for: bool = False  # left out, without a word, where the run has nothing of it


def figures(report: Report) -> tuple[Drawn, ...]:
    """Every figure that this kind of report can have, drawn or with the reason why not.

    ``report.measured["absent"]`` may give the reason, by the figure's slug.
    """
    made = []
    reasons = report.measured.get("absent") or {}
    with drawing():
        for plan in _PLANS:
            if report.kind not in plan.kinds:
                continue
            head = (plan.slug, plan.title, plan.caption)
            if plan.asked_for and not plan.present(report):
                continue
            if not plan.present(report):
                why = clean(reasons.get(plan.slug, plan.absent), 200)
                made.append(Drawn(*head, missing=why))
                continue
            try:
                light, dark = (svg(plan.draw(report, theme)) for theme in (LIGHT, DARK))
                made.append(Drawn(*head, light, dark))
            except Exception as error:  # noqa: BLE001 - a drawing must not cost the report
                why = clean(f"drawing failed: {type(error).__name__}: {error}", 200)
                made.append(Drawn(*head, missing=why))
    return tuple(made)


def plot(report: Report, name: str) -> Figure:
    """One figure, in the light appearance.

    Raises
    ------
    UserError
        If there is none of this name for the kind of report, or nothing to draw.
    """
    plans = {plan.slug: plan for plan in _PLANS if report.kind in plan.kinds}
    if name not in plans:
        raise UserError(
            f"plot: expected one of {', '.join(plans)}, received {clean(repr(name), 60)}"
        )
    plan = plans[name]
    if not plan.present(report):
        reasons = report.measured.get("absent") or {}
        raise UserError(f"plot {name!r}: {clean(reasons.get(name, plan.absent), 200)}")
    with drawing():
        return plan.draw(report, LIGHT)


def loss_figure(report: Report, theme: Theme) -> Figure:
    """Loss curves of the control and the treated runs."""
    figure = blank(_WIDTH, _HEIGHT)
    draw_loss(figure.add_subplot(), report.trials, theme)
    return figure


def miou_figure(report: Report, theme: Theme) -> Figure:
    """mIoU curves, with the ceiling and the best constant predictor."""
    figure = blank(_WIDTH, _HEIGHT)
    draw_miou(figure.add_subplot(), report.trials, theme)
    return figure


def gradients_figure(report: Report, theme: Theme) -> Figure:
    """Gradient norms along the network, of each variable and at the ends of the blocks."""
    figure = blank(_WIDTH, _HEIGHT)
    blocks = report.measured.get("blocks") or ()
    draw_gradients(figure.add_subplot(), report.measured["gradients"], theme, blocks)
    return figure


def batch_norms_figure(report: Report, theme: Theme) -> Figure:
    """Gap of the moving statistics for each batch-normalisation layer."""
    figure = blank(_WIDTH, _HEIGHT)
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_batch_norms(upper, lower, report.measured["batch_norms"], theme)
    figure.align_ylabels()
    return figure


def histogram_figure(report: Report, theme: Theme) -> Figure:
    """Share of the pixels of each class, and of void."""
    histogram, void = report.measured["histogram"], void_label(report)
    named = {str(i): class_name(report, i) for i in histogram}
    names = {i: name for i, name in named.items() if name != i}
    shares = class_shares(histogram, names, void)
    if not shares:
        raise ValueError("the histogram is empty")
    figure = blank(_WIDTH, max(1.0, 0.25 * len(shares) + 0.2))
    draw_histogram(figure.add_subplot(), shares, class_colours(), void, theme)
    return figure


def history_figure(report: Report, theme: Theme) -> Figure:
    """The training's own curves, with the places that findings speak of."""
    figure = blank(_WIDTH, _HEIGHT + 0.7)
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_history(upper, lower, report.measured["history"], theme)
    return figure


def void_trail_figure(report: Report, theme: Theme) -> Figure:
    """The void trail, from the file to the metrics."""
    stations = report.measured["void_trail"]
    figure = blank(_WIDTH, ROW * len(stations))
    draw_void_trail(figure.add_subplot(), stations, theme)
    return figure


def sweep_figure(report: Report, theme: Theme) -> Figure:
    """The learning-rate range test."""
    figure = blank(_WIDTH, _HEIGHT)
    draw_sweep(figure.add_subplot(), report.measured["sweep"], theme)
    return figure


def _has(name: str) -> Callable[[Report], bool]:
    return lambda report: bool(report.measured.get(name))


def _has_curves(report: Report) -> bool:
    return any(run.curve for run in report.trials)


_NO_TRIAL = "no trial was run"

_PLANS = (
    _Plan(
        "loss",
        "Loss in the trial",
        "The same batch again and again, from the same weights and seed; only the fix differs.",
        EXAMINED,
        _has_curves,
        loss_figure,
        _NO_TRIAL,
    ),
    _Plan(
        "miou",
        "mIoU in the trial",
        "Lines: training mode. Open marks: inference mode, with the moving statistics recalibrated."
        " The ceiling is what the grid of the logits allows.",
        EXAMINED,
        _has_curves,
        miou_figure,
        _NO_TRIAL,
    ),
    _Plan(
        "histogram",
        "What the masks hold",
        "Share of all mask pixels.",
        (*EXAMINED, "scan"),
        _has("histogram"),
        histogram_figure,
        "no masks were read",
    ),
    _Plan(
        "void_trail",
        "The void trail",
        "What becomes of pixels without a label, from the file to the metric, on this batch. Open"
        " ring: void is left out. Filled diamond: from here on it counts.",
        ("check",),
        _has("void_trail"),
        void_trail_figure,
        "no ignore label is known, or no pixel is void",
        asked_for=True,
    ),
    _Plan(
        "gradients",
        "Gradients along the network",
        "A mark is the norm of the gradient of one variable, the line its root mean square at the"
        " ends of the blocks. A bias right before a batch norm has none by design.",
        EXAMINED,
        _has("gradients"),
        gradients_figure,
        "gradients were not recorded",
    ),
    _Plan(
        "batch_norms",
        "Batch-norm statistics",
        "How far each layer's moving statistics are from those of the batch, and which of the two"
        " it used when called as fit calls it.",
        EXAMINED,
        _has("batch_norms"),
        batch_norms_figure,
        "no batch-normalisation layer was observed",
    ),
    _Plan(
        "history",
        "The training's own curves",
        "As the history has them; a broken line marks the epoch that a finding speaks of.",
        EXAMINED,
        _has("history"),
        history_figure,
        "no history was given (--history)",
        asked_for=True,
    ),
    _Plan(
        "sweep",
        "Learning-rate range test",
        "The run's own optimizer on a copy, one step at each rate, on one batch.",
        EXAMINED,
        _has("sweep"),
        sweep_figure,
        "a sweep is made only where it is asked for (--select OPT003)",
        asked_for=True,
    ),
)
