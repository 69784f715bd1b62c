"""The sums of a scan, counted as the files come: the same as by a walk, and no walk after it."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

import segdoctor
from segdoctor.cli import main
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import looked_at_masks, sums_of
from segdoctor.report.screen import written_as
from segdoctor.sources.voc import scan as scan_module
from segdoctor.sources.voc import scan_folder
from segdoctor.sources.voc.packed import Packed, PackedPairs
from tests.sources.folders import voc


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Masks of ids, of colours and of JPEG, an image turned by EXIF, a file without a partner."""
    folder = voc(tmp_path / "voc", 12)
    masks, images = folder / "SegmentationClass", sorted((folder / "JPEGImages").iterdir())
    paths = sorted(masks.iterdir())
    colours = np.random.default_rng(0).integers(0, 255, (16, 16, 3), "uint8")
    Image.fromarray(colours).save(paths[0])
    Image.fromarray(colours[..., 0]).save(paths[1].with_suffix(".jpg"))
    paths[1].unlink()
    paths[2].unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(images[3]) as image:
        image.load()
        image.save(images[3], exif=exif)
    return folder


def test_the_sums_are_those_of_a_walk(mixed: Path) -> None:
    facts = scan_folder(mixed)
    assert facts.sums is not None
    walked = sums_of(replace(facts, sums=None))
    assert facts.sums == walked
    assert walked.coloured >= 1
    assert walked.lossy == walked.turned == 1
    assert walked.complete == len(facts.pairs) - 1
    assert looked_at_masks(facts) == looked_at_masks(replace(facts, looked_at=None)) != {}


def test_no_one_walks_through_a_sound_set_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 pairs take half a second to walk through, and Ctrl-C has one second in all."""
    folder = voc(tmp_path / "voc", 12)
    facts = replace(scan_folder(folder), interrupted=True)

    def walked(self: Any) -> NoReturn:
        raise AssertionError("a walk through all files")

    def scanned(*arguments: Any, **options: Any) -> ScanFacts:
        monkeypatch.setattr(Packed, "__iter__", walked)
        monkeypatch.setattr(PackedPairs, "__iter__", walked)
        return facts

    monkeypatch.setattr("segdoctor.sources.voc.scan_folder", scanned)
    # The sample is walked through, and is small.
    facts = replace(facts, pixels=tuple(facts.pixels), shapes=tuple(facts.shapes))
    report = segdoctor.scan(folder)
    assert report.exit_code == 130
    assert not [outcome for outcome in report.outcomes if outcome.status == "crashed"]
    for kind in ("json", "sarif", "junit"):
        assert written_as(report, kind)
    assert report.save(tmp_path / "out")


def test_ctrl_c_while_the_folder_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(*arguments: Any, **options: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(scan_module, "collect_pairs", pressed)
    assert main(["scan", str(voc(tmp_path / "voc", 2)), "--out", str(tmp_path / "out")]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (
        "segdoctor: interrupted: the folder was still being listed, and nothing was examined"
    )
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no Ctrl-C")
def test_ctrl_c_while_the_report_is_made_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segdoctor.examination import static

    whole, before = static.examine_all, signal.getsignal(signal.SIGINT)

    def pressed(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return whole(*arguments, **options)

    monkeypatch.setattr(static, "examine_all", pressed)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        out = tmp_path / "out"
        assert main(["scan", str(voc(tmp_path / "voc", 2)), "--out", str(out)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert (out / "report.json").exists()
