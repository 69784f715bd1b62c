"""Folders with one fault each, on the disk."""

from __future__ import annotations

import shutil

import numpy as np
from PIL import Image

from benchmarks.folders.healthy import no_void
from benchmarks.folders.material import Array, Example, Room, case
from segdoctor.measures.drawing import voc_palette
from segdoctor.measures.palettes import luminances

CITYSCAPES = np.array(
    [
        *([0, 0, 0], [128, 64, 128], [244, 35, 232], [70, 70, 70], [102, 102, 156]),
        *([190, 153, 153], [153, 153, 153], [250, 170, 30], [220, 220, 0], [107, 142, 35]),
        *([152, 251, 152], [70, 130, 180], [220, 20, 60], [255, 0, 0], [0, 0, 142], [0, 0, 70]),
        *([0, 60, 100], [0, 80, 100], [0, 0, 230], [119, 11, 32], [81, 0, 81]),
    ],
    np.uint8,
)


def lookup(table: dict[int, int]) -> Array:
    full = np.zeros(256, np.uint8)
    full[list(table)] = list(table.values())
    return full


def grey(colours: Array) -> Array:
    """As Pillow's ``convert("L")``."""
    return np.asarray(Image.fromarray(colours).convert("L"))


@case("LBL004")
def colours_of_voc(room: Room) -> None:
    room.folders(lambda e: voc_palette()[e.ids])


@case("LBL004")
def colours_of_cityscapes(room: Room) -> None:
    room.folders(lambda e: CITYSCAPES[no_void(e.ids)])


@case("LBL004")
def two_colours_black_and_red(room: Room) -> None:
    room.folders(lambda e: np.stack([e.thing * 255, e.thing * 0, e.thing * 0], -1))


@case("LBL005")
def luminances_of_voc(room: Room) -> None:
    room.folders(lambda e: lookup(luminances())[e.ids])


@case("LBL005", num_classes=21)
def luminances_of_cityscapes(room: Room) -> None:
    room.folders(lambda e: grey(CITYSCAPES[no_void(e.ids)]))


@case("LBL005", num_classes=21)
def red_channel_of_voc(room: Room) -> None:
    room.folders(lambda e: voc_palette()[e.ids][..., 0])


@case("LBL005", num_classes=2)
def red_channel_of_two_values(room: Room) -> None:
    """Background and person: 0 and 192."""
    room.folders(lambda e: np.where(e.thing, 192, 0).astype(np.uint8))


