"""Images and masks further down: pairs of folders that only names tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdoctor.core.data_facts import ScanFacts
from segdoctor.sources.voc import DataFolderError, scan_folder

from .folders import image, mask, plain

PLACES = {
    "patients whose slices have the same names": (
        "patient_{p}/images/slice_{i}.png",
        "patient_{p}/masks/slice_{i}.png",
        (),
    ),
    "below a package, masks further down": (
        "images/10k/train/{p}-{i}.jpg",
        "labels/sem_seg/masks/train/{p}-{i}.png",
        ("labels/sem_seg/colormaps/train/{p}-{i}.png",),
    ),
    "a district within each split": (
        "Train/D{p}/images_png/{p}{i}.png",
        "Train/D{p}/masks_png/{p}{i}.png",
        (),
    ),
    "a labelling tool's two kinds of masks": (
        "ds{p}/img/{i}.jpg",
        "ds{p}/masks_machine/{i}.png",
        ("ds{p}/masks_human/{i}.png", "ds{p}/ann/{i}.jpg.json"),
    ),
}


def complete(facts: ScanFacts) -> int:
    return sum(pair.image is not None and pair.mask is not None for pair in facts.pairs)


@pytest.mark.parametrize("name", PLACES)
def test_pairs_of_folders(name: str, tmp_path: Path) -> None:
    of_images, of_masks, others = PLACES[name]
    for p in range(3):
        for i in range(2):
            image(tmp_path / of_images.format(p=p, i=i), seed=2 * p + i)
            mask(tmp_path / of_masks.format(p=p, i=i))
            for other in (place.format(p=p, i=i) for place in others):
                if other.endswith(".png"):
                    image(tmp_path / other)
                else:
                    (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
                    (tmp_path / other).write_text("{}")
    facts = scan_folder(tmp_path)
    assert (complete(facts), len(facts.pairs), facts.problems) == (6, 6, ())
    wanted = {str(tmp_path / of_masks.format(p=p, i=i)) for p in range(3) for i in range(2)}
    assert {str(pair.mask) for pair in facts.pairs} == wanted


def test_a_mask_that_is_missing_further_down(tmp_path: Path) -> None:
    for p in range(3):
        for i in range(3):
            image(tmp_path / f"p{p}" / "images" / f"{i}.png", seed=3 * p + i)
            mask(tmp_path / f"p{p}" / "masks" / f"{i}.png")
    (tmp_path / "p1" / "masks" / "2.png").unlink()
    facts = scan_folder(tmp_path)
    assert [problem.code for problem in facts.problems] == ["DATA001"]
    assert "p1" in facts.problems[0].path


def test_two_sets_side_by_side_are_not_taken_for_one(tmp_path: Path) -> None:
    for name in ("first", "second"):
        plain(tmp_path / name)
    facts = scan_folder(tmp_path)
    assert complete(facts) == 3
    assert any("also found and left out" in note for note in facts.notes)


def test_names_that_do_not_fit_are_no_pairs(tmp_path: Path) -> None:
    for i in range(4):  # a mask for each object, under a name of its own
        image(tmp_path / f"id{i}" / "pictures_of_it" / f"{i}.png")
        mask(tmp_path / f"id{i}" / "masks_of_it" / f"x{i}.png")
    with pytest.raises(DataFolderError):
        scan_folder(tmp_path)


APART = {
    "endings of both": ("training/images/{i}_training.tif", "training/labels/{i}_manual1.png"),
    "an ending of the masks": ("images/0001TP_{i}.png", "labels/0001TP_{i}_P.png"),
    "other words at the end": ("2_Ortho_RGB/top_{i}_RGB.tif", "5_Labels_all/top_{i}_class.tif"),
    "an ending of its own in one folder": ("eye_{i}L.jpg", "eye_{i}L_1stHO.png"),
    "beginnings in one folder": ("img{i:03d}.png", "gt{i:03d}.png"),
    "short words": ("imgs/img_{i}.jpg", "msks/mask_{i}.png"),
    "the original beside the truth": ("Original/{i}.tif", "Ground Truth/{i}.tif"),
    "a package of a package": (
        "leftImg8bit_trainvaltest/leftImg8bit/train/ulm/ulm_{i}_leftImg8bit.png",
        "gtFine_trainvaltest/gtFine/train/ulm/ulm_{i}_gtFine_labelIds.png",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_names_that_have_an_affix_in_common(name: str, tmp_path: Path) -> None:
    of_images, of_masks = APART[name]
    for i in (8, 9, 10, 21):
        image(tmp_path / of_images.format(i=i), seed=i)
        mask(tmp_path / of_masks.format(i=i))
    facts = scan_folder(tmp_path)
    assert (complete(facts), len(facts.pairs), facts.problems) == (4, 4, ())
    assert {(str(pair.image), str(pair.mask)) for pair in facts.pairs} == {
        tuple(str(tmp_path / place.format(i=i)) for place in APART[name]) for i in (8, 9, 10, 21)
    }


def test_pictures_alone_are_no_pairs(tmp_path: Path) -> None:
    for i in range(4):  # augmented copies
        image(tmp_path / f"{i}.jpg")
        image(tmp_path / f"{i}_flip.jpg")
    with pytest.raises(DataFolderError):
        scan_folder(tmp_path)


def test_lists_beside_two_folders_are_followed(tmp_path: Path) -> None:
    plain(tmp_path, 6)
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    (tmp_path / "train_log.txt").write_text("loss " * 5000)
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfimages/0.png\r\n1.png\r\n2\r\n9\r\n")
    (tmp_path / "val.txt").write_text("2\n3\n")
    facts = scan_folder(tmp_path)
    assert [pair.stem for pair in facts.trained_on] == ["0", "1", "2", "9"]
    assert [
        (problem.code, "listed in train.txt" in problem.reason) for problem in facts.problems
    ] == [("DATA001", True)]
    assert [overlap.stem for overlap in facts.overlaps if overlap.by == "name"] == ["2"]


def test_a_list_of_other_files_is_left_out(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    facts = scan_folder(tmp_path)
    assert (complete(facts), facts.problems) == (3, ())
    assert any("train.txt was left out: 0 of its 3 lines" in note for note in facts.notes)


def test_outlines_in_a_text_are_told(tmp_path: Path) -> None:
    for i in range(2):
        image(tmp_path / "images" / f"{i}.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances.json").write_text("{}")
    with pytest.raises(DataFolderError, match=r"1 \.json files: outlines that stand in a text"):
        scan_folder(tmp_path)
    image(tmp_path / "alone" / "1.jpg")
    (tmp_path / "alone" / "1.json").write_text("{}")
    with pytest.raises(DataFolderError, match=r"1 \.json files"):
        scan_folder(tmp_path / "alone")
