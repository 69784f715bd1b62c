"""The HTML: self-contained, escaped, in order, and small."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from segdoctor.report.html import notebook_html, to_html
from segdoctor.report.report import Report

Make = Callable[[str], Report]
NAMES = ("sick", "healthy", "refused", "scan", "inspect", "many", "hostile")
CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
VOID = {"meta", "img", "br", "source", "rect", "path", "hr", "input", "link"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; checks that what is opened is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched_and_nothing_runs(make_report: Make, name: str) -> None:
    source = to_html(make_report(name))
    page = Page(source)
    tags = [tag for tag, _ in page.elements]
    assert tags[:3] == ["html", "head", "meta"]
    assert page.elements[2][1] == {"http-equiv": "Content-Security-Policy", "content": CSP}
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(tags)
    targets = {known["id"] for _, known in page.elements if "id" in known}
    links = [known["href"] for tag, known in page.elements if tag == "a"]
    assert all(link.startswith("#page-") for link in links)  # to the page of a code, in this file
    assert {link[1:] for link in links} <= targets
    for tag, attributes in page.elements:
        assert not any(key.startswith("on") for key in attributes), tag
        for key in ("src", "srcset", "href", "action", "data", "poster"):
            assert (attributes.get(key) or "#page-").startswith(("data:image/", "#page-"))
    assert "http:" not in source
    assert "https:" not in source
    assert "url(" not in source
    assert "@import" not in source
    assert len(source.encode()) < 5_000_000
    shown = set(source) - {"\n"}
    assert not {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs")}


def test_the_pictures_inside_fetch_nothing_either(make_report: Make) -> None:
    found = re.findall(
        r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", to_html(make_report("sick"))
    )
    assert len(found) == 10
    for encoded in found:
        svg = base64.b64decode(encoded).decode()
        links = re.findall(r'href="([^"]*)"', svg) + re.findall(r"url\(([^)]*)\)", svg)
        assert all(link.startswith("#") for link in links)
        assert "<script" not in svg


def test_diagnosis_first_then_cards_then_figures(make_report: Make) -> None:
    text = Page(to_html(make_report("sick"))).text
    parts = (
        "Causes found",
        "This run does not learn because void pixels reach the loss",
        "IGN001 BN001 2 errors · 1 warning",
        "Findings",
        "1 BN001 frozen-bn-uses-batch-statistics",
        "12 layers 0 block_0/bn … block_11/bn",
        "Why A layer that is frozen",
        "When this is fine A trainable BN",
        "Fix Call the frozen backbone",
        "backbone.trainable = False",
        "Verdict confirmed, evidence removed",
        "2 IGN001 void-reaches-loss",
        "because of IGN001 LOSS002",
        "3 BN009",
        "What the trial showed",
        "as it is 60 3.04 2.61 0.21 0.04 0.94 0.18 does not learn",
        "loss.ignore_class = 255",
        "IoU per class",
        "Loss in the trial",
        "mIoU in the trial",
        "prediction: with the fixes",
        "What was measured",
        "What the loss expects, and what it is given",
        "your model gives softmax",
        "What the masks hold",
        "Gradients along the network",
        "Batch-norm statistics",
        "Not examined, because",
        "the batch size is not known (--batch-size would tell) BN002",
        "The run",
        "tensorflow 2.21.0",
        "seed 7",
        "trial 44 s",
    )
    at = 0
    for part in parts:
        at = text.find(part, at)
        assert at >= 0, f"{part!r} is not where it should be"


def test_hostile_strings_stay_text(make_report: Make) -> None:
    source = to_html(make_report("hostile"))
    page = Page(source)
    assert "<script>alert('1')</script>" in page.text
    assert "<script" not in source
    assert {tag for tag, _ in page.elements} <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "div",
            "header",
            "section",
            "article",
            "a",
        ),
        *("p", "b", "h1", "h2", "h3", "h4", "span", "table", "thead", "tbody", "tr", "th", "td"),
        *("dl", "dt", "dd", "details", "summary", "pre", "code", "ul", "li", "figure", "br"),
        *("figcaption", "picture", "source", "img", "svg", "rect", "path", "caption"),
    }


def test_what_is_not_drawn_says_why(make_report: Make) -> None:
    text = Page(to_html(make_report("refused"))).text
    assert "no trial was run Loss in the trial, mIoU in the trial, Examples" in text
    assert "gradients were not recorded Gradients along the network" in text
    assert "What the trial showed" not in text


def test_a_drawing_that_fails_costs_only_itself(
    make_report: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segdoctor.report import figures

    def broken(*_: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(figures, "draw_gradients", broken)
    text = Page(to_html(make_report("sick"))).text
    assert "drawing failed: RuntimeError: no font Gradients along the network" in text
    assert "Batch-norm statistics" in text


def test_many_findings_are_cut_and_counted(make_report: Make) -> None:
    text = Page(to_html(make_report("many"))).text
    left = len(make_report("many").findings) - 60
    assert f"{left} more findings are in report.json" in text
    assert "and 28 more in report.json" in text


def test_the_same_report_gives_the_same_page(make_report: Make) -> None:
    assert to_html(make_report("sick")) == to_html(make_report("sick"))


def test_the_notebooks_fragment_keeps_its_styles_to_itself(make_report: Make) -> None:
    source = notebook_html(make_report("scan"))
    assert make_report("scan")._repr_html_() == source
    assert "<html" not in source
    assert "<body" not in source
    styles = re.search(r"<style>(.*?)</style>", source, re.DOTALL)
    assert styles is not None
    rules = re.sub(r"@media[^{]*\{", "", styles.group(1))
    selectors = [part for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(",")]
    assert len(selectors) > 80
    assert all(part.strip().startswith(".segdoctor") for part in selectors)
    Page(source)