def smoothed(e: Example, how: Image.Resampling) -> Array:
    shape = e.ids.shape[1], e.ids.shape[0]
    small = Image.fromarray(no_void(e.ids)).resize((shape[0] // 2, shape[1] // 2), how)
    return np.asarray(small.resize(shape, how))


@case("LBL006", num_classes=21)
def resized_bilinear(room: Room) -> None:
    room.folders(lambda e: smoothed(e, Image.Resampling.BILINEAR))


@case("LBL006", num_classes=21)
def resized_bicubic(room: Room) -> None:
    room.folders(lambda e: smoothed(e, Image.Resampling.BICUBIC))


@case("LBL006", num_classes=2)
def binary_0_255_resized_with_antialias(room: Room) -> None:
    def soft(e: Example) -> Array:
        shape = e.ids.shape[1], e.ids.shape[0]
        picture = Image.fromarray(e.thing * np.uint8(255))
        picture = picture.resize((shape[0] // 3, shape[1] // 3), Image.Resampling.LANCZOS)
        return np.asarray(picture.resize(shape, Image.Resampling.BILINEAR))

    room.folders(soft)


@case("LBL007", num_classes=2)
def binary_0_and_255(room: Room) -> None:
    room.folders(lambda e: e.thing * np.uint8(255))


@case("LBL007")
def binary_0_and_255_nothing_declared(room: Room) -> None:
    room.folders(lambda e: e.thing * np.uint8(255))


@case("LBL007", num_classes=21)
def ids_divided_by_255(room: Room) -> None:
    for e in room.examples[:30]:
        room.image(f"images/{e.name}.jpg", e.rgb)
        (room.root / "masks").mkdir(exist_ok=True)
        np.save(room.root / "masks" / f"{e.name}.npy", no_void(e.ids).astype(np.float32) / 255)


@case("LBL007", num_classes=21)
def ids_times_ten_to_be_seen(room: Room) -> None:
    room.folders(lambda e: (no_void(e.ids) * 10).astype(np.uint8))


@case("LBL007", num_classes=3)
def three_classes_at_0_127_254(room: Room) -> None:
    room.folders(lambda e: ((e.thing + (no_void(e.ids) == 15)) * 127).astype(np.uint8))


@case("LBL008", num_classes=3)
def trimaps_from_one(room: Room) -> None:
    room.folders(lambda e: np.where(e.ids == 255, 3, 2 - e.thing).astype(np.uint8))


@case("LBL008", num_classes=21)
def all_ids_plus_one(room: Room) -> None:
    room.folders(lambda e: np.where(e.ids == 255, 255, e.ids + 1).astype(np.uint8), some=160)


@case("LBL003", num_classes=20)
def more_ids_than_classes(room: Room) -> None:
    room.folders(lambda e: no_void(e.ids), some=160)


@case("LBL003", num_classes=21, ignore_label=255)
def a_stray_id_in_one_mask(room: Room) -> None:
    def stray(e: Example) -> Array:
        ids = e.ids.copy()
        if e.name == room.examples[3].name:
            ids[20:40, 20:40] = 77
        return ids

    room.folders(stray, palette=True)


@case("LBL011")
def masks_all_zero(room: Room) -> None:
    room.folders(lambda e: np.zeros_like(e.ids))


@case("LBL011", ignore_label=255)
def masks_all_void(room: Room) -> None:
    room.folders(lambda e: np.full_like(e.ids, 255))


@case("LBL012")
def masks_as_jpeg(room: Room) -> None:
    for e in room.examples[:40]:
        room.image(f"images/{e.name}.jpg", e.rgb)
        room.image(f"masks/{e.name}.jpg", (e.thing * 255).astype(np.uint8), quality=85)


@case("LBL012", num_classes=21)
def masks_once_jpeg_now_png(room: Room) -> None:
    def lossy(e: Example) -> Array:
        path = room.image("once.jpg", no_void(e.ids), quality=80)
        read = np.asarray(Image.open(path))
        path.unlink()
        return read

    room.folders(lossy)


@case("IGN004")
def void_clipped_into_the_last_class(room: Room) -> None:
    room.voc(lambda e: np.where(e.ids == 255, 20, e.ids).astype(np.uint8))


@case("IGN005", num_classes=22)
def void_as_one_more_class(room: Room) -> None:
    room.folders(lambda e: np.where(e.ids == 255, 21, e.ids).astype(np.uint8), palette=True)


@case("IGN006")
def padding_labelled_as_background(room: Room) -> None:
    def square(values: Array) -> Array:
        side = max(values.shape[:2])
        full = np.zeros((side, side, *values.shape[2:]), np.uint8)
        full[: values.shape[0], : values.shape[1]] = values
        return full

    room.folders(lambda e: square(no_void(e.ids)), lambda e: square(e.rgb))


@case("IGN007")
def voc_without_its_void(room: Room) -> None:
    for e in room.examples[:60]:
        room.image(f"JPEGImages/{e.voc_name}.jpg", e.rgb)
        room.palette(f"SegmentationClass/{e.voc_name}.png", no_void(e.ids))


@case("IGN009", num_classes=21)
def void_255_that_no_one_declared(room: Room) -> None:
    room.folders(lambda e: e.ids)


@case("DATA001")
def a_mask_is_missing(room: Room) -> None:
    room.folders(lambda e: e.thing)
    (room.root / "masks" / f"{room.examples[7].name}.png").unlink()


@case("DATA001")
def a_mask_has_no_image(room: Room) -> None:
    room.folders(lambda e: e.thing)
    (room.root / "images" / f"{room.examples[7].name}.jpg").unlink()


@case("DATA001")
def a_name_in_other_case(room: Room) -> None:
    for number, e in enumerate(room.examples[:20]):
        room.image(f"images/Img{number}a.jpg", e.rgb)
        room.image(f"masks/{'I' if number else 'i'}mg{number}a.png", e.thing)


@case("DATA002")
def a_truncated_image(room: Room) -> None:
    room.folders(lambda e: e.thing)
    path = room.root / "images" / f"{room.examples[5].name}.jpg"
    path.write_bytes(path.read_bytes()[:-900])


@case("DATA002")
def an_lfs_pointer_for_a_mask(room: Room) -> None:
    room.folders(lambda e: e.thing)
    words = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"
    room.text(f"masks/{room.examples[5].name}.png", words)


@case("DATA003")
def masks_at_half_the_size(room: Room) -> None:
    room.folders(lambda e: np.ascontiguousarray(e.thing[::2, ::2]))


@case("DATA004")
def masks_shuffled_among_the_images(room: Room) -> None:
    chosen = room.examples[:60]
    for e, other in zip(chosen, [*chosen[7:], *chosen[:7]], strict=True):
        height, width = e.ids.shape
        mask = Image.fromarray(other.thing).resize((width, height), Image.Resampling.NEAREST)
        room.image(f"images/{e.name}.jpg", e.rgb)
        room.image(f"masks/{e.name}.png", np.asarray(mask))


@case("DATA004")
def all_masks_mirrored(room: Room) -> None:
    room.folders(lambda e: np.ascontiguousarray(e.thing[:, ::-1]), some=60)


@case("DATA004")
def half_of_the_masks_upside_down(room: Room) -> None:
    half = {e.name for e in room.examples[:60:2]}
    room.folders(
        lambda e: np.ascontiguousarray(e.thing[::-1] if e.name in half else e.thing), some=60
    )


@case("DATA004")
def masks_shifted_by_12_pixels(room: Room) -> None:
    room.folders(lambda e: np.roll(e.thing, (0, 12), (0, 1)), some=60)


@case("DATA005")
def validation_pictures_copied_into_training(room: Room) -> None:
    for number, e in enumerate(room.examples[:60]):
        split = "train" if number < 40 else "val"
        room.image(f"{split}/images/{e.name}.jpg", e.rgb)
        room.image(f"{split}/masks/{e.name}.png", e.thing)
    for e in room.examples[40:45]:
        for part in ("images", "masks"):
            for path in (room.root / "val" / part).glob(f"{e.name}.*"):
                shutil.copy(path, room.root / "train" / part / f"again_{path.name}")


@case("DATA010")
def pictures_of_one_colour(room: Room) -> None:
    black = {e.name for e in room.examples[:10]}
    room.folders(lambda e: e.thing, lambda e: e.rgb * np.uint8(e.name not in black))


@case("DATA010")
def one_picture_again_and_again(room: Room) -> None:
    room.folders(lambda e: e.thing, some=20)
    first = room.examples[0].name
    for number in range(20):
        for part, end in (("images", "jpg"), ("masks", "png")):
            folder = room.root / part
            shutil.copy(folder / f"{first}.{end}", folder / f"copy{number}.{end}")


@case("DATA013")
def exif_turns_the_picture(room: Room) -> None:
    exif = Image.Exif()
    exif[274] = 3
    for e in room.examples[:20]:
        room.image(f"images/{e.name}.jpg", e.rgb, exif=exif)
        room.image(f"masks/{e.name}.png", e.thing)


@case("DATA011")
def a_class_only_in_validation(room: Room) -> None:
    for number, e in enumerate(room.examples[:80]):
        split = "train" if number < 50 else "val"
        ids = e.thing if split == "train" else e.thing + (no_void(e.ids) == 15)
        room.image(f"{split}/images/{e.name}.jpg", e.rgb)
        room.image(f"{split}/masks/{e.name}.png", ids.astype(np.uint8))
