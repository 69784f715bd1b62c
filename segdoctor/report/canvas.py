"""Matplotlib without pyplot: themes, figures of the house style, and their bytes.

Importing this module does not import Matplotlib; drawing does. The user's own settings
(``rcParams``, ``matplotlibrc``, the backend) have no effect and are left as they are.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.report.own_cache import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one appearance. ``series`` begin with that of the control run; they are told
    apart by shape as well, never by colour alone."""

    name: str
    ink: str
    muted: str
    grid: str
    paper: str
    bad: str
    good: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    ink="#1f2529",
    muted="#5f6b73",
    grid="#e3e6e4",
    paper="#ffffff",
    bad="#b3361b",
    good="#0a6aa6",
    series=("#b3361b", "#0a6aa6", "#1f7a4f", "#8a5fb0", "#8a6a00", "#4b5560"),
)
DARK = Theme(
    name="dark",
    ink="#e4e8ea",
    muted="#9aa7af",
    grid="#333c43",
    paper="#1b2025",
    bad="#ff9478",
    good="#74b9ec",
    series=("#ff9478", "#74b9ec", "#7fd1a6", "#c9a5ea", "#e5c35c", "#b4bec6"),
)

DASHES: tuple[Any, ...] = ("--", "-", "-", "-.", "-", ":")
MARKS = ("o", "s", "^", "D", "v", "P")


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with Matplotlib's own defaults, and put the user's settings back afterwards."""
    load_matplotlib()
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box
        matplotlib.rcdefaults()
        # With a fixed salt the same figure is the same bytes.
        matplotlib.rcParams.update({"svg.hashsalt": "segdoctor", "font.size": 9.0})
        yield


def blank(width: float, height: float, paper: str = "none") -> Figure:
    """An empty figure of ``width`` × ``height`` inches that no window manager knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=paper)
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes, theme: Theme, grid: str = "y") -> None:
    """Quiet axes: no box, a light grid behind the data, labels in the theme's ink."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.muted)
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, length=0)
    axes.tick_params(axis="both", which="minor", length=0)
    axes.grid(visible=True, axis=grid, color=theme.grid, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(theme.ink)


def legend(
    axes: Axes,
    theme: Theme,
    entries: Sequence[tuple[Any, str]],
    columns: int = 1,
    drop: float = -0.2,
) -> None:
    """A legend below the axes. Names are shown as they are: no TeX, no hidden underscore."""
    if not entries:
        return
    made = axes.legend(
        [handle for handle, _ in entries],
        [f" {clean(name, 46)}" for _, name in entries],
        loc="upper left",
        bbox_to_anchor=(0.0, drop),
        borderaxespad=0.0,
        borderpad=0.0,
        frameon=False,
        ncols=columns,
        columnspacing=1.4,
        handlelength=1.9,
        labelcolor=theme.ink,
    )
    for text in made.get_texts():
        text.set_parse_math(False)


def svg(figure: Figure) -> bytes:
    """The figure as SVG with text drawn as outlines, the same bytes for the same figure."""
    sink = io.BytesIO()
    nothing: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(sink, format="svg", metadata=nothing, bbox_inches="tight", pad_inches=0.04)
    return sink.getvalue()


def png(figure: Figure, dpi: int = 120) -> bytes:
    """The figure as PNG, on its own paper."""
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=dpi, metadata={"Software": "segdoctor"})
    return sink.getvalue()
