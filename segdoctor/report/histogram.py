"""The mask histogram: which share of the pixels each id has, and void beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.canvas import Theme, style
from segdoctor.report.charts import finite
from segdoctor.report.wording import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CLASSES = 24


def class_shares(
    histogram: Mapping[Any, Any], names: Mapping[str, str], void: int | None
) -> list[tuple[int, str, float]]:
    """``(id, name, share)`` by id with void last; ids that do not fit the chart are summed up."""
    counts: dict[int, float] = {}
    for key, pixels in histogram.items():
        identifier, count = finite(key), finite(pixels)
        if not math.isnan(identifier) and count > 0:
            counts[int(identifier)] = counts.get(int(identifier), 0.0) + count
    total = sum(counts.values())
    if not total:
        return []
    ids = sorted(counts, key=lambda i: (i == void, i))
    if len(ids) > _MOST_CLASSES:
        largest = sorted(ids, key=lambda i: -counts[i])[: _MOST_CLASSES - 1]
        kept = [i for i in ids if i in largest or i == void]
        rest = [i for i in ids if i not in kept]
    else:
        kept, rest = ids, []
    rows = [(i, "void" if i == void else names.get(str(i), ""), counts[i] / total) for i in kept]
    if rest:
        rows.append((-1, f"{len(rest)} further ids", sum(counts[i] for i in rest) / total))
    return rows


def draw_histogram(
    axes: Axes,
    rows: Sequence[tuple[int, str, float]],
    colours: Sequence[str],
    void: int | None,
    theme: Theme,
) -> None:
    """Share of the pixels of each id, in the colour of its class; void is hatched."""
    style(axes, theme, grid="x")
    places = range(len(rows))
    for place, (identifier, _, part) in zip(places, rows, strict=True):
        hatched = identifier == void
        axes.barh(
            place,
            part,
            height=0.72,
            color="none" if hatched or identifier < 0 else colours[identifier % 256],
            edgecolor=theme.muted,
            linewidth=0.8,
            hatch="////" if hatched else None,
        )
        axes.annotate(
            share(part),
            (part, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=theme.ink,
        )
    texts = [f"{name} {i}".strip() if i >= 0 else name for i, name, _ in rows]
    axes.set_yticks(list(places), [clean(text, 28) for text in texts])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.16 * max(part for _, _, part in rows))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
