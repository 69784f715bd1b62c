"""A sheet of paper for one-page pictures: text of measured width, rules and axes, from the top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from segdoctor.report.canvas import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 72.0  # points in an inch


@lru_cache(maxsize=8192)
def width_of(text: str, size: float, bold: bool, mono: bool) -> float:
    """Width in inches of ``text`` set in ``size`` points."""
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        text, _font(size, bold, mono), ismath=False
    )
    return float(width) / POINTS


def _font(size: float, bold: bool, mono: bool) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(
        family="DejaVu Sans Mono" if mono else "DejaVu Sans",
        size=size,
        weight="bold" if bold else "normal",
    )


def wrapped(text: str, width: float, size: float, bold: bool, mono: bool, most: int) -> list[str]:
    """``text`` in lines of at most ``width`` inches, at most ``most`` of them."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        for piece in _pieces(word, width, size, bold, mono):
            tried = f"{line} {piece}".strip()
            if line and width_of(tried, size, bold, mono) > width:
                lines.append(line)
                tried = piece
            line = tried
    lines.append(line)
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width_of(f"{last} …", size, bold, mono) > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()} …"]


def _pieces(word: str, width: float, size: float, bold: bool, mono: bool) -> list[str]:
    """``word`` itself, or parts of it where it is wider than a line."""
    if width_of(word, size, bold, mono) <= width:
        return [word]
    fits = max(1, int(len(word) * width / width_of(word, size, bold, mono)) - 1)
    return [word[start : start + fits] for start in range(0, len(word), fits)]


@dataclass
class Sheet:
    """What is put onto the page, from the top down; its height is known at the end."""

    width: float
    margin: float
    down: float = 0.0
    _drawn: list[Callable[[Figure, float], None]] = field(default_factory=list)

    @property
    def inner(self) -> float:
        """Width between the margins, in inches."""
        return self.width - 2 * self.margin

    def space(self, inches: float) -> None:
        """Leave room."""
        self.down += inches

    def text(
        self,
        text: str,
        size: float,
        colour: str,
        *,
        left: float = 0.0,
        width: float | None = None,
        bold: bool = False,
        mono: bool = False,
        most: int = 3,
        advance: bool = True,
        right: bool = False,
    ) -> float:
        """Set ``text`` at ``left`` inches from the margin; returns the width of its last line."""
        room = self.inner - left if width is None else width
        height = 1.42 * size / POINTS
        start, line = self.down, ""
        for line in wrapped(text, room, size, bold, mono, most):
            self._put(line, size, colour, left, bold, mono, room if right else None)
            self.down += height
        if not advance:
            self.down = start
        return width_of(line, size, bold, mono)

    def _put(
        self,
        line: str,
        size: float,
        colour: str,
        left: float,
        bold: bool,
        mono: bool,
        flush: float | None,
    ) -> None:
        across = self.margin + left + (flush or 0.0)
        base = self.down + 1.08 * size / POINTS

        def draw(figure: Figure, height: float) -> None:
            figure.text(
                across / self.width,
                1 - base / height,
                line,
                color=colour,
                fontproperties=_font(size, bold, mono),
                ha="left" if flush is None else "right",
                va="baseline",
                parse_math=False,
            )

        self._drawn.append(draw)

    def rule(self, colour: str) -> None:
        """A thin line from margin to margin."""
        from matplotlib.lines import Line2D

        at = self.down

        def draw(figure: Figure, height: float) -> None:
            ends = [self.margin / self.width, 1 - self.margin / self.width]
            figure.add_artist(
                Line2D(
                    ends,
                    [1 - at / height] * 2,
                    color=colour,
                    linewidth=0.9,
                    transform=figure.transFigure,
                )
            )

        self._drawn.append(draw)

    def axes(self, left: float, width: float, tall: float, fill: Callable[[Any], None]) -> None:
        """Axes at ``left`` inches from the margin, filled by ``fill``; does not advance."""
        top = self.down

        def draw(figure: Figure, height: float) -> None:
            box = (
                (self.margin + left) / self.width,
                1 - (top + tall) / height,
                width / self.width,
                tall / height,
            )
            fill(figure.add_axes(box))

        self._drawn.append(draw)

    def figure(self, paper: str) -> Figure:
        """The page, as tall as what is on it."""
        height = self.down + self.margin
        page = blank(self.width, height, paper)
        for draw in self._drawn:
            draw(page, height)
        return page
