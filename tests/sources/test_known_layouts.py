"""Published layouts, named folders, and lists of pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdoctor.core.data_facts import ScanFacts
from segdoctor.sources.voc import DataFolderError, scan_folder

from .folders import image, mask, plain, voc


def complete(facts: ScanFacts) -> int:
    return sum(pair.image is not None and pair.mask is not None for pair in facts.pairs)


def cityscapes(root: Path, kind: str) -> Path:
    for split in ("train", "val"):
        for city in ("ulm", "bonn"):
            for i in range(2):
                name = f"{city}_{i:06d}"
                image(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
                for end in {"labelIds", "instanceIds", "color", kind}:
                    mask(root / "gtFine" / split / city / f"{name}_gtFine_{end}.png")
                (root / "gtFine" / split / city / f"{name}_gtFine_polygons.json").write_text("{}")
    return root


@pytest.mark.parametrize(("kind", "void"), [("labelTrainIds", 255), ("labelIds", None)])
def test_cityscapes(tmp_path: Path, kind: str, void: int | None) -> None:
    facts = scan_folder(cityscapes(tmp_path, kind))
    assert facts.problems == ()
    assert facts.layout == f"Cityscapes ({kind}; train, val)"
    assert (complete(facts), len(facts.trained_on)) == (8, 4)
    assert facts.void == void
    assert all(f"gtFine_{kind}" in str(pair.mask) for pair in facts.pairs)


def test_camvid_as_it_comes(tmp_path: Path) -> None:
    for i in range(3):
        image(tmp_path / "701_StillsRaw_full" / f"0001TP_{i}.png")
        mask(tmp_path / "LabeledApproved_full" / f"0001TP_{i}_L.png")
    facts = scan_folder(tmp_path)
    assert (facts.layout, complete(facts), facts.problems) == ("CamVid (colour maps)", 3, ())


def test_camvid_of_segnet(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for i in range(2):
            image(tmp_path / split / f"{i}.png")
            mask(tmp_path / f"{split}annot" / f"{i}.png")
    facts = scan_folder(tmp_path)
    assert (complete(facts), len(facts.trained_on), facts.problems) == (4, 2, ())


def test_a_list_of_pairs_in_a_folder_of_no_known_layout(tmp_path: Path) -> None:
    for i in range(3):
        image(tmp_path / "rgb" / f"{i}.png")
        mask(tmp_path / "seg" / f"m{i}.png")
    (tmp_path / "readme.txt").write_text("two words\n")
    rows = "".join(f"rgb/{i}.png,seg/m{i}.png\n" for i in range(3))
    (tmp_path / "pairs.csv").write_text("image,mask\n" + rows)
    facts = scan_folder(tmp_path)
    assert (facts.layout, complete(facts), facts.problems) == ("pairs listed in pairs.csv", 3, ())


def test_ade20k(tmp_path: Path) -> None:
    root = tmp_path / "ADEChallengeData2016"
    for split in ("training", "validation"):
        for i in range(2):
            image(root / "images" / split / f"ADE_{split}_{i}.jpg")
            mask(root / "annotations" / split / f"ADE_{split}_{i}.png")
    facts = scan_folder(tmp_path)
    assert (complete(facts), facts.split, len(facts.trained_on)) == (4, "train", 2)
    assert facts.problems == ()


def test_oxford_pets(tmp_path: Path) -> None:
    names = ["Abyssinian_1", "Birman_2", "pug_3"]
    for name in names:
        image(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "annotations/trimaps" / f"{name}.png", mode="L")
    (tmp_path / "annotations/trimaps/._pug_3.png").write_bytes(b"\0\5\26\7")
    for name, members in (("trainval", names[:2]), ("test", names[2:])):
        text = "".join(f"{member} 1 1 1\n" for member in members)
        (tmp_path / f"annotations/{name}.txt").write_text(text)
    (tmp_path / "annotations/list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n")
    facts = scan_folder(tmp_path)
    assert facts.layout == "Oxford-IIIT pets (trimaps)"
    assert facts.problems == ()
    assert complete(facts) >= 2
    assert any("border" in note for note in facts.notes)


@pytest.mark.parametrize("home", ["annotations", "stuffthingmaps_trainval2017"])
def test_coco_stuff(tmp_path: Path, home: str) -> None:
    for split in ("train2017", "val2017"):
        for i in range(2):
            image(tmp_path / "images" / split / f"{i:012d}.jpg")
            mask(tmp_path / home / split / f"{i:012d}.png", mode="L")
    facts = scan_folder(tmp_path)
    assert facts.layout == "COCO-stuff pixel maps (train, val)"
    assert (complete(facts), len(facts.trained_on), facts.void) == (4, 2, 255)
    assert facts.problems == ()


def test_sbd(tmp_path: Path) -> None:
    root = tmp_path / "benchmark_RELEASE" / "dataset"
    for i in range(4):
        image(root / "img" / f"2008_00000{i}.jpg")
        mask(root / "cls" / f"2008_00000{i}.png")
    (root / "train.txt").write_text("2008_000000\n2008_000001\n")
    (root / "val.txt").write_text("2008_000002\n2008_000003\n")
    facts = scan_folder(tmp_path)
    assert facts.layout.startswith("SBD")
    assert (complete(facts), len(facts.trained_on), facts.void) == (4, 2, 255)


def test_named_folders_override_the_guess(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for i in range(3):
        image(root / "left" / f"{i}.png")
        mask(root / "right" / f"{i}.png")
    facts = scan_folder(root, images="left", masks="right")
    assert (facts.layout, complete(facts)) == ("folders left + right", 3)
    with pytest.raises(DataFolderError, match="masks' folder is needed"):
        scan_folder(root, images="left")
    with pytest.raises(DataFolderError, match="nowhere"):
        scan_folder(root, images="left", masks="nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "image,mask,split\nimages/0.png,masks/0.png,train\nimages/1.png,masks/1.png,val\n",
        "images/0.png masks/0.png\nimages/1.png masks/1.png\n",
        "images/0.png\tmasks/0.png\r\n\r\nimages/1.png\tmasks/1.png\r\n",
        "\ufeffmask;image\nmasks/0.png;images/0.png\nmasks/1.png;images/1.png\n",
        "images/0.png,masks/0.png\nimages/0.png,masks/0.png\nimages/1.png,masks/1.png\nlonely\n",
    ],
    ids=["csv", "text", "tabs", "swapped columns", "doubles"],
)
def test_a_list_of_pairs(tmp_path: Path, text: str) -> None:
    root = plain(tmp_path / "data")
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    facts = scan_folder(root, pairs=str(tmp_path / "pairs.csv"))
    assert facts.layout == "pairs listed in pairs.csv"
    assert facts.problems == ()
    assert [Path(str(pair.mask)).parts[-2:] for pair in facts.pairs] == [
        ("masks", "0.png"),
        ("masks", "1.png"),
    ]
    if "split" in text:
        assert (facts.split, [pair.stem for pair in facts.trained_on]) == ("train", ["images/0"])


def test_names_with_blanks_in_a_list(tmp_path: Path) -> None:
    image(tmp_path / "my images/a b.png")
    mask(tmp_path / "my masks/a b.png")
    (tmp_path / "list.txt").write_text("my images/a b.png my masks/a b.png\n")
    facts = scan_folder(tmp_path, pairs="list.txt")
    assert (complete(facts), facts.problems) == (1, ())


def test_what_a_list_may_not_say(tmp_path: Path) -> None:
    root = plain(tmp_path / "data")
    (root / "pairs.txt").write_text(
        "images/0.png masks/0.png\n../secret.png masks/1.png\nimages/2.png masks/absent.png\n"
    )
    facts = scan_folder(root, pairs="pairs.txt")
    reasons = [problem.reason for problem in facts.problems]
    assert len(reasons) == 2
    assert any("leads out" in reason for reason in reasons)
    assert any("there is no mask" in reason for reason in reasons)
    (root / "nonsense.txt").write_text("one\ntwo\n")
    for wrong in ("nonsense.txt", "nowhere.csv", "images"):
        with pytest.raises(DataFolderError) as caught:
            scan_folder(root, pairs=wrong)
        assert "\n" not in str(caught.value)


GUESSED = {
    "named in words": ("Training_Input/a{i}.jpg", "Training_GroundTruth/a{i}_segmentation.png"),
    "img_dir and ann_dir": ("img_dir/train/{i}.jpg", "ann_dir/train/{i}.png"),
    "a labelling tool's": ("JPEGImages/{i}.jpg", "SegmentationClassPNG/{i}.png"),
    "both in one folder": ("{i}_sat.jpg", "{i}_mask.png"),
    "both in a split's folder": ("train/{i}.jpg", "train/{i}_label.png"),
    "one name in one folder": ("{i}.jpg", "{i}.png"),
    "the image's name and another suffix": ("images/{i}.jpg", "masks/{i}.jpg.png"),
    "CamVid's ending": ("train/a{i}.png", "train_labels/a{i}_L.png"),
    "COCO-stuff inside annotations": (
        "images/train2017/{i}.jpg",
        "annotations/stuffthingmaps/train2017/{i}.png",
    ),
}


@pytest.mark.parametrize("name", GUESSED)
def test_layouts_whose_names_tell(name: str, tmp_path: Path) -> None:
    images, masks = GUESSED[name]
    for i in range(3):
        image(tmp_path / images.format(i=i))
        mask(tmp_path / masks.format(i=i))
    (tmp_path / "SegmentationClassVisualization").mkdir()
    facts = scan_folder(tmp_path)
    assert (complete(facts), facts.problems) == (3, ())


def test_annotations_that_are_no_pictures_are_no_masks(tmp_path: Path) -> None:
    image(tmp_path / "photos" / "1.jpg")
    (tmp_path / "annotations_xml").mkdir()
    (tmp_path / "annotations_xml" / "1.xml").write_text("<a/>")
    with pytest.raises(DataFolderError):
        scan_folder(tmp_path)


@pytest.mark.parametrize(
    "head",
    [
        *("", "Image,Mask", "rgb,seg", "images,masks", "photo,annotation_file", "img path,gt"),
        *("file_name,sem_seg_file_name", "Input Image,Ground Truth", '"image name","label name"'),
        *("filename,image_label", "scan,outline", "x,y"),
    ],
)
@pytest.mark.parametrize("numbered", [False, True])
def test_lists_with_all_kinds_of_heads(head: str, numbered: bool, tmp_path: Path) -> None:
    if numbered and not head:
        return
    lines = [f"{',' if numbered else ''}{head}"] if head else []
    for i in range(3):
        image(tmp_path / "a" / f"{i}.jpg")
        mask(tmp_path / "b" / f"{i}_m.png")
        lines.append(f"{f'{i},' if numbered else ''}a/{i}.jpg,b/{i}_m.png")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    facts = scan_folder(tmp_path, pairs="list.csv")
    assert (complete(facts), facts.problems) == (3, ())
    assert all("/b/" in str(pair.mask) for pair in facts.pairs)


def test_names_that_differ_in_case_alone_are_no_pair(tmp_path: Path) -> None:
    for i in range(3):
        image(tmp_path / "images" / f"IMG_{i}.jpg")
        mask(tmp_path / "masks" / f"{'img' if i else 'IMG'}_{i}.png")
    facts = scan_folder(tmp_path)
    assert [problem.code for problem in facts.problems] == ["DATA001"] * 4
    assert "upper and lower case only" in facts.problems[0].reason
    (tmp_path / "masks" / "IMG_0.png").rename(tmp_path / "masks" / "img_0.png")
    with pytest.raises(DataFolderError, match="3 names differ in upper and lower case only"):
        scan_folder(tmp_path)


@pytest.mark.parametrize("name", ["train_aug", "trainaug", "Train"])
def test_a_training_list_of_another_name_is_trained_on(name: str, tmp_path: Path) -> None:
    root = voc(tmp_path, 6)
    lists = root / "ImageSets" / "Segmentation"
    (lists / "train.txt").unlink()
    (lists / f"{name}.txt").write_text("/JPEGImages/0000.jpg /SegmentationClass/0000.png\n0003\n")
    facts = scan_folder(root)
    assert facts.split == name
    assert [pair.stem for pair in facts.trained_on] == ["0000", "0003"]
    assert [overlap.stem for overlap in facts.overlaps if overlap.by == "name"] == ["0003"]
