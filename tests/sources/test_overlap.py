"""The same example twice: names, bytes, pictures, published lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdoctor.core.data_facts import ImageFacts, Overlap
from segdoctor.measures.drawing import write_voc_folder
from segdoctor.sources.voc import scan_folder
from segdoctor.sources.voc.overlap import same_bytes
from segdoctor.sources.voc.published import published_lists, val_names

LISTS = Path(__file__).parents[2] / ".." / "shared" / "data" / "voc_lists"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_voc_folder(tmp_path / "voc", 6, 6, size=(96, 128), seed=1)


def lists(root: Path, train: list[str], val: list[str]) -> None:
    folder = root / "ImageSets" / "Segmentation"
    for name, members in (("train", train), ("val", val)):
        (folder / f"{name}.txt").write_text("\n".join(members) + "\n")
    (folder / "trainval.txt").unlink(missing_ok=True)


def stems(start: int, end: int) -> list[str]:
    return [f"drawn_{i:06d}" for i in range(start, end)]


def copy(root: Path, source: str, target: str) -> None:
    for part, end in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        shutil.copy(root / part / f"{source}.{end}", root / part / f"{target}.{end}")


def test_separate_splits_share_nothing(root: Path) -> None:
    facts = scan_folder(root)
    assert (facts.overlaps, facts.repeated) == ((), ())


def test_by_name(root: Path) -> None:
    lists(root, stems(0, 7), stems(6, 12))
    (found,) = scan_folder(root).overlaps
    assert (found.by, found.stem, found.other_split) == ("name", "drawn_000006", "val")
    assert scan_folder(root, split="trainval").overlaps == ()


def test_a_list_given_for_validation_is_compared(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("drawn_000001\n")
    facts = scan_folder(root, val_split=str(tmp_path / "mine.txt"))
    assert [item.stem for item in facts.overlaps if item.other_split == "mine"] == ["drawn_000001"]


def test_by_bytes(root: Path) -> None:
    copy(root, "drawn_000008", "other")
    lists(root, [*stems(0, 6), "other"], stems(6, 12))
    facts = scan_folder(root)
    (found,) = facts.overlaps
    assert (found.by, found.stem, found.other_stem) == ("bytes", "other", "drawn_000008")
    assert len(facts.repeated) == 1


@pytest.mark.parametrize("how", ["coded anew", "scaled"])
def test_by_picture(root: Path, how: str) -> None:
    copy(root, "drawn_000008", "other")
    images = root / "JPEGImages"
    with Image.open(images / "drawn_000008.jpg") as image:
        pixels = image.copy()
    mask = Image.open(root / "SegmentationClass/drawn_000008.png")
    if how == "scaled":
        pixels = pixels.resize((256, 192))
        mask = mask.resize((256, 192), Image.Resampling.NEAREST)
        mask.save(root / "SegmentationClass/other.png")
    pixels.save(images / "other.jpg", quality=70)
    lists(root, [*stems(0, 6), "other"], stems(6, 12))
    (found,) = scan_folder(root).overlaps
    assert (found.by, found.stem, found.other_stem) == ("picture", "other", "drawn_000008")


def test_masks_of_one_histogram_lead_to_pictures_outside_the_sample(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdoctor.sources.voc.scan._SAMPLE", 1)
    copy(root, "drawn_000008", "other")
    with Image.open(root / "JPEGImages/drawn_000008.jpg") as image:
        image.copy().save(root / "JPEGImages/other.jpg", quality=60)
    lists(root, [*stems(0, 6), "other"], stems(6, 12))
    assert [item.by for item in scan_folder(root).overlaps] == ["picture"]


def test_the_same_name_in_two_folders_is_no_overlap(tmp_path: Path) -> None:
    """``train/1.png`` and ``val/1.png`` are counted up from one in each."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for part in ("images", "masks"):
            folder = tmp_path / split / part
            folder.mkdir(parents=True)
            for i in range(3):
                pixels = rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels if part == "images" else pixels[..., 0] % 3).save(
                    folder / f"{i}.png"
                )
    assert scan_folder(tmp_path).overlaps == ()
    shutil.copy(tmp_path / "train/images/0.png", tmp_path / "val/images/2.png")
    (found,) = scan_folder(tmp_path).overlaps
    assert found == Overlap(
        "bytes",
        "train",
        "val",
        "train/0",
        "val/2",
        str(tmp_path / "train/images/0.png"),
        str(tmp_path / "val/images/2.png"),
    )


def test_links_are_not_read(tmp_path: Path) -> None:
    images = [ImageFacts(f"{tmp_path}/absent{i}.jpg", "RGB", (1, 1), 9, (1, 7)) for i in range(3)]
    assert same_bytes(images) == [tuple(image.path for image in images)]
    apart = [ImageFacts(f"{tmp_path}/absent{i}.jpg", "RGB", (1, 1), 9, (1, i)) for i in range(3)]
    assert same_bytes(apart) == []  # cannot be read: alike to none
    assert same_bytes(images, stopped=lambda: True) == []


@pytest.mark.skipif(not LISTS.is_dir(), reason="the published lists are not at hand")
class TestPublishedLists:
    @staticmethod
    def names(name: str) -> list[str]:
        return (LISTS / f"{name}.txt").read_text().split()

    def test_each_is_recognised_by_its_content(self) -> None:
        splits = {
            "a": self.names("train"),
            "b": self.names("val")[::-1],
            "c": self.names("trainval"),
            "d": self.names("train_aug"),
            "e": self.names("val")[:-1],
        }
        assert published_lists(splits) == {
            "a": "Pascal VOC 2012 train",
            "b": "Pascal VOC 2012 val",
            "c": "Pascal VOC 2012 trainval",
            "d": "SBD train_aug",
        }

    def test_names_of_val_are_found_inside_other_lists(self) -> None:
        assert len(val_names(self.names("val"))) == 1449
        assert len(val_names(self.names("train_aug"))) <= 3  # of 10,582: three bytes a name
        assert len(val_names(self.names("trainval"))) == pytest.approx(1449, abs=2)

    def test_the_lists_themselves_are_not_shipped(self) -> None:
        package = Path(__file__).parents[2] / "segdoctor"
        some = self.names("val")[700].encode()
        assert not any(some in path.read_bytes() for path in package.rglob("*") if path.is_file())


def test_nonsense_is_no_published_list() -> None:
    assert published_lists({"a": [], "b": ["x"] * 1449}) == {}
    assert val_names(["", "x", "2007_00003", "\udce9" * 11]) == ()
