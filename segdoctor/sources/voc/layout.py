"""Which folders hold the images, the masks and the split lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.guessed_layout import drawn_elsewhere, guessed_layout, pictures
from segdoctor.sources.voc.known_layouts import known_layout
from segdoctor.sources.voc.lists import ListUnreadableError, is_list, read_text
from segdoctor.sources.voc.nested_layout import nested_layout
from segdoctor.sources.voc.pairs_list import read_pairs
from segdoctor.sources.voc.parts import Layout, Part, subfolders

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annotation",
    "segmentationclass",
    "segmentations",
    "gt",
)
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_MASKS_BESIDE = ("annot", "_masks", "_mask", "_labels", "_label")
_MANY = 3  # layouts side by side that are one data set
_DEPTH = 2  # how far below the given folder a layout is looked for


class DataFolderError(UserError):
    """A folder that cannot be read as a data set."""


def find_layout(
    folder: str | os.PathLike[str],
    *,
    masks: str | None = None,
    images: str | None = None,
    pairs: str | None = None,
) -> Layout:
    """Find the layout of a data set, given its root, a folder above it, or one of its folders.

    Parameters
    ----------
    folder : path
        The root, up to two levels above it (``VOCdevkit``), or ``JPEGImages``, ``masks``, ….
    masks : str, optional
        Name of the masks' folder in the root (``SegmentationClassAug``), or a path.
    images : str, optional
        Name or path of the images' folder; then ``masks`` is needed too, and nothing is guessed.
    pairs : str, optional
        Path of a list of pairs (CSV or text), absolute or in the root; nothing else is looked at.

    Raises
    ------
    DataFolderError
        The folder is absent, or no layout is in it.
    """
    start = os.fspath(folder)
    shown = clean(start)
    try:
        storage.entries(start)
    except FileNotFoundError as error:
        raise DataFolderError(
            f"The data folder {shown} does not exist: give the folder that holds JPEGImages and "
            "SegmentationClass, or images/ and masks/."
        ) from error
    except NotADirectoryError as error:
        raise DataFolderError(
            f"The data folder {shown} is a file: give the folder that holds the images and masks."
        ) from error
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or error, 80)
        raise DataFolderError(f"The data folder {shown} cannot be read: {reason}.") from error
    if pairs is not None:
        return _listed(start, pairs)
    if images is not None:
        return _named(start, images, masks)
    found: list[Layout] = []
    for level in _levels(start):
        found = [layout for root in level if (layout := _layout_at(root, masks)) is not None]
        if found:
            break
    if not found:
        listed = _list_in(start) if masks is None else None
        if listed is not None:
            return Layout("pairs", start, (), pairs=listed)
        guessed = _guessed(start) if masks is None else None
        if guessed is not None:
            return guessed
        raise DataFolderError(_nothing_found(start, masks))
    if len(found) >= _MANY and all(layout.kind == "folders" for layout in found):
        together = nested_layout(storage.tidy(start))
        if together is not None and len(together.parts) >= len(found):
            return together  # a pair of folders for each patient, city or sequence
    chosen = found[-1]  # VOC2012 after VOC2007
    if chosen.kind == "folders" and masks is None and not _has_pictures(chosen):
        return nested_layout(storage.tidy(start)) or chosen
    if len(found) == 1:
        return chosen
    others = ", ".join(clean(layout.root) for layout in found[:-1])
    note = f"also found and left out: {others}; give one of them as the folder to read it"
    return replace(chosen, notes=(*chosen.notes, note))


def _has_pictures(layout: Layout) -> bool:
    return any(
        part.deep or (pictures(part.images) and pictures(part.masks)) for part in layout.parts
    )


def _guessed(start: str) -> Layout | None:
    """What the names in the folder, or in one folder below it, say."""
    for root in (start, *subfolders(start).values()):
        found = guessed_layout(storage.tidy(root), SPLIT_FOLDERS)
        if found is not None:
            return found
    return nested_layout(storage.tidy(start))


def _list_in(root: str) -> str | None:
    """The one list in the folder whose lines name pairs that are there, None where it is none or
    several."""
    found = []
    for name, is_folder in storage.entries(root):
        path = os.path.join(root, name)
        if is_folder or not name.lower().endswith((".csv", ".tsv", ".txt")):
            continue
        try:
            if "://" in read_text(path):  # nothing is fetched that no one asked for
                continue
            pairs = read_pairs(path, root)[0]
        except ListUnreadableError:
            continue
        inside = os.path.join(root, "")
        if any(str(p.image).startswith(inside) and str(p.mask).startswith(inside) for p in pairs):
            found.append(path)
    return found[0] if len(found) == 1 else None


def _listed(root: str, pairs: str) -> Layout:
    for path in (pairs, os.path.join(root, pairs)):
        if storage.is_file(path):
            return Layout("pairs", root, (), pairs=path)
    raise DataFolderError(
        f"The list of pairs {clean(pairs)!r} (pairs=) is neither a file nor in {clean(root)}."
    )


def _named(root: str, images: str, masks: str | None) -> Layout:
    if masks is None:
        raise DataFolderError(
            "With the images' folder the masks' folder is needed too (--images A --masks B). "
            f"Received: images={clean(images)!r} alone."
        )
    paths = [_named_folder(root, name) for name in (images, masks)]
    for name, path in zip((images, masks), paths, strict=True):
        if path is None:
            raise DataFolderError(
                f"The folder {clean(name)!r} is neither in {clean(root)} nor a path."
            )
    part = Part("", str(paths[0]), str(paths[1]))
    return Layout("folders", root, (part,))


def _levels(start: str) -> Iterator[list[str]]:
    """The folders to look at: the one given, those above it, those below it."""
    yield [start]
    whole = start if storage.is_url(start) else os.path.realpath(start)
    name = os.path.basename(whole.rstrip("/")).lower()
    known = (*IMAGE_FOLDERS, *MASK_FOLDERS, *SPLIT_FOLDERS, "imagesets", "segmentation")
    if name in known or name.startswith("segmentationclass"):
        yield [storage.above(start), storage.above(storage.above(start))]
    level = [start]
    for _ in range(_DEPTH):
        level = [below for above in level for below in subfolders(above).values()]
        yield level


def _layout_at(root: str, masks: str | None) -> Layout | None:
    inside, root = subfolders(root), storage.tidy(root)
    known = None if masks else known_layout(root)
    return _voc_at(root, inside, masks) or known or _folders_at(root, inside, masks)


def _named_folder(root: str, name: str) -> str | None:
    for path in (os.path.join(root, name), name):
        if storage.is_folder(path):
            return path
    return None


def _voc_at(root: str, inside: dict[str, str], masks: str | None) -> Layout | None:
    images = inside.get("jpegimages")
    if images is None:
        return None
    chosen = _named_folder(root, masks) if masks else _voc_masks(inside)
    if chosen is None:
        return None
    lists = os.path.join(root, "ImageSets", "Segmentation")
    listed = lists if storage.is_folder(lists) else None
    return Layout("voc", root, (Part("", images, chosen),), listed)


def _voc_masks(inside: dict[str, str]) -> str | None:
    """``SegmentationClass``, else the one folder whose name begins so (``SegmentationClassPNG``,
    as labelling tools export it)."""
    others = [
        path
        for name, path in inside.items()
        if name.startswith("segmentationclass") and "visual" not in name
    ]
    return inside.get("segmentationclass") or (others[0] if len(others) == 1 else None)


def _folders_at(root: str, inside: dict[str, str], masks: str | None) -> Layout | None:
    images = _first(inside, IMAGE_FOLDERS)
    chosen = _named_folder(root, masks) if masks else _mask_folder(inside)
    parts: tuple[Part, ...] = ()
    if images and chosen:
        parts = _split_parts(images, chosen) or (Part("", images, chosen),)
    elif not masks:
        parts = _parts_of_splits(inside)
    whole = len(parts) == 1 and not parts[0].split
    return Layout("folders", root, parts, _own_lists(root) if whole else None) if parts else None


def _own_lists(root: str) -> str | None:
    """The folder itself where it has a list to train on (``train.txt``)."""
    stems = [os.path.splitext(name)[0] for name, _ in storage.entries(root) if name[-4:] == ".txt"]
    return root if any(map(is_list, stems)) else None


def _first(inside: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((inside[name] for name in names if name in inside), None)


def _mask_folder(inside: dict[str, str]) -> str | None:
    found = _first(inside, MASK_FOLDERS)
    if found is None:
        return None
    # Oxford pets keep their masks one level deeper, beside text files.
    return subfolders(found).get("trimaps", found)


def _split_parts(images: str, masks: str) -> tuple[Part, ...]:
    """``images/train`` and ``masks/train``."""
    of_images, of_masks = subfolders(images), subfolders(masks)
    return tuple(
        Part(SPLIT_FOLDERS[name], of_images[name], of_masks[name])
        for name in SPLIT_FOLDERS
        if name in of_images and name in of_masks
    )


def _parts_of_splits(inside: dict[str, str]) -> tuple[Part, ...]:
    """``train/images`` and ``train/masks``, or ``train`` and ``trainannot``."""
    parts = []
    for name, split in SPLIT_FOLDERS.items():
        if name not in inside:
            continue
        below = subfolders(inside[name])
        images, masks = _first(below, IMAGE_FOLDERS), _mask_folder(below)
        beside = _first(inside, tuple(name + ending for ending in _MASKS_BESIDE))
        if images and masks:
            parts.append(Part(split, images, masks))
        elif beside:
            parts.append(Part(split, inside[name], beside))
    return tuple(parts)


def _nothing_found(start: str, masks: str | None) -> str:
    shown = clean(start)
    wanted = (
        "expected JPEGImages/ + SegmentationClass/ (Pascal VOC) or images/ + masks/ in it, or up "
        f"to {_DEPTH} levels below"
    )
    if masks and _named_folder(start, masks) is None:
        return f"The masks' folder {clean(masks)!r} (masks=) is neither in {shown} nor a path."
    inside = subfolders(start)
    if _first(inside, IMAGE_FOLDERS):
        return (
            f"{shown} has images but no folder of masks: {wanted}; name the masks' folder with "
            "--masks NAME."
        )
    names = ", ".join(clean(os.path.basename(path), 40) for path in list(inside.values())[:6])
    received = f"the folders {names}" if names else "no folder at all"
    received += drawn_elsewhere(start)
    return f"{shown} is not a segmentation data set: {wanted}. Received: {received}."
