"""Changed masks, beside drawn ones whose ids are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdoctor.core.errors import UserError
from segdoctor.measures.drawing import voc_palette, write_voc_folder
from segdoctor.measures.palettes import luminances
from segdoctor.measures.void_ring import restored
from segdoctor.remedy.masks import FOLDER, LIST, write_masks
from segdoctor.sources.voc import scan_folder

CLASSES = 6


def quiet(stage: str, done: int | None = None, total: int | None = None) -> None:
    """No one looks."""


def grey(ids: Any) -> Any:
    table = np.zeros(256, np.uint8)
    for label, value in luminances().items():
        table[label] = value
    return table[ids]


CASES: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
    (lambda ids: np.where(ids == 255, 255, ids + 1), {"labels.shift": -1}),
    (lambda ids: voc_palette()[ids], {"labels.decode": "palette"}),
    (grey, {"labels.decode": "palette"}),
    (lambda ids: np.where(ids == 255, 255, ids * 40), {"labels.scale": 1 / 40}),
]


def folder_of(path: Path, change: Callable[[Any], Any]) -> tuple[Path, dict[str, Any]]:
    folder = write_voc_folder(path, 6, 2, size=(96, 96), classes=CLASSES, seed=0)
    truth = {}
    for mask in (folder / "SegmentationClass").iterdir():
        truth[mask.stem] = np.asarray(Image.open(mask))
        Image.fromarray(change(truth[mask.stem]).astype(np.uint8)).save(mask)
    return folder, truth


@pytest.mark.parametrize(
    ("change", "patch"), CASES, ids=lambda v: str(v) if isinstance(v, dict) else "masks"
)
def test_the_ids_are_those_that_were_drawn(
    tmp_path: Path, change: Callable[[Any], Any], patch: dict[str, Any]
) -> None:
    folder, truth = folder_of(tmp_path / "voc", change)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    scan = scan_folder(folder)
    target = tmp_path / "fixed"
    count, left_out = write_masks(scan, patch, target, str(folder), 255, quiet)
    assert (count, left_out) == (8, [])
    for stem, ids in truth.items():
        with Image.open(target / FOLDER / f"{stem}.png") as picture:
            assert picture.mode == "L"  # every loader reads ids
            np.testing.assert_array_equal(np.asarray(picture), ids)
    assert {p: p.read_bytes() for p in before} == before
    for again in (
        scan_folder(folder, masks=str(target / FOLDER)),
        scan_folder(folder, pairs=str(target / LIST)),
    ):
        assert (len(again.pairs), again.problems) == (8, ())
        assert set(again.histogram) == {*range(CLASSES), 255}
        assert len(again.splits["train"]) == 6


def test_void_is_given_back_where_it_was_folded_into_a_class() -> None:
    ids = np.zeros((96, 96), np.uint8)
    ids[20:60, 20:60] = 255
    ids[23:57, 23:57] = 3
    ids[70:90, 70:90] = 5  # a real object of the class that void became
    clipped = np.where(ids == 255, 5, ids)
    again = restored(clipped, 5, 255)
    ring, solid = ids == 255, ids == 5
    assert (again[ring] == 255).all()
    assert (again[solid] == 5).all()
    assert (again[(ids == 3) | (ids == 0)] == ids[(ids == 3) | (ids == 0)]).all()
    np.testing.assert_array_equal(restored(ids, 5, 255), ids)  # it has void: not touched
    np.testing.assert_array_equal(restored(clipped, 4, 255), clipped)


def test_what_cannot_be_read_is_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "voc", lambda ids: np.where(ids == 255, 9, ids + 1))
    scan = scan_folder(folder)
    victim = Path(str(scan.pairs[0].mask))
    victim.write_bytes(b"")
    target = tmp_path / "fixed"
    count, left_out = write_masks(scan, {"labels.shift": -1}, target, str(folder), None, quiet)
    assert count == 7
    assert victim.name in left_out[0]
    with pytest.raises(UserError, match="nothing is overwritten"):
        write_masks(scan, {"labels.shift": -1}, target, str(folder), None, quiet)

    def interrupted(stage: str, done: int | None = None, total: int | None = None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_masks(scan, {"labels.shift": -1}, tmp_path / "b", str(folder), None, interrupted)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fixed", "voc"]
