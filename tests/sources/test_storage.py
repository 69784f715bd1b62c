"""Data sets behind a URL: what is read of them is what is read of the same files on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from segdoctor.core.errors import UserError
from segdoctor.sources.voc import make_batch, scan, scan_folder, small_copies, storage

from .folders import voc

fsspec = pytest.importorskip("fsspec")
URL = "memory://sets/voc"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A VOC folder with a broken, an empty and a missing file; the same in memory."""
    root = voc(tmp_path / "voc", 12)
    (root / "JPEGImages" / "0003.jpg").write_bytes(b"")
    (root / "JPEGImages" / "0004.jpg").write_bytes(b"no image")
    (root / "SegmentationClass" / "0007.png").unlink()
    memory = fsspec.filesystem("memory")
    memory.put(os.fspath(root), "/sets/voc", recursive=True)
    yield root
    memory.rm("/sets", recursive=True)


def test_a_url_is_read_as_the_folder_is(folder: Path) -> None:
    on_disk, away = scan_folder(folder), scan_folder(URL)
    assert away.histogram == on_disk.histogram
    assert away.splits == on_disk.splits
    assert away.layout == on_disk.layout
    assert away.pixels == tuple(
        replace(facts, path=facts.path.replace(os.fspath(folder), URL)) for facts in on_disk.pixels
    )
    assert [(p.code, p.reason) for p in away.problems] == [
        (p.code, p.reason) for p in on_disk.problems
    ]
    assert all(problem.path.startswith(URL) for problem in away.problems)


@pytest.mark.parametrize("given", ["memory://sets", URL, f"{URL}/", f"{URL}/JPEGImages"])
def test_the_layout_is_found_from_above_and_below(given: str, folder: Path) -> None:
    assert len(scan_folder(given).pairs) == 12


def test_a_batch_is_drawn_from_a_url(folder: Path) -> None:
    batch = make_batch(scan_folder(URL), size=(10, 12), count=3, num_classes=2)
    assert batch.x.shape == (3, 10, 12, 3)


def test_a_list_of_pairs_behind_a_url(folder: Path) -> None:
    lines = "".join(f"JPEGImages/{i:04d}.jpg,SegmentationClass/{i:04d}.png\n" for i in range(3))
    with fsspec.open(f"{URL}/pairs.csv", "w") as file:
        file.write(lines)
    assert len(scan_folder(URL, pairs="pairs.csv").masks) == 3


@pytest.mark.parametrize(
    ("given", "reason"),
    [("memory://nowhere", "does not exist"), ("nonsense://a/b", "cannot be read")],
)
def test_what_is_not_there_is_one_line(given: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        scan_folder(given)
    assert "\n" not in str(caught.value)


def test_a_url_is_not_read_twice_unless_it_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_SAMPLE", 2)
    cache = os.fspath(tmp_path / "out")
    first = scan_folder(URL, cache=cache)
    second = scan_folder(URL, cache=cache)
    assert second.histogram == first.histogram
    assert "10 of 12 pairs are as they were" in second.notes[-1]
    with fsspec.open(f"{URL}/JPEGImages/0005.jpg", "wb") as file:
        file.write(b"no image")
    third = scan_folder(URL, cache=cache)
    assert sum("0005" in problem.path for problem in third.problems) == 1


def test_what_says_nothing_of_changes_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_CHANGES", ())
    assert storage.version_of(f"{URL}/JPEGImages/0005.jpg") is None
    assert storage.version_of(f"{URL}/nowhere") is None


def test_the_files_of_batches_may_lie_behind_a_url(folder: Path) -> None:
    copies = small_copies(URL)
    assert copies.keys.shape[1:] == (32, 32)
    ids = copies.ids(0)
    assert ids is not None
    assert set(ids.ravel().tolist()) == {0, 1, 255}
