"""Faults to put into a copy of a sound data set: each says which code must find it, and where."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.measures.drawing import voc_palette
from segdoctor.measures.palettes import luminances

Array = NDArray[np.uint8]
Injector = Callable[["Folder", np.random.Generator], "tuple[str, list[str]]"]
KINDS: dict[str, Injector] = {}


@dataclass(frozen=True)
class Folder:
    """A VOC folder of our own; files are replaced, never written through a link."""

    root: Path
    train: tuple[str, ...]
    val: tuple[str, ...]

    def image(self, stem: str) -> Path:
        return self.root / "JPEGImages" / f"{stem}.jpg"

    def mask(self, stem: str) -> Path:
        return self.root / "SegmentationClass" / f"{stem}.png"

    def ids(self, stem: str) -> Array:
        return np.asarray(Image.open(self.mask(stem)))

    def write_image(self, stem: str, pixels: Array, **options: object) -> None:
        self.image(stem).unlink(missing_ok=True)
        Image.fromarray(pixels).save(self.image(stem), quality=92, **options)

    def write_ids(self, stem: str, ids: Array, palette: bool = True) -> None:
        self.mask(stem).unlink(missing_ok=True)
        picture = Image.fromarray(np.ascontiguousarray(ids))
        if palette:
            picture = Image.frombytes("P", picture.size, picture.tobytes())
            picture.putpalette(voc_palette().tobytes())
        picture.save(self.mask(stem))

    def write_bytes(self, path: Path, data: bytes) -> None:
        path.unlink()
        path.write_bytes(data)

    def write_lists(self, train: list[str], val: list[str]) -> None:
        folder = self.root / "ImageSets" / "Segmentation"
        for name, stems in (("train", train), ("val", val), ("trainval", [*train, *val])):
            (folder / f"{name}.txt").unlink(missing_ok=True)
            (folder / f"{name}.txt").write_text("\n".join(dict.fromkeys(stems)) + "\n")

    def sized(self, ids: Array, like: str) -> Array:
        """``ids`` at the size of another mask, by the nearest neighbour."""
        height, width = self.ids(like).shape
        return np.asarray(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST))

    def pick(self, rng: np.random.Generator, count: int) -> list[str]:
        """Training examples whose mask has an outline worth the name."""
        good = [s for s in self.train if self._plain(s)]
        return [str(stem) for stem in rng.permutation(good)[:count]]

    def _plain(self, stem: str) -> bool:
        ids = self.ids(stem)
        return 0.03 < float(((ids > 0) & (ids < 255)).mean()) < 0.6


def copy_of(source: Path, root: Path, each: int) -> Folder:
    """``each`` pairs of train and of val, linked where the disk allows."""
    lists = source / "ImageSets" / "Segmentation"
    kept = {name: (lists / f"{name}.txt").read_text().split()[:each] for name in ("train", "val")}
    folder = Folder(root, tuple(kept["train"]), tuple(kept["val"]))
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    for stem in (*folder.train, *folder.val):
        for path in (folder.image(stem), folder.mask(stem)):
            shutil.copy(source / path.relative_to(root), path)
    folder.write_lists(kept["train"], kept["val"])
    return folder


def kind(function: Injector) -> Injector:
    KINDS[function.__name__] = function
    return function


@kind
def image_cut_off(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    data = f.image(stem).read_bytes()
    f.write_bytes(f.image(stem), data[: int(len(data) * rng.uniform(0.2, 0.9))])
    return "DATA002", [stem]


@kind
def mask_cut_off(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    data = f.mask(stem).read_bytes()
    f.write_bytes(f.mask(stem), data[: int(len(data) * rng.uniform(0.2, 0.9))])
    return "DATA002", [stem]


@kind
def mask_with_a_flipped_bit(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    data = bytearray(f.mask(stem).read_bytes())
    data[len(data) // 2] ^= 16
    f.write_bytes(f.mask(stem), bytes(data))
    return "DATA002", [stem]


@kind
def image_empty(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.write_bytes(f.image(stem), b"")
    return "DATA002", [stem]


@kind
def mask_is_a_web_page(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.write_bytes(f.mask(stem), b"<!DOCTYPE html><html>404</html>")
    return "DATA002", [stem]


@kind
def image_missing(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.image(stem).unlink()
    return "DATA001", [stem]


@kind
def mask_missing(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.mask(stem).unlink()
    return "DATA001", [stem]


@kind
def mask_name_in_other_case(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    other = f"x{stem}"
    os.rename(f.image(stem), f.image(other))
    os.rename(f.mask(stem), f.mask(other.upper()))
    f.write_lists([other if s == stem else s for s in f.train], list(f.val))
    return "DATA001", [other]


@kind
def list_leads_out(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    f.write_lists([*f.train, "../../elsewhere/2007_1"], list(f.val))
    return "DATA001", ["train.txt"]


@kind
def mask_of_another_size(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.write_ids(stem, f.ids(stem)[: -int(rng.integers(1, 30))])
    return "DATA003", [stem]


@kind
def exif_turns_image_and_mask_is_turned(
    f: Folder, rng: np.random.Generator
) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    exif = Image.Exif()
    exif[274] = 6
    ids = np.rot90(f.ids(stem), -1)
    f.write_image(stem, np.asarray(Image.open(f.image(stem))), exif=exif)
    f.write_ids(stem, ids)
    return "DATA003", [stem]


@kind
def exif_turns_image_by_180(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    exif = Image.Exif()
    exif[274] = 3
    f.write_image(stem, np.asarray(Image.open(f.image(stem))), exif=exif)
    return "DATA013", [stem]


@kind
def two_masks_swapped(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    a, b = f.pick(rng, 2)
    first, second = f.sized(f.ids(b), a), f.sized(f.ids(a), b)
    f.write_ids(a, first)
    f.write_ids(b, second)
    return "DATA004", [a, b]


@kind
def masks_drift_by_one(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = list(f.train)
    start = int(rng.integers(0, len(stems) // 2))
    moved = {stems[i]: f.sized(f.ids(stems[i + 1]), stems[i]) for i in range(start, len(stems) - 1)}
    for stem, ids in moved.items():
        f.write_ids(stem, ids)
    return "DATA004", list(moved)


@kind
def half_of_the_masks_mirrored(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = [str(s) for s in rng.permutation([*f.train, *f.val])[: len(f.train)]]
    for stem in stems:
        f.write_ids(stem, f.ids(stem)[:, ::-1])
    return "DATA004", stems


@kind
def half_of_the_masks_upside_down(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = [str(s) for s in rng.permutation([*f.train, *f.val])[: len(f.train)]]
    for stem in stems:
        f.write_ids(stem, f.ids(stem)[::-1])
    return "DATA004", stems


@kind
def masks_shifted(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    down, right = (int(rng.integers(10, 25)) * int(rng.choice([-1, 1])) for _ in range(2))
    for stem in (*f.train, *f.val):
        f.write_ids(stem, np.roll(f.ids(stem), (down, right), (0, 1)))
    return "DATA004", [*f.train, *f.val]


@kind
def train_holds_names_of_val(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    shared = [str(stem) for stem in rng.permutation(f.val)[:3]]
    f.write_lists([*f.train, *shared], list(f.val))
    return "DATA005", shared


@kind
def train_holds_copies_of_val(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stem = str(rng.permutation(f.val)[0])
    shutil.copy(f.image(stem), f.image("copy"))
    shutil.copy(f.mask(stem), f.mask("copy"))
    f.write_lists([*f.train, "copy"], list(f.val))
    return "DATA005", [stem]


@kind
def train_holds_a_picture_of_val(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stem = str(rng.permutation(f.val)[0])
    f.write_image("again", np.asarray(Image.open(f.image(stem))))
    shutil.copy(f.mask(stem), f.mask("again"))
    f.write_lists([*f.train, "again"], list(f.val))
    return "DATA005", [stem]


@kind
def train_is_val(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    f.write_lists(list(f.val), list(f.train))
    return "DATA006", ["train"]


@kind
def image_of_one_colour(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    f.write_image(stem, np.full((*f.ids(stem).shape, 3), int(rng.integers(0, 255)), np.uint8))
    return "DATA010", [stem]


@kind
def image_repeated(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    for i in range(4):
        shutil.copy(f.image(stem), f.image(f"repeat{i}"))
        shutil.copy(f.mask(stem), f.mask(f"repeat{i}"))
    f.write_lists([*f.train, *(f"repeat{i}" for i in range(4))], list(f.val))
    return "DATA010", [stem, "repeat0"]


@kind
def class_only_in_val(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in f.train:
        ids = f.ids(stem).copy()
        if (ids == 15).any():
            ids[ids == 15] = 12
            f.write_ids(stem, ids)
    return "DATA011", ["15"]


@kind
def masks_smoothed(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 6)
    how = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[int(rng.integers(2))]
    for stem in stems:
        ids = Image.fromarray(np.where(f.ids(stem) == 255, 0, f.ids(stem)).astype(np.uint8))
        small = ids.resize((ids.width // 2, ids.height // 2), Image.Resampling.NEAREST)
        smooth = np.array(small.resize(ids.size, how))
        f.write_ids(stem, np.minimum(smooth, 20))
    return "LBL006", stems


@kind
def masks_smoothed_with_void(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 6)
    for stem in stems:
        ids = Image.fromarray(f.ids(stem))
        small = ids.resize((ids.width // 2, ids.height // 2), Image.Resampling.BILINEAR)
        f.write_ids(stem, np.asarray(small.resize(ids.size, Image.Resampling.BILINEAR)))
    return "LBL006", stems


@kind
def masks_as_jpeg(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 5)
    for stem in stems:
        ids = f.ids(stem)
        f.mask(stem).unlink()
        path = f.mask(stem).with_suffix(".jpg")
        Image.fromarray(ids).save(path, quality=int(rng.integers(75, 96)))
    return "LBL012", stems


@kind
def masks_once_jpeg(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 5)
    for stem in stems:
        path = f.root / "tmp.jpg"
        Image.fromarray(f.ids(stem)).save(path, quality=int(rng.integers(75, 96)))
        f.write_ids(stem, np.asarray(Image.open(path)))
        path.unlink()
    return "LBL012", stems


@kind
def masks_in_colour(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, voc_palette()[f.ids(stem)], palette=False)
    return "LBL004", [*f.train, *f.val]


@kind
def masks_in_grey(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    table = np.zeros(256, np.uint8)
    for label, grey in luminances().items():
        table[label] = grey
    for stem in (*f.train, *f.val):
        f.write_ids(stem, table[f.ids(stem)], palette=False)
    return "LBL005", [*f.train, *f.val]


@kind
def masks_stretched(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        ids = f.ids(stem)
        f.write_ids(stem, np.where(ids == 255, 255, ids * 12).astype(np.uint8), palette=False)
    return "LBL007", [*f.train, *f.val]


@kind
def ids_begin_at_one(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        ids = f.ids(stem)
        f.write_ids(stem, np.where(ids == 255, 255, ids + 1).astype(np.uint8))
    return "LBL008", [*f.train, *f.val]


@kind
def one_mask_with_a_stray_id(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    (stem,) = f.pick(rng, 1)
    ids = f.ids(stem).copy()
    ids[10:40, 10:40] = 77
    f.write_ids(stem, ids)
    return "LBL003", [stem]


@kind
def masks_all_background(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, f.ids(stem) * 0)
    return "LBL011", [*f.train, *f.val]


@kind
def void_clipped_to_the_last_class(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, np.minimum(f.ids(stem), 20))
    return "IGN004", [*f.train, *f.val]


@kind
def void_clipped_in_some(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 4)
    for stem in stems:
        f.write_ids(stem, np.minimum(f.ids(stem), 20))
    return "IGN004", stems


@kind
def void_lost_everywhere(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, np.where(f.ids(stem) == 255, 0, f.ids(stem)).astype(np.uint8))
    return "IGN007", [*f.train, *f.val]


@kind
def void_lost_in_some(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = f.pick(rng, 4)
    for stem in stems:
        f.write_ids(stem, np.where(f.ids(stem) == 255, 0, f.ids(stem)).astype(np.uint8))
    return "IGN007", stems


@kind
def padding_with_a_class(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    label, bar = int(rng.integers(1, 21)), 60
    for stem in (*f.train, *f.val):
        pixels = np.pad(np.asarray(Image.open(f.image(stem))), ((bar, bar), (0, 0), (0, 0)))
        ids = np.pad(f.ids(stem), ((bar, bar), (0, 0)), constant_values=label)
        f.write_image(stem, pixels)
        f.write_ids(stem, ids)
    return "IGN006", [*f.train, *f.val]


@kind
def void_lost_in_a_third(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    stems = [*f.train, *f.val][::3]
    for stem in stems:
        f.write_ids(stem, np.where(f.ids(stem) == 255, 0, f.ids(stem)).astype(np.uint8))
    return "IGN007", stems


@kind
def void_wrapped_round(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, f.ids(stem) % 21)
    return "IGN004", [*f.train, *f.val]


@kind
def void_is_one_class_more(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, np.where(f.ids(stem) == 255, 21, f.ids(stem)).astype(np.uint8))
    return "LBL003", [*f.train, *f.val]


@kind
def red_channel_alone(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        f.write_ids(stem, voc_palette()[f.ids(stem)][..., 0], palette=False)
    return "LBL005", [*f.train, *f.val]


@kind
def masks_of_the_enlarged_middle(f: Folder, rng: np.random.Generator) -> tuple[str, list[str]]:
    for stem in (*f.train, *f.val):
        ids = f.ids(stem)
        h, w = ids.shape
        inner = ids[h // 6 : h - h // 6, w // 6 : w - w // 6]
        f.write_ids(stem, f.sized(np.ascontiguousarray(inner), stem))
    return "DATA004", [" pairs"]
