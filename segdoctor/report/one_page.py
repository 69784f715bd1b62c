"""One page as PNG, for a README or a chat: diagnosis, top findings, curves, examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.report import charts, histogram, pictures, void_chart
from segdoctor.report.arrangement import (
    Card,
    cards,
    class_name,
    coverage,
    headline,
    state,
    summary,
)
from segdoctor.report.canvas import LIGHT, drawing, png
from segdoctor.report.report import Report
from segdoctor.report.sheet import Look, Sheet, width_of

_WIDTH, _MARGIN = 10.0, 0.55
_CARDS = 3
_ROWS = 2
_TONES = {"error": "#a8301a", "warning": "#7d5700", "info": "#1d5f8f", "ok": "#1b6b43"}
_STATUS = {"confirmed": "ok", "refuted": "error", "inconclusive": "warning"}

_MONO = Look(10, LIGHT.muted, mono=True)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A chart of the page; ``indent``, ``tall`` and ``below`` (for its legend) are inches."""

    title: str
    fill: Callable[[Any], None]
    tall: float = 2.3
    indent: float = 0.55
    below: float = 0.6


def one_page_png(report: Report) -> bytes:
    """The report at a glance, 1400 pixels wide and as tall as it needs to be.

    A panel that cannot be drawn is left out; the HTML says why.
    """
    with drawing():
        return png(_page(report).figure(LIGHT.paper), dpi=140)


def _quiet(size: float) -> Look:
    return Look(size, LIGHT.muted)


def _bold(size: float, colour: str = LIGHT.ink) -> Look:
    return Look(size, colour, bold=True)


def _page(report: Report) -> Sheet:
    page = Sheet(_WIDTH, _MARGIN, down=_MARGIN - 0.1)
    tone, words = state(report)
    across = page.text(f"segdoctor {clean(report.kind)}", _bold(10), advance=False)
    page.text(clean(report.subject, 120), _MONO, left=across + 0.16, most=1)
    page.space(0.2)
    page.text(words.capitalize(), _bold(12, _TONES[tone]))
    page.text(headline(report), _bold(18), most=6)
    page.space(0.05)
    page.text(" · ".join(summary(report)), _quiet(11))
    page.space(0.2)
    arranged = cards(report)
    for place, card in enumerate(arranged[:_CARDS], start=1):
        _card(page, place, card)
    if len(arranged) > _CARDS:
        rest = ", ".join(dict.fromkeys(card.code for card in arranged[_CARDS:]))
        page.rule(LIGHT.grid)
        page.space(0.12)
        page.text(f"and {len(arranged) - _CARDS} more: {rest}", _quiet(11), most=2)
        page.space(0.14)
    _panels(page, report)
    _void_trail(page, report)
    _examples(page, report)
    page.rule(LIGHT.grid)
    page.space(0.12)
    versions = " · ".join(f"{clean(n, 30)} {clean(v, 30)}" for n, v in report.versions.items())
    facts = (" · ".join(coverage(report)), versions, f"seed {report.seed}")
    page.text(" · ".join(fact for fact in facts if fact), _quiet(9), most=2)
    return page


def _card(page: Sheet, place: int, card: Card) -> None:
    page.rule(LIGHT.grid)
    page.space(0.13)
    indent = 0.38
    page.text(str(place), _quiet(13), advance=False)
    page.text(card.severity, _bold(11, _TONES[card.severity]), right=True, advance=False)
    code = Look(13, LIGHT.ink, bold=True, mono=True)
    across = page.text(card.code, code, left=indent, advance=False)
    page.text(card.slug, _bold(13), left=indent + across + 0.14, width=6.4, most=1)
    page.space(0.03)
    page.text(card.message, Look(12, LIGHT.ink), left=indent)
    page.space(0.05)
    for measure in card.measures[:2]:
        left = indent
        for text, look in (
            (measure.name, _quiet(11.5)),
            (measure.value, _bold(11.5)),
            (f"limit {measure.limit}" if measure.limit else "", _quiet(11.5)),
            (measure.where, _MONO),
        ):
            room = min(page.inner - left, 4.4)
            if text and room > 0.8:
                across = page.text(text, look, left=left, width=room, most=1, advance=False)
                left += across + 0.14
        page.space(0.235)
    if card.verdict_status:
        look = _bold(11.5, _TONES[_STATUS[card.verdict_status]])
        across = page.text(card.verdict, look, left=indent, advance=False)
        reason = Look(11.5, LIGHT.ink)
        page.text(card.verdict_reason, reason, left=indent + across + 0.12, most=2)
    if card.explained:
        explained = ", ".join(dict.fromkeys(below.code for below in card.explained))
        page.text(f"explains {explained}", _quiet(11), left=indent, most=1)
    page.space(0.15)


