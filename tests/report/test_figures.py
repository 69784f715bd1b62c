"""What the figures draw, from plain values, however broken."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from segdoctor.core.errors import UserError
from segdoctor.core.trial_facts import Picture
from segdoctor.measures.drawing import voc_palette
from segdoctor.report import charts, pictures
from segdoctor.report.canvas import LIGHT, blank, drawing, svg
from segdoctor.report.figures import figures
from segdoctor.report.histogram import class_shares
from segdoctor.report.one_page import one_page_png
from segdoctor.report.report import Report
from segdoctor.report.sheet import Look, width_of, wrapped

Make = Callable[[str], Report]


def _axes():
    return blank(4, 3).add_subplot()


def test_each_kind_of_report_has_its_figures(make_report: Make) -> None:
    names = {n: [d.slug for d in figures(make_report(n))] for n in ("sick", "scan", "inspect")}
    assert names["sick"] == ["loss", "miou", "histogram", "gradients", "batch_norms"]
    assert names["scan"] == ["histogram"]
    assert names["inspect"] == []
    assert all(d.light and d.dark and d.light != d.dark for d in figures(make_report("sick")))


def test_a_given_reason_is_shown() -> None:
    report = Report("check", "m", 0, measured={"absent": {"gradients": "the loss raises"}})
    missing = {drawn.slug: drawn.missing for drawn in figures(report)}
    assert missing["gradients"] == "the loss raises"
    assert missing["loss"] == "no trial was run"


def test_broken_numbers_are_drawn_around(make_report: Make) -> None:
    assert [drawn.slug for drawn in figures(make_report("hostile")) if drawn.missing] == []


def test_the_users_settings_are_left_alone_and_have_no_effect(make_report: Make) -> None:
    before = figures(make_report("sick"))
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "axes.facecolor": "red"}):
        assert figures(make_report("sick")) == before
        assert matplotlib.rcParams["font.size"] == 30
        assert matplotlib.rcParams["text.usetex"]


def test_curves_have_the_ceiling_and_the_constant_predictor(make_report: Make) -> None:
    with drawing():
        axes = _axes()
        charts.draw_miou(axes, make_report("sick").trials, LIGHT)
    levels = {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() != "-"}
    assert {0.94, 0.18} <= levels
    assert {text.get_text() for text in axes.texts} == {"ceiling", "best constant predictor"}
    names = [text.get_text().strip() for text in axes.get_legend().get_texts()]
    assert names[:3] == ["as it is", "with IGN001", "with IGN001 and BN001"]


def test_a_loss_that_ceases_to_be_finite_says_from_when(make_report: Make) -> None:
    run = make_report("sick").trials[0]
    broken = type(run)(
        **{
            **{name: getattr(run, name) for name in run.__slots__},
            "curve": ((0, 3.0, None), (1, 2.0, None), (2, math.nan, None)),
        }
    )
    with drawing():
        axes = _axes()
        charts.draw_loss(axes, (broken,), LIGHT)
    assert "not finite at step 2" in axes.get_legend().get_texts()[0].get_text()


def test_missing_zero_and_frozen_gradients_are_marked() -> None:
    row = {"layer": "l", "variable": "kernel", "weight_norm": 1.0, "trainable": True}
    rows = [
        {**row, "depth": 0.1, "norm": 1e-3},
        {**row, "depth": 0.1, "norm": 1e-9, "variable": "beta"},
        {**row, "depth": 0.2, "norm": None},
        {**row, "depth": 0.3, "norm": 0.0},
        {**row, "depth": 0.4, "norm": math.nan},
        {**row, "depth": 0.5, "norm": 1e-2, "trainable": False},
        {**row, "depth": 0.6, "norm": None, "trainable": False},
    ]
    with drawing():
        axes = _axes()
        charts.draw_gradients(axes, rows, LIGHT)
        svg(axes.figure)
    names = {text.get_text().strip() for text in axes.get_legend().get_texts()}
    assert names == {
        "kernels that train (1)",
        "gamma, beta, bias (1)",
        "frozen (1)",
        "no path (gradient None) (1)",
        "exactly zero (1)",
        "not finite (1)",
    }
    assert axes.get_yscale() == "log"


def test_the_ends_of_blocks_are_a_line_beside_the_variables() -> None:
    row = {"layer": "l", "variable": "kernel", "depth": 0.5, "norm": 1e-3, "trainable": True}
    blocks = [
        {"layer": f"add{i}", "depth": depth, "activation": 1.0, "gradient": gradient}
        for i, (depth, gradient) in enumerate(((0.9, 1e-2), (0.3, 1e-4), (0.1, None), (0.6, 0.0)))
    ]
    with drawing():
        axes = _axes()
        charts.draw_gradients(axes, [row], LIGHT, blocks)
    (line,) = axes.get_lines()
    assert line.get_xydata().tolist() == [[0.3, 1e-4], [0.9, 1e-2]]
    assert axes.get_yscale() == "log"


def test_batch_norms_say_which_statistics_were_used(make_report: Make) -> None:
    with drawing():
        upper, lower = blank(4, 3).subplots(2, 1, sharex=True)
        charts.draw_batch_norms(upper, lower, make_report("sick").measured["batch_norms"], LIGHT)
    names = [text.get_text().strip() for text in lower.get_legend().get_texts()]
    assert names[0] == "frozen, yet on batch statistics (12)"
    assert len(names) == 3


def test_shares_are_of_all_pixels_void_is_last_and_the_rest_is_summed() -> None:
    rows = class_shares({"0": 70, "255": 10, "15": 20, "x": 5, "3": 0}, {"15": "person"}, 255)
    assert rows == [(0, "", 0.7), (15, "person", 0.2), (255, "void", 0.1)]
    assert class_shares({}, {}, 255) == []
    many = class_shares({str(i): i + 1 for i in range(60)} | {"255": 1}, {}, 255)
    assert many[-1][:2] == (-1, "37 further ids")
    assert any(row[0] == 255 for row in many)
    assert sum(share for _, _, share in many) == pytest.approx(1.0)


def test_labels_have_their_colours_and_void_is_hatched() -> None:
    label = np.zeros((20, 30), dtype=np.uint8)
    label[:10, :10], label[:, 25:] = 15, 255
    image = np.full((20, 30, 3), 77, dtype=np.uint8)
    report = Report("check", "m", 0, pictures=(Picture("p", image, label, {"a": label % 20}),))
    (row,) = pictures.rows(report)
    assert [tile.caption for tile in row.tiles] == ["image", "label", "prediction: a"]
    photo, drawn = row.tiles[0].pixels, row.tiles[1].pixels
    assert drawn.shape == photo.shape == (192, 288, 3)
    assert (drawn[0, 0] == voc_palette()[15]).all()
    assert (drawn[-1, 120] == 0).all()
    assert set(np.unique(drawn[:, -8:])) == {150, 255}
    assert (photo == 77).all()
    guessed = row.tiles[2].pixels
    assert (guessed[0, 0] == voc_palette()[15]).all()
    assert (guessed[:, -8:] > 180).all()
    assert [swatch.name for swatch in pictures.key(report)] == [
        "0",
        "15",
        "void; predictions there are pale",
    ]


def test_without_a_void_label_255_is_a_class() -> None:
    label = np.full((8, 8), 255)
    picture = Picture("p", np.zeros((8, 8)), label)
    report = Report("check", "m", 0, pictures=(picture,), measured={"void": None})
    assert (pictures.rows(report)[0].tiles[1].pixels == voc_palette()[255]).all()


def test_only_the_first_and_the_last_predictions_are_shown() -> None:
    label = np.zeros((4, 4), dtype=int)
    picture = Picture("p", np.zeros((4, 4, 3)), label, {str(i): label for i in range(6)})
    (row,) = pictures.rows(Report("check", "m", 0, pictures=(picture,)))
    assert [tile.caption[-1] for tile in row.tiles[2:]] == ["0", "4", "5"]


@pytest.mark.parametrize("name", ["sick", "refused", "scan", "inspect", "hostile", "many"])
def test_one_page_is_a_picture_with_quiet_margins(make_report: Make, name: str) -> None:
    with Image.open(io.BytesIO(one_page_png(make_report(name)))) as page:
        pixels = np.asarray(page.convert("RGB"))
    assert pixels.shape[1] == 1400
    assert 300 < pixels.shape[0] < 3200
    for edge in (pixels[:, :40], pixels[:, -40:], pixels[:40], pixels[-40:]):
        assert (edge == 255).all()


def test_text_is_wrapped_to_its_width() -> None:
    look = Look(12, "black")
    lines = wrapped("words " * 60 + "x" * 300, 4.0, look, 50)
    assert all(width_of(line, look) <= 4.0 for line in lines)
    assert "".join(lines).replace(" ", "") == "words" * 60 + "x" * 300
    cut = wrapped("words " * 60, 4.0, look, 2)
    assert len(cut) == 2
    assert cut[-1].endswith(" …")


def test_a_figure_is_matplotlib_s_own(make_report) -> None:
    figure = make_report("sick").plot("loss")
    figure.axes[0].set_title("mine")
    assert figure.axes[0].get_title() == "mine"
    with pytest.raises(UserError, match=r"expected one of loss, miou, .*received 'nothing'"):
        make_report("sick").plot("nothing")
    with pytest.raises(UserError, match="plot 'loss': no trial was run"):
        replace(make_report("sick"), trials=()).plot("loss")
