"""The report as one HTML file that needs nothing else, and as a fragment for a notebook."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.trial_facts import TrialRun
from segdoctor.report import pictures
from segdoctor.report.arrangement import (
    Card,
    cards,
    class_name,
    counts,
    coverage,
    crashed,
    flat,
    headline,
    state,
    summary,
    unexamined,
    with_status,
)
from segdoctor.report.figures import Drawn, figures
from segdoctor.report.report import EXAMINED, Report
from segdoctor.report.tables import tables
from segdoctor.report.wording import number, score

# A report stays below 5 MB whatever was found; the JSON has everything.
_CARDS = 60
_MEASURES = 12
_EXPLAINED = 30
_ROWS = 400

_LOSS_WORDS = {
    "name": "the loss",
    "expects": "it expects",
    "labels": "with labels as",
    "ignores": "it ignores",
    "head": "your model gives",
    "fed": "your labels are",
    "value": "loss on the batch",
}


def to_html(report: Report) -> str:
    """The whole page: no script, no outside address, pictures as data inside the file."""
    return _render("report.html.j2", report)


def notebook_html(report: Report) -> str:
    """The same report as a fragment, its styles limited to itself, for ``_repr_html_``."""
    return _render("fragment.html.j2", report)


def _render(template: str, report: Report) -> str:
    from markupsafe import Markup

    # Our own file, nothing of the report in it: the one string that is not escaped.
    styles = Markup(_source("report.css"))
    return str(environment().get_template(template).render(styles=styles, **_context(report)))


@cache
def environment() -> Any:
    """Jinja's environment, its templates compiled once."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    made = Environment(
        loader=DictLoader({name: _source(name) for name in _TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(score=score, number=number, clean=clean)
    for name in _TEMPLATES:
        made.get_template(name)
    return made


_TEMPLATES = ("report.html.j2", "fragment.html.j2", "body.html.j2")


def _source(name: str) -> str:
    folder = resources.files("segdoctor").joinpath("report", "templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _context(report: Report) -> dict[str, Any]:
    tone, words = state(report)
    arranged = cards(report)
    drawn = figures(report)
    there = [item for item in drawn if not item.missing]
    return {
        "kind": clean(report.kind, 20),
        "subject": clean(report.subject, 300),
        "exit_code": report.exit_code,
        "tone": tone,
        "state": words,
        "headline": headline(report),
        "diagnosis": [clean(code, 16) for code in report.diagnosis or ()],
        "summary": summary(report),
        "coverage": coverage(report),
        "counts": counts(report),
        "cards": arranged[:_CARDS],
        "pages": _pages(arranged[:_CARDS]),
        "cards_left": max(0, len(arranged) - _CARDS),
        "most_measures": _MEASURES,
        "most_explained": _EXPLAINED,
        "trials": [_trial(run) for run in report.trials],
        "per_class": _per_class(report),
        "loss": _loss(report.measured.get("loss") or {}),
        "curves": [_figure(item) for item in there if item.slug in ("loss", "miou")],
        "figures": [_figure(item) for item in there if item.slug not in ("loss", "miou")],
        "not_drawn": _not_drawn(report, drawn),
        "pictures": _pictures(pictures.rows(report)),
        "pairs": _pictures(pictures.pairs(report)),
        "key": pictures.key(report),
        "tables": tables(report),
        "most_rows": _ROWS,
        "crashed": crashed(report),
        "unexamined": unexamined(report),
        "clear": with_status(report, "clear"),
        "ignored": with_status(report, "ignored"),
        "run": flat(report.run),
        "notes": [clean(note, 600) for note in report.notes],
        "versions": [(clean(n, 40), clean(v, 60)) for n, v in report.versions.items()],
        "timings": [(clean(n, 40), f"{number(s)} s") for n, s in report.timings.items()],
        "seed": report.seed,
    }


def _pages(arranged: Iterable[Card]) -> list[Card]:
    """A card of each code that is shown, for the page of the code."""
    found: dict[str, Card] = {}
    for card in arranged:
        for shown in (card, *card.explained[:_EXPLAINED]):
            found.setdefault(shown.code, shown)
    return list(found.values())


def _trial(run: TrialRun) -> dict[str, Any]:
    return {
        "name": clean(run.name, 80),
        "patch": [f"{clean(k, 80)} = {number(v)}" for k, v in run.patch.items()],
        "steps": number(run.steps),
        "loss_first": number(run.loss_first),
        "loss_last": number(run.loss_last),
        "training": score(run.miou_training),
        "inference": score(run.miou_inference),
        "ceiling": score(run.ceiling),
        "constant": score(run.constant),
        "verdict": clean(run.verdict, 120),
        "note": clean(run.note, 400),
    }


def _per_class(report: Report) -> dict[str, Any]:
    """IoU by class, one column a trial."""
    classes = dict.fromkeys(c for run in report.trials for c in run.per_class)
    return {
        "runs": [clean(run.name, 60) for run in report.trials],
        "rows": [
            (class_name(report, c), [score(run.per_class.get(c)) for run in report.trials])
            for c in list(classes)[:_ROWS]
        ],
    }


def _loss(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the loss expects beside what it is given, in the order in which one asks."""
    known = [(words, facts[key]) for key, words in _LOSS_WORDS.items() if facts.get(key)]
    further = {key: value for key, value in facts.items() if key not in _LOSS_WORDS}
    return [(words, flat({"_": value})[0][1]) for words, value in known] + list(flat(further))


def _figure(drawn: Drawn) -> dict[str, str]:
    return {
        "title": drawn.title,
        "caption": drawn.caption,
        "light": _data("image/svg+xml", drawn.light),
        "dark": _data("image/svg+xml", drawn.dark),
    }


def _not_drawn(report: Report, drawn: Iterable[Drawn]) -> list[tuple[str, list[str]]]:
    """The titles of the figures that are missing, by reason."""
    groups: dict[str, list[str]] = {}
    for item in drawn:
        if item.missing:
            groups.setdefault(item.missing, []).append(item.title)
    if report.kind in EXAMINED and not pictures.rows(report):
        why = "no trial was run" if not report.trials else "the trial kept no example"
        groups.setdefault(why, []).append("Examples before and after")
    return list(groups.items())


def _pictures(rows: Iterable[pictures.Row]) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "tiles": [
                (tile.caption, _data("image/png", pictures.png_of(tile.pixels)))
                for tile in row.tiles
            ],
        }
        for row in rows
    ]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