def _panels(page: Sheet, report: Report) -> None:
    """The two charts that say most: the trial's, else what was measured."""
    if any(run.curve for run in report.trials):
        below = 0.55 + 0.19 * (min(len(report.trials), 6) + 1)
        found = [
            _Panel(
                "Loss in the trial",
                lambda axes: charts.draw_loss(axes, report.trials, LIGHT),
                below=below,
            ),
            _Panel(
                "mIoU in the trial",
                lambda axes: charts.draw_miou(axes, report.trials, LIGHT),
                below=below,
            ),
        ]
    else:
        found = _measured_panels(report)
    if not found:
        return
    page.rule(LIGHT.grid)
    page.space(0.16)
    width = (page.inner - 0.5) / 2
    for place, panel in enumerate(found):
        page.text(panel.title, _bold(12), left=place * (width + 0.5), advance=False)
    page.space(0.36)
    for place, panel in enumerate(found):
        left = place * (width + 0.5) + panel.indent
        page.axes(left, width - panel.indent - 0.05, panel.tall, _guarded(panel.fill))
    page.space(max(panel.tall + panel.below for panel in found))


def _void_trail(page: Sheet, report: Report) -> None:
    stations = report.measured.get("void_trail")
    if not stations:
        return
    page.rule(LIGHT.grid)
    page.space(0.16)
    page.text("The void trail", _bold(12), advance=False)
    page.space(0.34)
    tall = void_chart.ROW * len(stations)
    page.axes(
        0.0,
        0.7 * page.inner,
        tall,
        _guarded(lambda a: void_chart.draw_void_trail(a, stations, LIGHT)),
    )
    page.space(tall + 0.16)


def _measured_panels(report: Report) -> list[_Panel]:
    found = []
    void, pixels = pictures.void_label(report), report.measured.get("histogram") or {}
    names = {str(i): class_name(report, i) for i in pixels}
    rows = histogram.class_shares(pixels, {i: n for i, n in names.items() if n != i}, void)
    colours, gradients = pictures.class_colours(), report.measured.get("gradients")
    if rows:
        found.append(
            _Panel(
                "What the masks hold",
                lambda axes: histogram.draw_histogram(axes, rows, colours, void, LIGHT),
                tall=0.24 * len(rows) + 0.1,
                indent=1.1,
                below=0.2,
            )
        )
    if gradients:
        found.append(
            _Panel(
                "Gradients along the network",
                lambda axes: charts.draw_gradients(
                    axes, gradients, LIGHT, report.measured.get("blocks") or ()
                ),
                below=0.9,
            )
        )
    return found


def _guarded(fill: Callable[[Any], None]) -> Callable[[Any], None]:
    def filled(axes: Any) -> None:
        try:
            fill(axes)
        except Exception:  # noqa: BLE001 - a drawing must not cost the page; the HTML says why
            axes.clear()
            axes.set_axis_off()

    return filled


def _examples(page: Sheet, report: Report) -> None:
    """The first examples: image, label, and the first and the last prediction."""
    rows = [
        (row.tiles if len(row.tiles) <= 4 else (*row.tiles[:3], row.tiles[-1]))
        for row in (*pictures.pairs(report, _ROWS), *pictures.rows(report, _ROWS))
    ]
    if not rows:
        return
    page.rule(LIGHT.grid)
    page.space(0.16)
    gap = 0.14
    width = (page.inner - 3 * gap) / 4
    for tiles in rows:
        for place, tile in enumerate(tiles):
            left = place * (width + gap)
            caption = tile.caption.removeprefix("prediction: ")
            page.text(caption, _quiet(10), left=left, width=width, most=1, advance=False)
        page.space(0.24)
        heights = [width * tile.pixels.shape[0] / tile.pixels.shape[1] for tile in tiles]
        for place, tile in enumerate(tiles):
            tall = min(heights[place], 1.4 * width)
            page.axes(place * (width + gap), width, tall, _image(tile.pixels))
        page.space(min(max(heights), 1.4 * width) + 0.12)
    _key(page, report)
    page.space(0.16)


def _image(pixels: Any) -> Callable[[Any], None]:
    def fill(axes: Any) -> None:
        axes.imshow(pixels, interpolation="antialiased")
        axes.set_axis_off()

    return fill


def _key(page: Sheet, report: Report) -> None:
    left = 0.0
    for swatch in pictures.key(report, _ROWS):
        name = clean(swatch.name, 36)
        wide = 0.2 + width_of(name, _quiet(10)) + 0.22
        if left + wide > page.inner:
            page.space(0.24)
            left = 0.0
        page.axes(left, 0.13, 0.175, _swatch(swatch.colour))
        page.text(name, Look(10, LIGHT.ink), left=left + 0.2, most=1, advance=False)
        left += wide
    page.space(0.24 if not math.isclose(left, 0.0) else 0.0)


def _swatch(colour: str) -> Callable[[Any], None]:
    def fill(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1.346))
        axes.add_patch(
            Rectangle(
                (0.02, 0.02),
                0.96,
                0.96,
                facecolor=colour or "white",
                edgecolor=LIGHT.muted,
                linewidth=0.7,
                hatch=None if colour else "/////",
            )
        )

    return fill
