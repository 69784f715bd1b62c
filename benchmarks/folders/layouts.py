"""Small folders laid out as published data sets are."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.folders.healthy import no_void
from benchmarks.folders.material import Room, case
from benchmarks.folders.sick import CITYSCAPES


@case()
def sbd_with_png_masks(room: Room) -> None:
    names = []
    for e in room.examples[:40]:
        room.image(f"benchmark_RELEASE/dataset/img/{e.voc_name}.jpg", e.rgb)
        room.palette(f"benchmark_RELEASE/dataset/cls/{e.voc_name}.png", no_void(e.ids))
        names.append(e.voc_name)
    room.text("benchmark_RELEASE/dataset/train.txt", "\n".join(names[:30]) + "\n")
    room.text("benchmark_RELEASE/dataset/val.txt", "\n".join(names[30:]) + "\n")


@case()
def sbd_with_mat_masks(room: Room) -> None:
    import scipy.io

    names = []
    for e in room.examples[:30]:
        room.image(f"dataset/img/{e.voc_name}.jpg", e.rgb)
        path = room.root / "dataset" / "cls" / f"{e.voc_name}.mat"
        path.parent.mkdir(exist_ok=True)
        ids = no_void(e.ids)
        boundaries = np.array([[np.zeros((2, 2), np.uint8)]] * 20, dtype=object)
        content = {
            "Segmentation": ids,
            "Boundaries": boundaries,
            "CategoriesPresent": np.unique(ids),
        }
        scipy.io.savemat(path, {"GTcls": content}, do_compression=True)
        names.append(e.voc_name)
    room.text("dataset/train.txt", "\n".join(names[:20]) + "\n")
    room.text("dataset/val.txt", "\n".join(names[20:]) + "\n")


@case()
def camvid_of_segnet(room: Room) -> None:
    for number, e in enumerate(room.examples[:45]):
        split = ("train", "val", "test")[number % 3]
        room.image(f"CamVid/{split}/{e.name}.png", e.rgb)
        ids = np.where(e.ids == 255, 11, e.ids % 11).astype(np.uint8)
        room.image(f"CamVid/{split}annot/{e.name}.png", ids)


@case("LBL004")
def camvid_as_it_comes_in_colours(room: Room) -> None:
    for e in room.examples[:20]:
        room.image(f"701_StillsRaw_full/{e.name}.png", e.rgb)
        room.image(f"LabeledApproved_full/{e.name}_L.png", CITYSCAPES[no_void(e.ids)])


def cityscapes(room: Room, kinds: tuple[str, ...]) -> None:
    for number, e in enumerate(room.examples[:48]):
        split, city = ("train", "val")[number % 3 == 2], ("ulm", "bonn")[number % 2]
        name = f"{city}_{number:06d}_000019"
        room.image(f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png", e.rgb)
        for kind in kinds:
            if kind == "color":
                pixels = CITYSCAPES[no_void(e.ids)]
            elif kind == "labelTrainIds":
                pixels = np.where(e.ids == 255, 255, e.ids % 19).astype(np.uint8)
            else:
                pixels = np.where(e.ids == 255, 0, e.ids + 7).astype(np.uint8)
            room.image(f"gtFine/{split}/{city}/{name}_gtFine_{kind}.png", pixels)
        room.text(f"gtFine/{split}/{city}/{name}_gtFine_polygons.json", "{}")


@case(num_classes=19)
def cityscapes_train_ids(room: Room) -> None:
    cityscapes(room, ("color", "instanceIds", "labelIds", "labelTrainIds"))


@case(num_classes=34)
def cityscapes_label_ids(room: Room) -> None:
    cityscapes(room, ("color", "instanceIds", "labelIds"))


@case(num_classes=151)
def ade20k(room: Room) -> None:
    for number, e in enumerate(room.examples[:40]):
        split = "training" if number % 4 else "validation"
        name = f"ADE_{'train' if number % 4 else 'val'}_{number:08d}"
        root = "ADEChallengeData2016"
        room.image(f"{root}/images/{split}/{name}.jpg", e.rgb)
        ids = np.where(e.ids == 255, 0, e.ids * 7).astype(np.uint8)
        room.image(f"{root}/annotations/{split}/{name}.png", ids)


@case("LBL008", num_classes=3)
def oxford_pets(room: Room) -> None:
    names = []
    for number, e in enumerate(room.examples[:40]):
        name = f"{'Abyssinian' if number % 2 else 'boxer'}_{number}"
        room.image(f"images/{name}.jpg", e.rgb)
        trimap = np.where(e.ids == 255, 3, 2 - e.thing).astype(np.uint8)
        room.image(f"annotations/trimaps/{name}.png", trimap)
        room.text(f"annotations/trimaps/._{name}.png", "AppleDouble")
        names.append(f"{name} {number % 37 + 1} {number % 2 + 1} 1")
    room.text("annotations/trainval.txt", "\n".join(names[:30]) + "\n")
    room.text("annotations/test.txt", "\n".join(names[30:]) + "\n")
    room.text(
        "annotations/list.txt", "#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(names) + "\n"
    )


@case()
def oxford_pets_nothing_declared(room: Room) -> None:
    oxford = next(c for c in _cases() if c.name == "oxford pets")
    oxford.make(room)


def _cases() -> list:  # type: ignore[type-arg]
    from benchmarks.folders.material import CASES

    return CASES


@case(num_classes=182)
def coco_stuff_pixel_maps(room: Room) -> None:
    for number, e in enumerate(room.examples[:40]):
        split = "train2017" if number % 4 else "val2017"
        room.image(f"images/{split}/{number:012d}.jpg", e.rgb)
        ids = np.where(e.ids == 255, 255, e.ids * 8).astype(np.uint8)
        room.image(f"annotations/{split}/{number:012d}.png", ids)


@case()
def a_csv_of_pairs(room: Room) -> None:
    rows = ["image,mask,split"]
    for number, e in enumerate(room.examples[:40]):
        room.image(f"data/a/{e.name}.jpg", e.rgb)
        room.image(f"data/b/seg_{number}.png", e.thing)
        split = "train" if number % 4 else "val"
        rows.append(f"data/a/{e.name}.jpg,data/b/seg_{number}.png,{split}")
    room.text("pairs.csv", "\n".join(rows) + "\n")


@case(pairs="train.txt")
def a_text_list_of_pairs(room: Room) -> None:
    rows = []
    for e in room.examples[:40]:
        room.image(f"rgb/{e.name}.jpg", e.rgb)
        room.image(f"seg/{e.name}.png", e.thing)
        rows.append(f"rgb/{e.name}.jpg seg/{e.name}.png")
    room.text("train.txt", "\n".join(rows) + "\n")


@case(images="rgb", masks="truth")
def folders_named_by_the_user(room: Room) -> None:
    for e in room.examples[:40]:
        room.image(f"rgb/{e.name}.jpg", e.rgb)
        room.image(f"truth/{e.name}.png", e.thing)
        room.image(f"masks/{e.name}.png", np.zeros((3, 3), np.uint8))


@case(images="JPEGImages", masks="mine")
def another_folder_than_the_guess(room: Room) -> None:
    room.voc(lambda e: np.zeros_like(e.ids))
    for e in room.examples[:40]:
        room.palette(f"mine/{e.voc_name}.png", e.ids)


@case()
def mapillary_style_images_and_labels(room: Room) -> None:
    for number, e in enumerate(room.examples[:40]):
        split = "training" if number % 4 else "validation"
        room.image(f"{split}/images/{e.name}.jpg", e.rgb)
        Image.fromarray(no_void(e.ids)).save(room.image(f"{split}/labels/{e.name}.png", e.ids))
