"""The files of a data set by their stems: which image and which mask have one name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, Pair
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ARRAYS
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.parts import Part, subfolders

# Files that lie beside images and are none; everything else is looked at.
_NOT_IMAGES = (
    *(".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".yaml", ".yml", ".ini", ".db", ".log"),
    *(".npz", ".py", ".zip", ".tar", ".gz", ".ds_store", ".html", ".tfrecord"),
)
_AFFIXES = re.compile(
    r"^(?:image|img|mask|label|seg|gt)[_-]|[_-](?:image|img|mask|masks|label|labels|seg|"
    r"segmentation|gt)$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Collected:
    """The pairs of a layout, and what is wrong with their names. ``orphans`` are files without a
    partner: their own state is still looked at."""

    pairs: list[Pair] = field(default_factory=list)
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: str = "all"
    problems: list[FileProblem] = field(default_factory=list)
    images_total: int = 0
    masks_total: int = 0
    images_unlisted: int = 0
    notes: list[str] = field(default_factory=list)


def index_part(part: Part, images: dict[str, str], masks: dict[str, str], to: Collected) -> None:
    """Stem → path of the files of a part; stems of a split begin with its name."""
    prefix = f"{part.split}/" if part.split else ""
    own_images = _files(part.images, to, part.image_end, part.deep)
    own_masks = _files(part.masks, to, part.mask_end, part.deep)
    # `cat_mask.png` belongs to `cat.jpg`, but a name that fits as it is comes first.
    bare = {_bare(stem): stem for stem in own_images if stem not in own_masks}
    for stem, path in own_images.items():
        images[prefix + stem] = path
    for stem, path in own_masks.items():
        partner = stem if stem in own_images else bare.get(_bare(stem), stem)
        masks.setdefault(prefix + partner, path)
    if part.split:
        stems = [prefix + stem for stem in own_images]
        to.splits[part.split] = (*to.splits.get(part.split, ()), *stems)


def _bare(stem: str) -> str:
    return _AFFIXES.sub("", stem)


def _files(folder: str, to: Collected, ending: str = "", deep: bool = False) -> dict[str, str]:
    """Stem → path of everything in a folder that is or may be meant as an image.

    With ``ending`` only of names that end so, without it; with ``deep`` of the folders inside.
    """
    if deep:
        inside = subfolders(folder).values()
        return {
            f"{os.path.basename(below)}/{stem}": path
            for below in inside
            for stem, path in _files(below, to, ending).items()
        }
    try:
        names = [name for name, _ in storage.entries(folder)]
    except OSError as error:
        reason = f"folder cannot be read: {error.strerror}"
        to.problems.append(FileProblem("DATA002", folder, reason))
        return {}
    files: dict[str, str] = {}
    doubled = 0
    pictures = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)
    for name in names:
        stem, suffix = os.path.splitext(name)
        if name.startswith(".") or suffix.lower() in _NOT_IMAGES:
            continue
        if pictures and suffix.lower() in ARRAYS:  # lies beside pictures, and is none
            continue
        path = os.path.join(folder, name)
        if suffix.lower() not in SUFFIXES and storage.is_folder(path):
            continue
        if not stem.endswith(ending):
            continue
        stem = stem[: len(stem) - len(ending)]
        if stem in files:
            doubled += 1
            if suffix.lower() not in SUFFIXES:
                continue
        files[stem] = path
    if doubled:
        where = clean(os.path.basename(folder))
        to.notes.append(
            f"{doubled} files of {where} share their name with another one but for .ext"
        )
    return files
