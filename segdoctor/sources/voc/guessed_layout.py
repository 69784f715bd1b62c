"""Layouts that follow no convention but whose names say what they hold: a folder of images beside
one of masks, or both in one folder with an ending."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict

from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ARRAYS
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.parts import Layout, Part, subfolders

_MASKS = re.compile(
    r"mask|msk|label|annot|ground|target|segm|semantic|(?:^|[\W_])(?:gt|seg|ann|lbl)(?:[\W_]|$)",
    re.I,
)
_IMAGES = re.compile(
    r"image|img|photo|picture|input|original|rgb|frame|still|(?:^|[\W_])(?:sat|raw)(?:[\W_]|$)",
    re.I,
)
_NEITHER = re.compile(
    r"visual|overlay|preview|instance|depth|boundar|edge|logit|predict|colou?r|human|"
    r"(?:mask|label|seg|semantic)s?[_-]rgb",
    re.I,
)
_SPLITS = (
    ("train", re.compile(r"train", re.I)),
    ("val", re.compile(r"valid|(?:^|[\W_])val(?:[\W_]|$)", re.I)),
    ("test", re.compile(r"test", re.I)),
)
_MASK_END = re.compile(r"[_-](?:masks?|labels?|seg|segmentation|gt|groundtruth)$", re.I)
_IMAGE_ENDS = ("", "_sat", "_image", "_img", "_rgb", "-image", "_input", "_raw")
_MASK_START = re.compile(r"^(?:masks?|labels?|seg|gt|lbl)[_-]?(?=[\W_]*\w)", re.I)
_IMAGE_STARTS = ("", "image_", "image", "img_", "img", "rgb_", "photo_", "im_", "im")
_PHOTOS, _DRAWN = (".jpg", ".jpeg"), (".png", ".bmp", ".npy")
_FEWEST = 2  # pairs that one folder with both must hold


def guessed_layout(root: str, splits: dict[str, str]) -> Layout | None:
    """The layout whose names tell, None where they do not or say several things.

    ``splits`` maps the usual names of a split's folder to its split.
    """
    inside = subfolders(root)
    parts = _beside(inside)
    if not parts:
        for name, path in inside.items():
            if name in splits:
                parts += tuple(
                    Part(splits[name], part.images, part.masks)
                    for part in _beside(subfolders(path))
                )
    if not parts:
        together = [
            ("", root),
            *((splits[name], inside[name]) for name in splits if name in inside),
        ]
        parts = tuple(part for split, path in together if (part := _together(split, path)))
    return Layout("folders", root, parts) if parts else None


def holds_masks(name: str) -> bool | None:
    """True for the name of a folder of masks, False for one of pictures of masks, None for none."""
    return not _NEITHER.search(name) if _MASKS.search(name) or _NEITHER.search(name) else None


def holds_images(name: str) -> bool | None:
    return True if _IMAGES.search(name) else None


def split_of(name: str) -> str:
    """The split that a folder's name tells, "" for none."""
    return next((word for word, known in _SPLITS if known.search(name)), "")


def _beside(inside: dict[str, str]) -> tuple[Part, ...]:
    """One folder of images and one of masks, or such a pair for each split."""
    found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name, path in inside.items():
        kind = 1 if _MASKS.search(name) else 0 if _IMAGES.search(name) else None
        if kind is not None and not _NEITHER.search(name):
            found[split_of(name)][kind].append(path)
    if not found or any(len(images) != 1 or len(masks) != 1 for images, masks in found.values()):
        return ()
    parts: list[Part] = []
    for split, ((images,), (masks,)) in found.items():
        of_images, of_masks = subfolders(images), subfolders(masks)
        both = [name for name in of_images if name in of_masks]
        below = [(next((w for w, known in _SPLITS if known.search(n)), n), n) for n in both]
        parts += [Part(word, of_images[name], of_masks[name]) for word, name in below] or [
            Part(split, images, masks)
        ]
    return tuple(parts) if all(pictures(p.images) and pictures(p.masks) for p in parts) else ()


