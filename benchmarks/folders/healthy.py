"""Folders without a fault, some of which look as if they had one."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.folders.material import Array, Room, case


def no_void(ids: Array) -> Array:
    return np.where(ids == 255, 0, ids).astype(np.uint8)


@case()
def pascal_voc(room: Room) -> None:
    room.voc(lambda e: e.ids, some=80)


@case()
def pascal_voc_without_lists_and_many_images_without_mask(room: Room) -> None:
    for number, e in enumerate(room.examples[:60]):
        room.image(f"VOC2012/JPEGImages/{e.voc_name}.jpg", e.rgb)
        if number % 5 == 0:
            room.palette(f"VOC2012/SegmentationClass/{e.voc_name}.png", e.ids)


@case(num_classes=21)
def palette_masks_beside_images(room: Room) -> None:
    room.folders(lambda e: e.ids, palette=True)


@case(num_classes=21, ignore_label=255)
def grey_ids_with_void_declared(room: Room) -> None:
    room.folders(lambda e: e.ids)


@case(num_classes=2, label_map="255=1")
def binary_0_255_declared_by_a_label_map(room: Room) -> None:
    room.folders(lambda e: e.thing * np.uint8(255), lambda e: e.rgb.mean(-1).astype(np.uint8))


@case()
def binary_0_and_1(room: Room) -> None:
    room.folders(lambda e: e.thing)


@case(num_classes=1)
def binary_0_and_1_one_channel(room: Room) -> None:
    room.folders(lambda e: e.thing)


@case()
def binary_as_one_bit_png(room: Room) -> None:
    for e in room.examples[:30]:
        room.image(f"images/{e.name}.jpg", e.rgb)
        path = room.root / "masks" / f"{e.name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(e.thing * np.uint8(255)).convert("1").save(path)


@case()
def medical_scans_grey_16_bit(room: Room) -> None:
    room.folders(lambda e: e.thing, lambda e: np.zeros((2, 2), np.uint8), some=0)
    for e in room.examples[:30]:
        deep = (e.rgb.mean(-1) * 200).astype(np.uint16)
        room.image(f"images/{e.name}.png", deep)
        room.image(f"masks/{e.name}.png", e.thing)


@case()
def satellite_tiles_many_of_one_class(room: Room) -> None:
    for number, e in enumerate(room.examples[:60]):
        ids = e.thing if number % 3 == 0 else np.full_like(e.ids, number % 2)
        room.image(f"images/{e.name}.png", e.rgb)
        room.image(f"masks/{e.name}.png", ids)


@case(num_classes=2)
def tiny_objects_of_six_pixels(room: Room) -> None:
    for e in room.examples[:40]:
        ids, rgb = np.zeros_like(e.ids), e.rgb.copy()
        for _ in range(3):
            y, x = room.rng.integers(10, min(ids.shape) - 10, 2)
            ids[y : y + 2, x : x + 3] = 1
            rgb[y : y + 2, x : x + 3] = 255 - rgb[y : y + 2, x : x + 3]
        room.image(f"images/{e.name}.png", rgb)
        room.image(f"masks/{e.name}.png", ids)


@case(num_classes=21)
def one_tiny_object_of_a_class_of_its_own(room: Room) -> None:
    def ids(e: object) -> Array:
        found = no_void(e.ids)  # type: ignore[attr-defined]
        found[40:42, 50:53] = 20
        return found

    room.folders(ids, palette=True)


@case(num_classes=2)
def thin_roads_three_pixels_wide(room: Room) -> None:
    for e in room.examples[:40]:
        ids, rgb = np.zeros_like(e.ids), (e.rgb // 2 + 40).astype(np.uint8)
        for _ in range(3):
            y0, y1 = room.rng.integers(5, ids.shape[0] - 8, 2)
            xs = np.arange(ids.shape[1])
            ys = np.linspace(y0, y1, len(xs)).astype(int)
            for d in range(3):
                ids[ys + d, xs] = 1
                rgb[ys + d, xs] = 200
        room.image(f"images/{e.name}.jpg", rgb)
        room.image(f"masks/{e.name}.png", ids)


@case()
def grey_images(room: Room) -> None:
    room.folders(lambda e: no_void(e.ids), lambda e: e.rgb.mean(-1).astype(np.uint8))


@case()
def frames_of_a_film_that_look_alike(room: Room) -> None:
    e = max(room.examples, key=lambda e: e.thing.mean() * (1 - e.thing.mean()))
    for number in range(40):
        y, x = number // 4, number // 2
        cut = slice(y, y + 150), slice(x, x + 150)
        noise = room.rng.integers(-4, 5, e.rgb[cut].shape)
        frame = np.clip(e.rgb[cut].astype(int) + noise, 0, 255).astype(np.uint8)
        room.image(f"images/frame_{number:04d}.jpg", frame)
        room.image(f"masks/frame_{number:04d}.png", e.thing[cut])


@case(num_classes=3)
def chest_x_rays_that_are_all_alike(room: Room) -> None:
    """Two lungs at nearly the same place in each picture."""
    yy, xx = np.mgrid[:200, :200]
    for number in range(60):
        picture = np.full((200, 200), 150.0)
        ids = np.zeros((200, 200), np.uint8)
        for label, centre in ((1, 62), (2, 138)):
            cy, cx = 100 + room.rng.normal(0, 4), centre + room.rng.normal(0, 4)
            ry, rx = 60 + room.rng.normal(0, 4), 28 + room.rng.normal(0, 3)
            inside = ((yy - cy) / ry) ** 2 + ((xx - cx) / rx) ** 2 < 1
            picture[inside] = 60
            ids[inside] = label
        picture += 12 * np.sin(yy / 6 + room.rng.normal()) + room.rng.normal(0, 8, picture.shape)
        room.image(f"images/{number}.png", np.clip(picture, 0, 255).astype(np.uint8))
        room.image(f"masks/{number}.png", ids)


@case()
def half_of_the_masks_only_background(room: Room) -> None:
    for number, e in enumerate(room.examples[:60]):
        room.image(f"images/{e.name}.jpg", e.rgb)
        room.image(f"masks/{e.name}.png", e.thing if number % 2 else np.zeros_like(e.ids))


@case()
def images_with_alpha(room: Room) -> None:
    for e in room.examples[:30]:
        alpha = np.full((*e.ids.shape, 1), 255, np.uint8)
        room.image(f"images/{e.name}.png", np.concatenate([e.rgb, alpha], -1))
        room.image(f"masks/{e.name}.png", e.thing)


@case(num_classes=21)
def masks_stored_as_grey_rgb(room: Room) -> None:
    room.folders(lambda e: np.repeat(no_void(e.ids)[..., None], 3, -1))


@case()
def masks_called_name_mask(room: Room) -> None:
    for e in room.examples[:30]:
        room.image(f"images/{e.name}.jpg", e.rgb)
        room.image(f"masks/{e.name}_mask.png", e.thing)


@case()
def train_and_valid_number_their_files_anew(room: Room) -> None:
    for number, e in enumerate(room.examples[:60]):
        split = "train" if number < 40 else "valid"
        room.image(f"{split}/images/{number % 40:04d}.jpg", e.rgb)
        room.image(f"{split}/masks/{number % 40:04d}.png", e.thing)


@case()
def lists_with_crlf_bom_and_blank_lines(room: Room) -> None:
    room.voc(lambda e: e.ids)
    for split in ("train", "val"):
        path = room.root / f"ImageSets/Segmentation/{split}.txt"
        lines = path.read_text().split()
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode() + b"\r\n  \r\n")


@case()
def upper_case_endings(room: Room) -> None:
    for e in room.examples[:30]:
        Image.fromarray(e.rgb).save(room.image(f"images/{e.name}.jpg", e.rgb).with_suffix(".JPG"))
        (room.root / f"images/{e.name}.jpg").unlink()
        room.image(f"masks/{e.name}.png", e.thing).rename(room.root / f"masks/{e.name}.PNG")


@case()
def tiff_images_and_tiff_masks(room: Room) -> None:
    for e in room.examples[:30]:
        for part, pixels in (("images", e.rgb), ("masks", no_void(e.ids))):
            path = room.root / part / f"{e.name}.tif"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)


@case(num_classes=21, ignore_label=255)
def npy_masks(room: Room) -> None:
    for e in room.examples[:30]:
        room.image(f"images/{e.name}.jpg", e.rgb)
        (room.root / "masks").mkdir(exist_ok=True)
        np.save(room.root / "masks" / f"{e.name}.npy", e.ids)


@case()
def three_pairs(room: Room) -> None:
    room.folders(lambda e: no_void(e.ids), some=3)


@case()
def dark_pictures(room: Room) -> None:
    room.folders(lambda e: e.thing, lambda e: (e.rgb // 8).astype(np.uint8))


@case(ignore_label=255)
def padded_to_a_square_with_void(room: Room) -> None:
    def square(values: Array, fill: int) -> Array:
        side = max(values.shape[:2])
        full = np.full((side, side, *values.shape[2:]), fill, np.uint8)
        full[: values.shape[0], : values.shape[1]] = values
        return full

    room.folders(lambda e: square(e.ids, 255), lambda e: square(e.rgb, 0), palette=True)


@case()
def letterbox_pictures_that_were_never_padded(room: Room) -> None:
    """A few films with black bars, labelled as background."""
    for number, e in enumerate(room.examples[:60]):
        rgb, ids = e.rgb.copy(), no_void(e.ids)
        if number < 3:
            rgb[:20] = rgb[-20:] = 0
            ids[:20] = ids[-20:] = 0
        room.image(f"images/{e.name}.jpg", rgb)
        room.image(f"masks/{e.name}.png", ids)


@case()
def augmented_copies_on_the_disk(room: Room) -> None:
    for e in room.examples[:30]:
        for end, step in (("", 1), ("_flip", -1)):
            room.image(f"images/{e.name}{end}.jpg", np.ascontiguousarray(e.rgb[:, ::step]))
            room.image(f"masks/{e.name}{end}.png", np.ascontiguousarray(e.thing[:, ::step]))


@case()
def overlapping_tiles_of_a_few_pictures(room: Room) -> None:
    for e in room.examples[:12]:
        for y in range(0, e.ids.shape[0] - 128, 24):
            for x in range(0, e.ids.shape[1] - 128, 40):
                cut = slice(y, y + 128), slice(x, x + 128)
                room.image(f"images/{e.name}_{y}_{x}.jpg", e.rgb[cut])
                room.image(f"masks/{e.name}_{y}_{x}.png", e.thing[cut])


@case()
def other_files_lie_about(room: Room) -> None:
    room.folders(lambda e: e.thing, some=30)
    for place in ("images/.DS_Store", "images/readme.txt", "masks/classes.json", "masks/._x.png"):
        room.text(place, "nothing")
    room.text("images/Thumbs.db", "nothing")


@case(num_classes=2, label_map="15=1,255=255,else=0")
def person_against_the_rest_by_a_label_map(room: Room) -> None:
    room.voc(lambda e: e.ids, some=80)


@case(num_classes=34)
def class_ids_with_gaps(room: Room) -> None:
    table = np.zeros(256, np.uint8)
    table[:21] = [0, 7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33, 4]
    room.folders(lambda e: table[e.ids])


@case()
def rough_polygons(room: Room) -> None:
    """Masks as coarse as if drawn with few clicks."""

    def rough(e: object) -> Array:
        small = e.thing[6::12, 6::12]  # type: ignore[attr-defined]
        shape = e.thing.shape  # type: ignore[attr-defined]
        grown = np.repeat(np.repeat(small, 12, 0), 12, 1)
        rest = [(0, max(0, side - have)) for side, have in zip(shape, grown.shape, strict=True)]
        whole: Array = np.pad(grown, rest, mode="edge")[: shape[0], : shape[1]]
        return whole

    room.folders(rough, some=60)


@case()
def even_ids_within_the_class_list(room: Room) -> None:
    room.folders(lambda e: (e.thing * 2 + (no_void(e.ids) == 15) * 2).astype(np.uint8))


@case()
def images_webp_masks_bmp(room: Room) -> None:
    for e in room.examples[:20]:
        room.image(f"images/{e.name}.webp", e.rgb)
        room.image(f"masks/{e.name}.bmp", e.thing)


@case()
def names_with_blanks_and_accents(room: Room) -> None:
    for number, e in enumerate(room.examples[:20]):
        room.image(f"images/Aufnahme {number} (Öl).jpg", e.rgb)
        room.image(f"masks/Aufnahme {number} (Öl).png", e.thing)


@case()
def class_zero_never_occurs_and_the_classes_are_unknown(room: Room) -> None:
    """Every pixel is labelled, and the background's class is just not there."""
    room.folders(lambda e: (e.thing + 1).astype(np.uint8))


@case(num_classes=4)
def class_zero_is_unused_and_the_largest_id_has_a_channel(room: Room) -> None:
    room.folders(lambda e: (e.thing + 1 + (no_void(e.ids) == 15)).astype(np.uint8))
