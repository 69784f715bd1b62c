"""Each chart, drawn onto axes from plain values. What is not finite is left out or marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.core.trial_facts import TrialRun
from segdoctor.report.canvas import DASHES, MARKS, Theme, legend, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_RUNS = 6
_MOST_POINTS = 1500
_AFFINE = ("bias", "beta", "gamma")
_WORDS = {"kernels": "kernels that train", "other": "gamma, beta, bias"}


def finite(value: object) -> float:
    """``value`` as a float; NaN for whatever has no finite number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def numbered(trials: Sequence[TrialRun]) -> list[tuple[int, TrialRun]]:
    """The control run (0) and the last treated ones: as many as can be told apart. A run that
    stands alone is not drawn in the control's colour."""
    kept = trials if len(trials) <= _MOST_RUNS else (trials[0], *trials[1 - _MOST_RUNS :])
    return list(enumerate(kept, start=1 if len(kept) == 1 else 0))


def draw_loss(axes: Axes, trials: Sequence[TrialRun], theme: Theme, drop: float = -0.2) -> None:
    """Loss by step, one line a run; logarithmic where it spans more than a factor of thirty."""
    style(axes, theme)
    seen: list[float] = []
    entries = []
    for index, run in numbered(trials):
        points = [(step, finite(loss)) for step, loss, _ in run.curve]
        (line,) = axes.plot(
            [step for step, _ in points],
            [loss for _, loss in points],
            color=theme.series[index],
            linestyle=DASHES[index],
            linewidth=1.8,
        )
        name = clean(run.name, 40)
        lost = [step for step, loss in points if math.isnan(loss)]
        if lost:
            before = [point for point in points if point[0] < lost[0]][-1:]
            axes.plot(*zip(*before, strict=True), "X", color=theme.bad) if before else None
            name = f"{clean(name, 22)} (not finite at step {lost[0]})"
        entries.append((line, name))
        seen += [loss for _, loss in points if not math.isnan(loss)]
    if seen and min(seen) > 0 and max(seen) / min(seen) > 30:
        axes.set_yscale("log")
    elif seen:
        axes.set_ylim(bottom=min(0.0, min(seen)))
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(_few_ticks(8))
    axes.set_ylabel("loss")
    legend(axes, theme, entries, drop=drop)


