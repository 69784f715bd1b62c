"""The HTML as a browser draws it: nothing runs out of the page at either width."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdoctor.report.html import to_html
from segdoctor.report.report import Report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAPER = (0xF4, 0xF5, 0xF3)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")


def screenshot(source: str, folder: Path, width: int, height: int) -> np.ndarray:
    page, picture = folder / "report.html", folder / "screen.png"
    page.write_text(source, encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        f"--screenshot={picture}",
        f"--window-size={width},{height}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(picture) as opened:
        return np.asarray(opened.convert("RGB"))


@pytest.mark.parametrize("name", ["sick", "hostile"])
@pytest.mark.parametrize(("width", "height"), [(1280, 4800), (390, 9000)])
def test_the_right_margin_stays_empty(
    make_report: Callable[[str], Report], tmp_path: Path, name: str, width: int, height: int
) -> None:
    pixels = screenshot(to_html(make_report(name)), tmp_path, width, height)
    assert pixels.shape[1] == width
    for edge in (pixels[:, -10:], pixels[:, :10]):
        assert (edge == PAPER).all()
    inside = (pixels[:, 10:-10] != PAPER).any(axis=2)
    assert inside.mean() > 0.02


def test_the_check_itself_sees_what_runs_out(
    make_report: Callable[[str], Report], tmp_path: Path
) -> None:
    wide = '<div style="width:2000px;height:40px;background:#000"></div>'
    source = to_html(make_report("inspect")).replace("</body>", f"{wide}</body>")
    pixels = screenshot(source, tmp_path, 390, 3000)
    assert not (pixels[:, -10:] == PAPER).all()
