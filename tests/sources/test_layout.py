"""Which folders hold what: the layouts that people have, and what is said where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segdoctor.core.errors import UserError
from segdoctor.sources.voc.layout import DataFolderError, find_layout


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


VOC = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")


@pytest.mark.parametrize(
    "below",
    ["", "JPEGImages", "SegmentationClass", "ImageSets", "ImageSets/Segmentation"],
)
@pytest.mark.parametrize("above", ["VOC2012", "VOCdevkit/VOC2012"])
def test_voc_is_found_from_anywhere(tmp_path: Path, above: str, below: str) -> None:
    root = folders(tmp_path / above, *VOC)
    for given in (root / below, tmp_path):
        layout = find_layout(given)
        assert layout.kind == "voc"
        assert os.path.samefile(layout.root, root)
        assert os.path.samefile(layout.parts[0].masks, root / "SegmentationClass")
        assert layout.lists is not None


def test_masks_choose_the_folder(tmp_path: Path) -> None:
    root = folders(tmp_path, *VOC, "SegmentationClassAug")
    layout = find_layout(root, masks="SegmentationClassAug")
    assert layout.parts[0].masks.endswith("SegmentationClassAug")
    assert "SegmentationClassAug" in layout.words
    assert find_layout(root, masks=str(root / "SegmentationClassAug")) == layout


def test_the_newer_of_two_vocs_is_taken_and_said(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        folders(tmp_path / year, *VOC)
    layout = find_layout(tmp_path)
    assert layout.root.endswith("VOC2012")
    assert "VOC2007" in layout.notes[0]


@pytest.mark.parametrize("images", ["images", "imgs", "Images", "img"])
@pytest.mark.parametrize("masks", ["masks", "labels", "annotations", "Masks"])
def test_plain_folders(tmp_path: Path, images: str, masks: str) -> None:
    layout = find_layout(folders(tmp_path, images, masks))
    assert layout.kind == "folders"
    assert layout.parts[0].images.endswith(images)
    assert layout.parts[0].masks.endswith(masks)
    assert layout.lists is None


@pytest.mark.parametrize(
    "names",
    [
        ("images/train", "images/val", "masks/train", "masks/val"),
        ("images/training", "images/validation", "annotations/training", "annotations/validation"),
        ("train/images", "train/masks", "val/images", "val/masks"),
        ("train", "trainannot", "val", "valannot"),
        ("train", "train_masks", "valid", "valid_masks"),
    ],
)
def test_splits_in_folders(tmp_path: Path, names: tuple[str, ...]) -> None:
    layout = find_layout(folders(tmp_path, *names))
    assert [part.split for part in layout.parts] == ["train", "val"]


def test_pets_keep_their_masks_one_deeper(tmp_path: Path) -> None:
    layout = find_layout(folders(tmp_path, "images", "annotations/trimaps", "annotations/xmls"))
    assert layout.parts[0].masks.endswith("trimaps")


def test_what_is_said_where_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    empty = folders(tmp_path, "empty") / "empty"
    no_masks = folders(tmp_path / "no_masks", "JPEGImages", "Annotations2")
    other = folders(tmp_path / "other", "cats", "dogs")
    for given, words in (
        (tmp_path / "absent", "does not exist"),
        (tmp_path / "file", "is a file"),
        (empty, "no folder at all"),
        (no_masks, "no folder of masks"),
        (other, "cats, dogs"),
    ):
        with pytest.raises(DataFolderError) as caught:
            find_layout(given)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, UserError)
    with pytest.raises(DataFolderError, match="Aug"):
        find_layout(folders(tmp_path / "voc", *VOC), masks="SegmentationClassAug")


def test_hostile_names_are_cleaned(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError) as caught:
        find_layout(tmp_path / "a\x1b[31m\nb")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataFolderError):
        find_layout(tmp_path)
