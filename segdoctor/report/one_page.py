"""One page as PNG, for a README or a chat: diagnosis, top findings, curves, examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.report import charts, pictures
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
from segdoctor.report.sheet import Sheet, width_of

_WIDTH, _MARGIN = 10.0, 0.55
_CARDS = 3
_ROWS = 2
_TONES = {"error": "#a8301a", "warning": "#7d5700", "info": "#1d5f8f", "ok": "#1b6b43"}
_STATUS = {"confirmed": "ok", "refuted": "error", "inconclusive": "warning"}

Panel = tuple[str, Callable[[Any], None]]


def one_page_png(report: Report) -> bytes:
    """The report at a glance, 1400 pixels wide and as tall as it needs to be.

    A panel that cannot be drawn is left out; the HTML says why.
    """
    with drawing():
        return png(_page(report).figure(LIGHT.paper), dpi=140)


def _page(report: Report) -> Sheet:
    page = Sheet(_WIDTH, _MARGIN, down=_MARGIN - 0.1)
    tone, words = state(report)
    page.text(f"segdoctor {clean(report.kind)}", 10, LIGHT.ink, bold=True, advance=False)
    page.text(clean(report.subject, 120), 10, LIGHT.muted, left=2.0, mono=True, most=1)
    page.space(0.2)
    page.text(words.capitalize(), 12, _TONES[tone], bold=True)
    page.text(headline(report), 18, LIGHT.ink, bold=True, most=6)
    page.space(0.05)
    page.text(" · ".join(summary(report)), 11, LIGHT.muted)
    page.space(0.2)
    arranged = cards(report)
    for place, card in enumerate(arranged[:_CARDS], start=1):
        _card(page, place, card)
    if len(arranged) > _CARDS:
        rest = ", ".join(dict.fromkeys(card.code for card in arranged[_CARDS:]))
        page.rule(LIGHT.grid)
        page.space(0.12)
        page.text(f"and {len(arranged) - _CARDS} more: {rest}", 11, LIGHT.muted, most=2)
        page.space(0.14)
    _panels(page, report)
    _examples(page, report)
    page.rule(LIGHT.grid)
    page.space(0.12)
    versions = " · ".join(f"{clean(n, 30)} {clean(v, 30)}" for n, v in report.versions.items())
    facts = (" · ".join(coverage(report)), versions, f"seed {report.seed}")
    page.text(" · ".join(fact for fact in facts if fact), 9, LIGHT.muted, most=2)
    return page


def _card(page: Sheet, place: int, card: Card) -> None:
    page.rule(LIGHT.grid)
    page.space(0.13)
    indent = 0.38
    page.text(str(place), 13, LIGHT.muted, advance=False)
    page.text(card.severity, 11, _TONES[card.severity], bold=True, right=True, advance=False)
    across = page.text(card.code, 13, LIGHT.ink, left=indent, bold=True, mono=True, advance=False)
    page.text(card.slug, 13, LIGHT.ink, left=indent + across + 0.14, bold=True, width=6.4, most=1)
    page.space(0.03)
    page.text(card.message, 12, LIGHT.ink, left=indent)
    page.space(0.05)
    for measure in card.measures[:2]:
        left = indent
        limit = f"limit {measure.limit}" if measure.limit else ""
        parts = ((measure.name, False, 60), (measure.value, True, 40), (limit, False, 40))
        for text, bold, longest in parts:
            shown, colour = clean(text, longest), LIGHT.ink if bold else LIGHT.muted
            page.text(shown, 11.5, colour, left=left, bold=bold, most=1, width=9.0, advance=False)
            left += width_of(shown, 11.5, bold, False) + 0.14
        if measure.where and page.inner - left > 1.0:
            page.text(measure.where, 10, LIGHT.muted, left=left, mono=True, most=1, advance=False)
        page.space(0.235)
    if card.verdict_status:
        colour = _TONES[_STATUS[card.verdict_status]]
        across = page.text(card.verdict, 11.5, colour, left=indent, bold=True, advance=False)
        page.text(card.verdict_reason, 11.5, LIGHT.ink, left=indent + across + 0.12, most=2)
    if card.explained:
        explained = ", ".join(dict.fromkeys(below.code for below in card.explained))
        page.text(f"explains {explained}", 11, LIGHT.muted, left=indent, most=1)
    page.space(0.15)


def _panels(page: Sheet, report: Report) -> None:
    """The two charts that say most: the trial's, else what was measured."""
    found: list[Panel] = []
    if any(run.curve for run in report.trials):
        found = [
            ("Loss in the trial", lambda axes: charts.draw_loss(axes, report.trials, LIGHT)),
            ("mIoU in the trial", lambda axes: charts.draw_miou(axes, report.trials, LIGHT)),
        ]
    else:
        void = pictures.void_label(report)
        histogram = report.measured.get("histogram") or {}
        names = {str(i): class_name(report, i) for i in histogram}
        rows = charts.class_shares(
            histogram, {i: name for i, name in names.items() if name != i}, void
        )
        if 0 < len(rows) <= 12:
            colours = pictures.class_colours()
            found.append(
                (
                    "What the masks hold",
                    lambda axes: charts.draw_histogram(axes, rows, colours, void, LIGHT),
                )
            )
        gradients = report.measured.get("gradients")
        if gradients:
            found.append(
                (
                    "Gradients along the network",
                    lambda axes: charts.draw_gradients(axes, gradients, LIGHT),
                )
            )
    if not found:
        return
    page.rule(LIGHT.grid)
    page.space(0.16)
    width = (page.inner - 0.5) / 2
    for place, (title, _) in enumerate(found):
        page.text(title, 12, LIGHT.ink, left=place * (width + 0.5), bold=True, advance=False)
    page.space(0.36)
    below = 0.55 + 0.19 * (min(len(report.trials), 6) + 1 if report.trials else 2)
    for place, (_, fill) in enumerate(found):
        page.axes(place * (width + 0.5) + 0.55, width - 0.6, 2.3, _guarded(fill))
    page.space(2.3 + below)


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
        for row in pictures.rows(report, _ROWS)
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
            page.text(
                tile.caption.removeprefix("prediction: "),
                10,
                LIGHT.muted,
                left=left,
                width=width,
                most=1,
                advance=False,
            )
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
        name = clean(swatch.name, 24)
        wide = 0.2 + width_of(name, 10, False, False) + 0.22
        if left + wide > page.inner:
            page.space(0.24)
            left = 0.0
        page.axes(left, 0.13, 0.175, _swatch(swatch.colour))
        page.text(name, 10, LIGHT.ink, left=left + 0.2, most=1, advance=False)
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
