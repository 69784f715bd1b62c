"""Which image belongs to which mask: by the split lists where there are any, else by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, Pair
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.guessed_layout import drawn_elsewhere
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.index import Collected, Files, index_part
from segdoctor.sources.voc.layout import DataFolderError
from segdoctor.sources.voc.lists import (
    ListUnreadableError,
    SplitList,
    is_list,
    lists_in,
    read_list,
)
from segdoctor.sources.voc.packed import Names, PackedPairs
from segdoctor.sources.voc.pairs_list import read_pairs
from segdoctor.sources.voc.parts import Layout, Part

_UNIONS = ("trainval", "all")
_VALIDATION = ("val", "valid", "validation", "eval")
_UNLISTED_SHARE = 0.5  # of a VOC layout without lists: more images without a mask are normal


def collect_pairs(
    layout: Layout, *, split: str | None = None, val_split: str | None = None
) -> Collected:
    """The pairs of a data set.

    Raises
    ------
    DataFolderError
        A split that does not exist, or not one pair.
    """
    found = Collected(notes=list(layout.notes))
    if layout.pairs is not None:
        return _from_list(layout, layout.pairs, found, split)
    images, masks = Files(), Files()
    for part in layout.parts:
        index_part(part, images, masks, found)
    found.images_total, found.masks_total = len(images), len(masks)
    lists = _read_lists(layout, found)
    if layout.lists == layout.root and not layout.name:
        lists = _of_these(lists, images, masks, found)
    chosen = _chosen_lists(layout, lists, found, split, val_split)
    if chosen:
        _pair_by_lists(chosen, images, masks, layout, found)
    else:
        _pair_by_name(images, masks, layout, found)
    if not any(pair.image and pair.mask for pair in found.pairs):
        raise DataFolderError(_no_pair(layout, images, masks))
    return found


def _from_list(layout: Layout, path: str, found: Collected, split: str | None) -> Collected:
    """The pairs as a list names them, with its column of splits where it has one."""
    try:
        pairs, splits, problems, left_out = read_pairs(path, layout.root)
    except ListUnreadableError as error:
        raise DataFolderError(f"The list {clean(path)} is {error}.") from error
    found.pairs = PackedPairs(pairs)
    found.problems += problems
    found.splits = {name: Names(stems) for name, stems in splits.items()}
    found.images_total = sum(pair.image is not None for pair in found.pairs)
    found.masks_total = sum(pair.mask is not None for pair in found.pairs)
    if left_out:
        found.notes.append(f"{left_out} lines of the list were doubled or named no pair")
    wanted = split or ("train" if "train" in found.splits else "all")
    if wanted != "all" and wanted not in found.splits:
        known = ", ".join(clean(name, 40) for name in found.splits) or "none"
        raise DataFolderError(
            f"There is no split {clean(wanted)!r} in the list; there are: {known}."
        )
    found.split = wanted
    if not any(pair.image and pair.mask for pair in found.pairs):
        raise DataFolderError(
            f"Not one pair of the list {clean(path)} is there: paths are looked up in "
            f"{clean(layout.root)} and beside the list."
        )
    return found


def _read_lists(layout: Layout, to: Collected) -> dict[str, SplitList]:
    lists: dict[str, SplitList] = {}
    guessed = layout.lists == layout.root and not layout.name  # all kinds of texts lie there
    for path in lists_in(layout.lists) if layout.lists else ():
        if guessed and not is_list(os.path.splitext(os.path.basename(path))[0]):
            continue
        read = _read(path, to)
        if read is not None:
            lists[read.name] = read
    return lists


def _read(path: str, to: Collected) -> SplitList | None:
    try:
        read = read_list(path)
    except ListUnreadableError as error:
        to.problems.append(FileProblem("DATA002", path, f"split list: {error}"))
        return None
    if read.doubled:
        to.notes.append(f"{clean(read.name)}.txt lists {read.doubled} names more than once")
    return read


def _of_these(
    lists: Mapping[str, SplitList],
    images: Mapping[str, str],
    masks: Mapping[str, str],
    to: Collected,
) -> dict[str, SplitList]:
    """The lists that lie in the folder and name files that are there; a text that names none (of
    classes, of another folder's files) is none."""
    kept = {}
    for name, read in lists.items():
        stems = [_stem_of(entry, images, masks) for entry in read.entries]
        known = sum(stem in images or stem in masks for stem in stems)
        if known >= max(1, len(stems) / 2):
            kept[name] = read
        else:
            to.notes.append(
                f"{clean(name, 60)}.txt was left out: {known} of its {len(stems)} lines name a "
                "file that is there"
            )
    return kept if _training_list(kept) else {}


def _chosen_lists(
    layout: Layout,
    lists: Mapping[str, SplitList],
    to: Collected,
    split: str | None,
    val_split: str | None,
) -> dict[str, SplitList]:
    """The lists that define the pairs; sets which one is trained on."""
    if split is None or split == "all":
        chosen = _usual(lists) or {
            name: read for name, read in lists.items() if not name.lower().startswith("test")
        }
        trained = _training_list(chosen or to.splits)
        to.split = trained if trained and split is None else "all"
    else:
        to.split, chosen = _one_split(split, layout, lists, to)
    if val_split is not None:
        chosen = {**chosen, **_one_split(val_split, layout, lists, to)[1]}
    return chosen


def _training_list(names: Iterable[str]) -> str | None:
    """``train``, else the first list whose name begins so and is no union (``train_aug``)."""
    training = [
        name for name in names if name.lower().startswith("train") and name.lower() not in _UNIONS
    ]
    return "train" if "train" in training else next(iter(training), None)


def _usual(lists: Mapping[str, SplitList]) -> dict[str, SplitList]:
    """The lists of training and validation, as they are called everywhere."""
    trained = _training_list(lists)
    validation = [name for name in lists if name.lower() in _VALIDATION]
    unions = [name for name in lists if name.lower() in _UNIONS]
    return {name: lists[name] for name in (trained, *validation, *unions) if name is not None}


def _one_split(
    wanted: str, layout: Layout, lists: Mapping[str, SplitList], to: Collected
) -> tuple[str, dict[str, SplitList]]:
    if wanted in lists:
        return wanted, {wanted: lists[wanted]}
    if wanted in to.splits:
        return wanted, {wanted: SplitList(wanted, "", tuple(to.splits[wanted]))}
    if wanted == "trainval":
        known = [lists.get(name) for name in ("train", "val")]
        entries = [entry for read in known if read for entry in read.entries]
        entries += [stem for name in ("train", "val") for stem in to.splits.get(name, ())]
        if entries:
            return wanted, {wanted: SplitList(wanted, "", tuple(dict.fromkeys(entries)))}
    if storage.is_file(wanted):
        try:
            read = read_list(wanted)
        except ListUnreadableError as error:
            raise DataFolderError(f"The split list {clean(wanted)} is {error}.") from error
        return read.name, {read.name: read}
    known_names = ", ".join(clean(name, 40) for name in (*lists, *to.splits)) or "none"
    raise DataFolderError(
        f"There is no split {clean(wanted)!r} in {clean(layout.root)}: give one of its lists, or "
        f"the path of a text file with one name a line. Received: {clean(wanted)!r}; there are: "
        f"{known_names}."
    )


def _pair_by_lists(
    lists: Mapping[str, SplitList],
    images: Mapping[str, str],
    masks: Mapping[str, str],
    layout: Layout,
    to: Collected,
) -> None:
    part = layout.parts[0]
    taken: set[str] = set()
    for name, read in lists.items():
        stems: dict[str, None] = {}
        for entry in read.entries:
            stem = _stem_of(entry, images, masks)
            if stem is None:
                reason = f"{clean(entry, 120)!r} leads out of the data folder; it was not followed"
                to.problems.append(FileProblem("DATA001", read.path, reason))
                continue
            stems[stem] = None
            if stem not in taken:
                taken.add(stem)
                pair = Pair(stem, images.get(stem), masks.get(stem))
                to.pairs.append(pair)
                to.problems += _missing(pair, part, name, images, masks)
        to.splits[name] = Names(stems)
    to.images_unlisted = sum(stem not in taken for stem in images)


def _stem_of(entry: str, images: Mapping[str, str], masks: Mapping[str, str]) -> str | None:
    """The stem that a line of a list means, None if it leads out of the folder.

    Lines are looked up among the files that are there and never become a path, so
    ``JPEGImages/x.jpg SegmentationClass/x.png`` and ``x 1`` are read as ``x``.
    """
    first = (entry.split() or [""])[0]
    for written in (entry, first):
        for form in (written, os.path.splitext(written)[0]):
            if form in images or form in masks:
                return form
    plain = first.replace("\\", "/")
    if ".." in plain.split("/"):
        return None
    base = plain.rsplit("/", 1)[-1]
    stem, suffix = os.path.splitext(base)
    return stem if suffix.lower() in SUFFIXES else base


def _missing(
    pair: Pair, part: Part, listed_in: str, images: Mapping[str, str], masks: Mapping[str, str]
) -> Iterable[FileProblem]:
    name = clean(listed_in, 60)
    if pair.image is None and pair.mask is None:
        reason = f"listed in {name}.txt, and there is neither image nor mask"
        reason += _other_case(pair.stem, images)
        yield FileProblem("DATA001", os.path.join(part.images, pair.stem), reason)
    elif pair.image is None:
        reason = f"listed in {name}.txt, and there is no image"
        reason += _other_case(pair.stem, images)
        yield FileProblem("DATA001", os.path.join(part.images, pair.stem), reason)
    elif pair.mask is None:
        reason = f"listed in {name}.txt, and there is no mask" + _other_case(pair.stem, masks)
        yield FileProblem("DATA001", os.path.join(part.masks, pair.stem), reason)


def _other_case(stem: str, files: Mapping[str, str]) -> str:
    swapped = stem.swapcase()
    for form in (stem.lower(), stem.upper(), swapped, stem.capitalize()):
        if form != stem and form in files:
            return f"; {clean(os.path.basename(files[form]))} differs in upper and lower case only"
    return ""


def _pair_by_name(
    images: Mapping[str, str], masks: Mapping[str, str], layout: Layout, to: Collected
) -> None:
    # Of real VOC, six images of seven have no mask: without lists that is no fault either.
    alone = [stem for stem in images if stem not in masks]
    tolerated = layout.kind == "voc" and len(alone) > _UNLISTED_SHARE * len(images)
    for stem in {**images, **masks}:
        pair = Pair(stem, images.get(stem), masks.get(stem))
        if pair.mask is None and tolerated:
            to.images_unlisted += 1
            continue
        to.pairs.append(pair)
        if pair.mask is None:
            reason = "an image without a mask of its name" + _other_case(stem, masks)
            to.problems.append(FileProblem("DATA001", str(pair.image), reason))
        elif pair.image is None:
            reason = "a mask without an image of its name" + _other_case(stem, images)
            to.problems.append(FileProblem("DATA001", pair.mask, reason))


def _no_pair(layout: Layout, images: Mapping[str, str], masks: Mapping[str, str]) -> str:
    part = layout.parts[0]
    case = {stem.lower() for stem in images} & {stem.lower() for stem in masks}
    hint = f" {len(case):,} names differ in upper and lower case only." if case else ""
    some = [clean(os.path.basename(next(iter(files.values()), "none")), 60) for files in
            (images, masks)]  # fmt: skip
    return (
        f"There is not one pair of image and mask in {clean(layout.root)}: expected a mask in "
        f"{clean(os.path.basename(part.masks))} with the name of its image in "
        f"{clean(os.path.basename(part.images))}. Received: {len(images)} images such as "
        f"{some[0]}, {len(masks)} masks such as {some[1]}; name the folder with --masks NAME or "
        f"the examples with --split FILE.{hint}{drawn_elsewhere(part.masks)}"
    )
