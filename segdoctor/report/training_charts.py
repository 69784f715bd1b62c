"""The curves of a training with the places marked, and the learning-rate range test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.canvas import DASHES, Theme, legend, style
from segdoctor.report.charts import finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 4


def draw_history(upper: Axes, lower: Axes, history: Mapping[str, Any], theme: Theme) -> None:
    """Losses above, scores below, by epoch; a vertical line where a finding speaks of one."""
    series = history["series"]
    losses = [name for name in series if "loss" in name.lower()][:_MOST]
    scores = [
        name for name in series if name not in losses and name not in ("lr", "learning_rate")
    ][:_MOST]
    entries: list[tuple[Any, str]] = []
    for axes, names, label in ((upper, losses, "loss"), (lower, scores, "score")):
        style(axes, theme)
        axes.set_ylabel(label)
        for index, name in enumerate(names):
            (line,) = axes.plot(
                range(1, len(series[name]) + 1),
                [finite(value) for value in series[name]],
                color=theme.series[index % len(theme.series)],
                linestyle=DASHES[index % len(DASHES)],
                marker="o" if len(series[name]) < 25 else None,
                markersize=3,
                linewidth=1.6,
            )
            entries.append((line, name))
    _marks((upper, lower), history.get("marks", ()), theme)
    lower.set_xlabel("epoch")
    if not scores:
        lower.set_visible(False)
        upper.set_xlabel("epoch")
        upper.tick_params(labelbottom=True)  # the two share their axis
    legend(lower if scores else upper, theme, entries, columns=2, drop=-0.36)


def _marks(both: Sequence[Axes], marks: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    for mark in marks:
        place = float(mark["place"]) + 1.0
        for axes in both:
            axes.axvline(place, color=theme.bad, linewidth=1.0, linestyle=(0, (2, 2)))
        both[0].annotate(
            clean(mark["code"], 10),
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=theme.bad,
        )


def draw_sweep(axes: Axes, sweep: Mapping[str, Any], theme: Theme) -> None:
    """Loss by learning rate; the useful range shaded with a rate to begin with, the run's rate as
    a line. Losses far above the first are cut off."""
    style(axes, theme)
    losses = [finite(loss) for loss in sweep["losses"]]
    (curve,) = axes.plot(sweep["rates"], losses, color=theme.ink, linewidth=1.8)
    axes.set_xscale("log")
    good = [loss for loss in losses if not math.isnan(loss)]
    if good:
        least, first = min(good), good[0]
        span = abs(first - least) + 1e-9
        axes.set_ylim(least - 0.1 * span, first + 0.5 * span)
    entries: list[tuple[Any, str]] = [(curve, "loss")]
    if sweep.get("low") and sweep.get("high"):
        low, high = sweep["low"], sweep["high"]
        shade = axes.axvspan(low, high, color=theme.good, alpha=0.18, linewidth=0)
        entries.append((shade, f"useful: {low:.0e} to {high:.0e}"))
        middle = math.sqrt(low * high)
        start = axes.axvline(middle, color=theme.good, linewidth=1.4, linestyle=(0, (1, 2)))
        entries.append((start, f"to begin with: {middle:.0e}"))
    if sweep.get("run"):
        line = axes.axvline(sweep["run"], color=theme.bad, linewidth=1.4, linestyle=(0, (4, 2)))
        entries.append((line, f"this run: {sweep['run']:.0e}"))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss before the step")
    legend(axes, theme, entries)
