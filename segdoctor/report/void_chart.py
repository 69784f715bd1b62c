"""The void trail as a line with stations: where void stays void, and where it leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.canvas import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.5
"""Inches that one station takes."""

_WORDS = {"here": "void leaks here", "so": "and so here"}
_APART = "void counts here"
_MOST_LETTERS = 72


def draw_void_trail(axes: Axes, stations: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    """One station a row, the file at the top: an open ring where void is kept, a filled diamond at
    the leak, and a broken line from there on. Metrics hang beside the line."""
    axes.set_axis_off()
    axes.set(xlim=(0.0, 10.0), ylim=(len(stations) - 0.5, -0.5))
    line = [place for place, station in enumerate(stations) if not station["apart"]]
    leak = next((place for place in line if stations[place]["leak"]), None)
    for one, other in pairwise(line):
        broken = leak is not None and one >= leak
        axes.plot(
            (0.2, 0.2),
            (one, other),
            color=theme.bad if broken else theme.good,
            linestyle="--" if broken else "-",
            linewidth=2.4,
            zorder=1,
        )
    if line and stations[-1]["apart"]:
        axes.plot(
            (0.2, 0.2), (line[-1], len(stations) - 1), color=theme.muted, linewidth=1.0, zorder=0
        )
    for place, station in enumerate(stations):
        _station(axes, place, station, theme)


def _station(axes: Axes, place: int, station: Mapping[str, Any], theme: Theme) -> None:
    leak, left = station["leak"], 0.6 if station["apart"] else 0.2
    colour = theme.bad if leak else theme.good
    if station["apart"]:
        axes.plot((0.2, left), (place, place), color=theme.muted, linewidth=1.0, zorder=1)
    axes.plot(
        left,
        place,
        marker="D" if leak == "here" else "o",
        markersize=9,
        color=colour,
        markerfacecolor=colour if leak == "here" else theme.paper,
        markeredgewidth=2.0,
        zorder=2,
        clip_on=False,
    )
    says = " · ".join(part for part in (station["says"], station["count"]) if part)
    mark = _APART if leak and station["apart"] else _WORDS.get(leak, "")
    texts = (
        (left + 0.4, -0.17, station["name"], theme.ink, "bold", "left"),
        (left + 0.4, 0.18, says, theme.muted, "normal", "left"),
        (9.95, -0.17, mark, theme.bad, "bold", "right"),
    )
    for x, down, text, ink, weight, side in texts:
        shown = clean(text, _MOST_LETTERS)
        made = axes.text(
            x, place + down, shown, color=ink, weight=weight, ha=side, va="center", fontsize=8.5
        )
        made.set_parse_math(False)