def _by_suffix(split: str, folder: str, names: list[str]) -> Part | None:
    """``cat.jpg`` beside ``cat.png``: photographs are JPEG, masks are not."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for name in names:
        stem, suffix = os.path.splitext(name)
        kinds[stem].add(suffix.lower())
    both = [stem for stem, found in kinds.items() if found & {*_PHOTOS} and found & {*_DRAWN}]
    if len(both) < max(_FEWEST, len(kinds) / 2):
        return None
    return Part(split, folder, folder, image_kinds=_PHOTOS, mask_kinds=_DRAWN)


def _by_start(split: str, folder: str, stems: set[str]) -> Part | None:
    """``gt001`` beside ``img001``."""
    ways: Counter[tuple[str, str]] = Counter()
    for stem in stems:
        start = _MASK_START.match(stem)
        if start is not None:
            rest = stem[start.end() :]
            ways.update((ours, start.group()) for ours in _IMAGE_STARTS if ours + rest in stems)
    if not ways:
        return None
    (image_start, mask_start), count = ways.most_common(1)[0]
    if count < max(_FEWEST, len(stems) / 4):
        return None
    return Part(split, folder, folder, image_start=image_start, mask_start=mask_start)


def _by_ending(split: str, folder: str, names: list[str]) -> Part | None:
    """``eye_01.jpg`` beside ``eye_01_1stHO.png``: any ending, where photographs are JPEG and what
    has the ending is drawn."""
    photos = {stem for stem, kind in map(os.path.splitext, names) if kind.lower() in _PHOTOS}
    ends: Counter[str] = Counter()
    for stem, kind in map(os.path.splitext, names):
        if kind.lower() in (*_DRAWN, ".gif", ".tif", ".tiff"):
            places = [match.start() for match in re.finditer(r"[\W_]", stem)]
            ends.update(stem[place:] for place in places if stem[:place] in photos)
    if not ends:
        return None
    end, count = ends.most_common(1)[0]
    return (
        Part(split, folder, folder, mask_end=end)
        if count >= max(_FEWEST, len(photos) / 2)
        else None
    )


def pictures(folder: str) -> bool:
    """Whether there is a file with the name of a picture in it."""
    try:
        names = storage.entries(folder)
    except OSError:
        return False
    endings = (*SUFFIXES, *ARRAYS)
    return any(os.path.splitext(name)[1].lower() in endings for name, below in names if not below)


def drawn_elsewhere(folder: str) -> str:
    """A sentence where a folder holds outlines as text (COCO, labelme), "" where it does not."""
    try:
        names = [name.lower() for name, is_folder in storage.entries(folder) if not is_folder]
    except (OSError, ValueError):
        return ""
    for kind in (".json", ".xml"):
        count = sum(name.endswith(kind) for name in names)
        if count:
            return (
                f" There are {count:,} {kind} files: outlines that stand in a text have to be "
                "drawn as masks first."
            )
    return ""


def _together(split: str, folder: str) -> Part | None:
    """Images and masks in one folder, which an ending of the masks' names tells apart."""
    try:
        names = [name for name, is_folder in storage.entries(folder) if not is_folder]
    except OSError:
        return None
    stems = {stem for stem, suffix in map(os.path.splitext, names) if suffix.lower() in SUFFIXES}
    ways: Counter[tuple[str, str]] = Counter()
    for stem in stems:
        end = _MASK_END.search(stem)
        if end is None:
            continue
        base = stem[: end.start()]
        ways.update((ours, end.group()) for ours in _IMAGE_ENDS if base + ours in stems)
    if not ways:
        by_name = _by_suffix(split, folder, names) or _by_start(split, folder, stems)
        return by_name or _by_ending(split, folder, names)
    (image_end, mask_end), count = ways.most_common(1)[0]
    return Part(split, folder, folder, image_end, mask_end) if count >= _FEWEST else None