def draw_miou(axes: Axes, trials: Sequence[TrialRun], theme: Theme, drop: float = -0.2) -> None:
    """mIoU in training mode by step, between the constant predictor's and the ceiling.

    The open mark behind the end of a line is the mIoU in inference mode.
    """
    from matplotlib.lines import Line2D

    style(axes, theme)
    entries: list[tuple[Any, str]] = []
    last = max((step for run in trials for step, _, _ in run.curve), default=1) or 1
    for index, run in numbered(trials):
        points = [(s, finite(m)) for s, _, m in run.curve if not math.isnan(finite(m))]
        colour, mark = theme.series[index], MARKS[index]
        (line,) = axes.plot(
            [step for step, _ in points],
            [miou for _, miou in points],
            color=colour,
            linestyle=DASHES[index],
            marker=mark,
            markersize=4,
            linewidth=1.8,
        )
        axes.plot(
            [1.035 * last],
            [finite(run.miou_inference)],
            color=colour,
            marker=mark,
            markersize=7,
            markerfacecolor="none",
            markeredgewidth=1.6,
            clip_on=False,
        )
        entries.append((line, clean(run.name, 40)))
    open_mark = Line2D(
        [], [], color=theme.muted, marker="o", markerfacecolor="none", markersize=7, linestyle=""
    )
    entries.append((open_mark, "open: inference mode, at the end"))
    for level, words in (
        (finite(trials[0].ceiling), "ceiling"),
        (finite(trials[0].constant), "best constant predictor"),
    ):
        if not math.isnan(level):
            axes.axhline(level, color=theme.muted, linewidth=1.0, linestyle=(0, (1, 2)))
            axes.annotate(
                words,
                (0.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(3, 2),
                textcoords="offset points",
                va="bottom",
                fontsize=8,
                color=theme.muted,
            )
    axes.set_ylim(0.0, 1.05)
    axes.set_xlim(left=0, right=1.07 * last)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(_few_ticks(8))
    axes.set_ylabel("mIoU, training mode")
    legend(axes, theme, entries, drop=drop)


def draw_gradients(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    theme: Theme,
    blocks: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Gradient norm of each variable from the input to the output of the network, and the root mean
    square of the gradient at the end of each block as a line.

    Variables with no gradient at all, a zero or a non-finite one have no place on a logarithmic
    axis; they stand on the lower and upper edge.
    """
    style(axes, theme)
    groups: dict[str, list[tuple[float, float]]] = {}
    for row in list(rows)[:_MOST_POINTS]:
        depth, norm = finite(row.get("depth")), row.get("norm")
        value = finite(norm)
        if norm is None:
            kind = "no path (gradient None)" if row.get("trainable", True) else "frozen"
            value = 0.03 if row.get("trainable", True) else math.nan
        elif math.isnan(value):
            kind, value = "not finite", 0.97
        elif value <= 0:
            kind, value = "exactly zero", 0.03
        elif not row.get("trainable", True):
            kind = "frozen"
        else:
            kind = "other" if str(row.get("variable")).endswith(_AFFINE) else "kernels"
        groups.setdefault(kind, []).append((depth, value))
    looks: dict[str, tuple[str, str, bool, bool]] = {  # colour, mark, filled, on the edge
        "other": (theme.muted, ".", True, False),
        "kernels": (theme.good, "o", True, False),
        "frozen": (theme.muted, "s", False, False),
        "no path (gradient None)": (theme.bad, "X", True, True),
        "exactly zero": (theme.bad, "v", False, True),
        "not finite": (theme.bad, "D", True, True),
    }
    entries: list[tuple[Any, str]] = []
    for kind, (colour, mark, filled, edge) in looks.items():
        points = [point for point in groups.get(kind, []) if not math.isnan(point[1])]
        if not points:
            continue
        drawn = axes.scatter(
            [depth for depth, _ in points],
            [value for _, value in points],
            s=26 if filled else 20,
            marker=mark,
            facecolors=colour if filled else "none",
            edgecolors=colour,
            linewidths=0.9,
            transform=axes.get_xaxis_transform() if edge else axes.transData,
            clip_on=not edge,
            zorder=4 if edge else 3,
        )
        entries.append((drawn, f"{_WORDS.get(kind, kind)} ({len(points)})"))
    ends = [(finite(row.get("depth")), finite(row.get("gradient"))) for row in blocks]
    ends = sorted(end for end in ends if end[1] > 0.0)
    if len(ends) > 1:
        (line,) = axes.plot(
            *zip(*ends, strict=True), color=theme.series[0], marker=".", linewidth=1.2, zorder=2
        )
        entries.append((line, "block ends"))
    axes.set_yscale("log")
    axes.margins(y=0.12)
    _along_network(axes)
    axes.set_ylabel("size of the gradient")
    legend(axes, theme, entries, columns=2)


def draw_batch_norms(
    upper: Axes, lower: Axes, rows: Sequence[Mapping[str, Any]], theme: Theme
) -> None:
    """How far the moving statistics are from the batch's, for each BN layer; the mark says which
    statistics it used when called as ``fit`` calls it."""
    looks = {
        (False, "batch"): ("frozen, yet on batch statistics", theme.bad, "D", True),
        (False, "moving"): ("frozen, on moving statistics", theme.muted, "s", False),
        (True, "batch"): ("trainable, on batch statistics", theme.good, "o", True),
        (True, "moving"): ("trainable, yet on moving statistics", theme.series[3], "^", True),
    }
    groups: dict[tuple[str, str, str, bool], list[Mapping[str, Any]]] = {}
    for row in list(rows)[:_MOST_POINTS]:
        key = (bool(row.get("trainable")), str(row.get("training_mode")))
        look = looks.get(key, ("mode unclear", theme.ink, "P", False))
        groups.setdefault(look, []).append(row)
    entries: list[tuple[Any, str]] = []
    for axes, field, label in (
        (upper, "mean_gap", "mean gap\n(standard dev.)"),
        (lower, "variance_gap", "variance gap\n(powers of ten)"),
    ):
        style(axes, theme)
        entries = []
        for (name, colour, mark, filled), members in groups.items():
            drawn = axes.scatter(
                [finite(row.get("depth")) for row in members],
                [finite(row.get(field)) for row in members],
                s=22,
                marker=mark,
                facecolors=colour if filled else "none",
                edgecolors=colour,
                linewidths=0.9,
                clip_on=False,
                zorder=3,
            )
            entries.append((drawn, f"{name} ({len(members)})"))
        axes.set_ylabel(label)
        axes.margins(y=0.15)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(_few_ticks(4, whole=False))
    _along_network(lower)
    upper.tick_params(labelbottom=False)
    upper.spines["bottom"].set_visible(False)
    legend(lower, theme, entries, drop=-0.36)


def _along_network(axes: Axes) -> None:
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 1], ["input", "output"])
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")


def _few_ticks(most: int, whole: bool = True) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most, integer=whole)
