"""A second scan reads what is new; a first one that was interrupted goes on where it ended."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from segdoctor.api import scan
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.errors import UserError
from segdoctor.sources.voc import scan as scan_room
from segdoctor.sources.voc import schedule
from segdoctor.sources.voc.look import look_at
from segdoctor.sources.voc.scan import scan_folder
from segdoctor.sources.voc.seen_before import NAME

from .folders import image, mask, plain_mask, voc

COUNT = 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten of the pairs are compared with each other and so read each time."""
    monkeypatch.setattr(scan_room, "_SAMPLE", 10)
    root = voc(tmp_path / "voc", COUNT)
    (root / "JPEGImages" / "0003.jpg").write_bytes(b"no image")
    return root


def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stems that are looked at from now on."""
    stems: list[str] = []

    def counted(jobs: Any, limit: int, *rest: Any) -> Any:
        stems.extend(job.pair.stem for job in jobs)
        return look_at(jobs, limit, *rest)

    monkeypatch.setattr(schedule, "look_at", counted)
    return stems


def same(first: ScanFacts, second: ScanFacts) -> bool:
    names = ("masks", "images", "pixels", "shapes", "problems", "histogram", "alignment")
    return all(getattr(first, name) == getattr(second, name) for name in names)


@pytest.mark.parametrize("deep", [False, True])
def test_unchanged_files_are_not_read_again(
    deep: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path for path in folder.rglob("*"))
    first = scan_folder(folder, cache=os.fspath(tmp_path / "out"), deep=deep)
    stems = looked(monkeypatch)
    second = scan_folder(folder, cache=os.fspath(tmp_path / "out"), deep=deep)
    assert len(stems) == 10
    assert same(first, second)
    assert same(first, scan_folder(folder, deep=deep))
    assert f"30 of {COUNT} pairs are as they were" in second.notes[-1]
    assert second.decoded == (COUNT - 1 if deep else second.decoded)
    assert sorted(path for path in folder.rglob("*")) == before


def test_a_changed_file_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan_folder(folder, cache=os.fspath(tmp_path / "out"))
    close = {facts.stem for facts in first.pixels}
    changed = next(pair.stem for pair in first.pairs if pair.stem not in close)
    mask(folder / "SegmentationClass" / f"{changed}.png", plain_mask() * 0)
    image(folder / "JPEGImages" / f"{changed}.jpg", seed=99)
    stems = looked(monkeypatch)
    second = scan_folder(folder, cache=os.fspath(tmp_path / "out"))
    assert changed in stems
    assert len(stems) <= 11
    assert second.histogram[0] > first.histogram[0]


def test_an_interrupted_scan_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = os.fspath(tmp_path / "out")

    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    assert scan_folder(folder, cache=cache, progress=interrupt).interrupted
    stems = looked(monkeypatch)
    assert not scan_folder(folder, cache=cache).interrupted
    assert 10 <= len(stems) < COUNT


@pytest.mark.parametrize(
    "damage",
    [
        lambda held: b"no data base",
        lambda held: b"",
        # The error's own words are no text then.
        lambda held: held.replace(b"CREATE TABLE seen", b"CREATE TABL\x91 seen"),
    ],
)
def test_a_damaged_file_is_begun_anew(damage: Any, folder: Path, tmp_path: Path) -> None:
    first = scan_folder(folder, cache=os.fspath(tmp_path))
    (tmp_path / NAME).write_bytes(damage((tmp_path / NAME).read_bytes()))
    assert same(first, scan_folder(folder, cache=os.fspath(tmp_path)))


@pytest.mark.parametrize("change", ["'['", "NULL", "replace(facts, '1', '2')", "zeroblob(9)"])
def test_a_note_that_was_changed_is_none(change: str, folder: Path, tmp_path: Path) -> None:
    first = scan_folder(folder, cache=os.fspath(tmp_path))
    with sqlite3.connect(tmp_path / NAME) as base:
        base.execute(f"UPDATE seen SET facts = {change}")
    base.close()
    assert same(first, scan_folder(folder, cache=os.fspath(tmp_path)))


def test_what_is_no_file_in_its_place_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / NAME).mkdir(parents=True)
    with pytest.raises(UserError, match="expected a file of an earlier scan"):
        scan(folder, out=str(tmp_path / "out"), resume=True)


def test_it_lies_beside_the_report_and_only_where_asked(folder: Path, tmp_path: Path) -> None:
    scan(folder, out=os.fspath(tmp_path / "report"), fail_on="never")
    assert list(tmp_path.rglob(NAME)) == []
    with pytest.raises(UserError, match="--out"):
        scan(folder, resume=True)
    scan(folder, out=os.fspath(tmp_path / "report"), resume=True, fail_on="never")
    assert list(tmp_path.rglob(NAME)) == [tmp_path / "report" / NAME]


def test_ids_that_stand_together_are_counted(folder: Path) -> None:
    facts = scan_folder(folder)
    assert facts.together == {(0, 1): COUNT}
    assert (0, 255) not in facts.together
