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
_HINTED = 1.015  # glyphs set on whole pixels are a little wider than their outlines


@dataclass(frozen=True, slots=True)
class Look:
    """How text is set: ``size`` in points."""

    size: float
    colour: str
    bold: bool = False
    mono: bool = False

    def font(self) -> Any:
        """The font of Matplotlib's own that this is."""
        from matplotlib.font_manager import FontProperties

        return FontProperties(
            family="DejaVu Sans Mono" if self.mono else "DejaVu Sans",
            size=self.size,
            weight="bold" if self.bold else "normal",
        )


@lru_cache(maxsize=8192)
def width_of(text: str, look: Look) -> float:
    """Width of ``text`` in inches."""
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(text, look.font(), ismath=False)
    return _HINTED * float(width) / POINTS


def wrapped(text: str, width: float, look: Look, most: int) -> list[str]:
    """``text`` in lines of at most ``width`` inches, at most ``most`` of them."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        for piece in _pieces(word, width, look):
            tried = f"{line} {piece}".strip()
            if line and width_of(tried, look) > width:
                lines.append(line)
                tried = piece
            line = tried
        if len(lines) > most:
            break
    lines.append(line)
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width_of(f"{last} …", look) > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()} …"]


def _pieces(word: str, width: float, look: Look) -> list[str]:
    """``word`` itself, or parts of it where it is wider than a line."""
    if width_of(word, look) <= width:
        return [word]
    fits = max(1, int(len(word) * width / width_of(word, look)) - 1)
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
        look: Look,
        *,
        left: float = 0.0,
        width: float | None = None,
        most: int = 3,
        advance: bool = True,
        right: bool = False,
    ) -> float:
        """Set ``text`` at ``left`` inches from the margin; returns the width of its last line."""
        room = self.inner - left if width is None else width
        start, line = self.down, ""
        for line in wrapped(text, room, look, most):
            self._put(line, look, left, room if right else None)
            self.down += 1.42 * look.size / POINTS
        if not advance:
            self.down = start
        return width_of(line, look)

    def _put(self, line: str, look: Look, left: float, flush: float | None) -> None:
        across = self.margin + left + (flush or 0.0)
        base = self.down + 1.08 * look.size / POINTS

        def draw(figure: Figure, height: float) -> None:
            figure.text(
                across / self.width,
                1 - base / height,
                line,
                color=look.colour,
                fontproperties=look.font(),
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
