"""The files of a data set by their stems: which image and which mask have one name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ARRAYS
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.names_apart import names_apart
from segdoctor.sources.voc.packed import Names, PackedPairs
from segdoctor.sources.voc.parts import Part, subfolders

# Files that lie beside images and are none; everything else is looked at.
_NOT_IMAGES = (
    *(".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".yaml", ".yml", ".ini", ".db", ".log"),
    *(".npz", ".py", ".zip", ".tar", ".gz", ".ds_store", ".html", ".tfrecord"),
)
_AFFIXES = re.compile(
    r"^(?:image|img|mask|label|seg|gt)[_-]|[_-](?:image|img|mask|masks|label|labels|seg|"
    r"segmentation|gt|(?-i:L))$",
    re.IGNORECASE,
)


class Files(Mapping[str, str]):
    """Stem → path. Nearly all files of a folder are its name, their stem and one ending, so only
    the stem is kept of each."""

    def __init__(self) -> None:
        self._where: dict[str, tuple[str, str] | str] = {}
        self._shared: dict[tuple[str, str], tuple[str, str]] = {}

    def put(self, stem: str, folder: str, name: str) -> None:
        """``name`` is the file's in its folder; a stem may have folders before its own part."""
        own = stem[stem.rfind("/") + 1 :]
        if name.startswith(own):
            where = folder, name[len(own) :]
            self._where[stem] = self._shared.setdefault(where, where)
        else:
            self._where[stem] = os.path.join(folder, name)

    def leave_out(self, start: str, ending: str) -> None:
        """Drop the stems that begin and end so."""
        self._where = {
            stem: where
            for stem, where in self._where.items()
            if not (stem.startswith(start) and stem.endswith(ending))
        }

    def take(self, others: Files, prefix: str) -> None:
        """Those of a split; its stems begin with its name."""
        if not prefix and not self._where:
            self._where = others._where
            return
        for stem, where in others._where.items():
            self._where[prefix + stem] = where

    def __getitem__(self, stem: str) -> str:
        where = self._where[stem]
        if isinstance(where, str):
            return where
        return os.path.join(where[0], stem[stem.rfind("/") + 1 :] + where[1])

    def __contains__(self, stem: object) -> bool:
        return stem in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


@dataclass(slots=True)
class Collected:
    """The pairs of a layout, and what is wrong with their names. ``orphans`` are files without a
    partner: their own state is still looked at."""

    pairs: PackedPairs = field(default_factory=PackedPairs)
    splits: dict[str, Sequence[str]] = field(default_factory=dict)
    split: str = "all"
    problems: list[FileProblem] = field(default_factory=list)
    images_total: int = 0
    masks_total: int = 0
    images_unlisted: int = 0
    notes: list[str] = field(default_factory=list)


def index_part(part: Part, images: Files, masks: Files, to: Collected) -> None:
    """Stem → path of the files of a part; stems of a split begin with its name."""
    prefix = "".join(f"{word}/" for word in (part.split, part.inside) if word)
    own_images = _files(
        part.images, to, part.image_end, part.deep, part.image_kinds, part.image_start
    )
    if part.images == part.masks and (part.mask_end or part.mask_start):
        own_images.leave_out(part.mask_start, part.mask_end)
    own_masks = _files(part.masks, to, part.mask_end, part.deep, part.mask_kinds, part.mask_start)
    # `cat_mask.png` belongs to `cat.jpg`, but a name that fits as it is comes first.
    by_bare = {bare(stem): stem for stem in own_images if stem not in own_masks}
    if not any(stem in own_images or bare(stem) in by_bare for stem in own_masks):
        by_bare = names_apart(own_images, own_masks) or by_bare
    images.take(own_images, prefix)
    for stem in own_masks:
        partner = by_bare.get(stem) or by_bare.get(bare(stem), stem)
        partner = stem if stem in own_images else partner
        if partner.lower() == stem.lower():  # names that differ in case alone are no pair
            partner = stem
        if prefix + partner not in masks:
            masks.put(prefix + partner, *os.path.split(own_masks[stem]))
    if part.split:
        stems = [prefix + stem for stem in own_images]
        to.splits[part.split] = Names([*to.splits.get(part.split, ()), *stems])


def bare(stem: str) -> str:
    """A stem without what says that it is an image or a mask."""
    name, suffix = os.path.splitext(stem)  # `cat.jpg.png` is the mask of `cat.jpg`
    return _AFFIXES.sub("", name if suffix.lower() in SUFFIXES else stem)


def _files(
    folder: str,
    to: Collected,
    ending: str = "",
    deep: bool = False,
    kinds: tuple[str, ...] = (),
    start: str = "",
) -> Files:
    """Stem → path of everything in a folder that is or may be meant as an image.

    With ``start`` and ``ending`` only of names that begin and end so, without them; with ``deep``
    of the folders inside; with ``kinds`` only of those suffixes.
    """
    files = Files()
    if deep:
        for below in subfolders(folder).values():
            files.take(_files(below, to, ending, kinds=kinds), f"{os.path.basename(below)}/")
        return files
    try:
        names = [name for name, _ in storage.entries(folder)]
    except OSError as error:
        reason = f"folder cannot be read: {error.strerror}"
        to.problems.append(FileProblem("DATA002", folder, reason))
        return files
    doubled = 0
    pictures = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)
    for name in names:
        stem, suffix = os.path.splitext(name)
        if name.startswith(".") or suffix.lower() in _NOT_IMAGES:
            continue
        if pictures and suffix.lower() in ARRAYS:  # lies beside pictures, and is none
            continue
        if kinds and suffix.lower() not in kinds:
            continue
        path = os.path.join(folder, name)
        if suffix.lower() not in SUFFIXES and storage.is_folder(path):
            continue
        if not (stem.startswith(start) and stem.endswith(ending)):
            continue
        stem = stem[len(start) : len(stem) - len(ending)]
        if stem in files:
            doubled += 1
            if suffix.lower() not in SUFFIXES:
                continue
        files.put(stem, folder, name)
    if doubled:
        where = clean(os.path.basename(folder))
        to.notes.append(
            f"{doubled} files of {where} share their name with another one but for .ext"
        )
    return files
