"""Reads a data set folder: every file named once, the masks counted, nothing changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import MaskFacts, Pair, ScanFacts
from segdoctor.measures.pairing import alignment
from segdoctor.sources.voc.image_file import LIMIT_PIXELS
from segdoctor.sources.voc.index import Collected
from segdoctor.sources.voc.label_map import LabelMap, parse_label_map
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.look import Job
from segdoctor.sources.voc.pairs import collect_pairs
from segdoctor.sources.voc.parts import Layout
from segdoctor.sources.voc.published import published_lists, val_names
from segdoctor.sources.voc.repeats import repeats
from segdoctor.sources.voc.schedule import Progress, look_at_all
from segdoctor.sources.voc.sheet import contact_sheet
from segdoctor.sources.voc.summary import Summary

_SAMPLE = 300
_VOC_VOID = 255


def scan_folder(
    folder: str | os.PathLike[str],
    *,
    masks: str | None = None,
    images: str | None = None,
    pairs: str | None = None,
    split: str | None = None,
    val_split: str | None = None,
    label_map: str | Mapping[Any, object] | LabelMap | None = None,
    ignore_label: int | bool | None = None,
    deep: bool = False,
    scheduler: str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    limit_pixels: int = LIMIT_PIXELS,
) -> ScanFacts:
    """Read a data set folder.

    Headers and end markers of all files are read, the masks decoded wholly, and of the images up
    to 300, drawn by ``seed`` (``deep``: all). Of those, up to 300 in any case, image and mask are
    compared with each other.

    Parameters
    ----------
    folder : path
        As :func:`~segdoctor.sources.voc.layout.find_layout` takes it.
    masks : str, optional
        Which folder of masks, where there are several.
    images, pairs : str, optional
        The images' folder, or a list of pairs (CSV or text), instead of the guess.
    split, val_split : str, optional
        A list's name, ``trainval``, or the path of a list. By default the pairs are those of
        ``train``, ``val`` and ``trainval``, and ``train`` is what is trained on.
    label_map : str or mapping, optional
        ``"15=1,else=0"``, applied before the ids are summed.
    ignore_label : int, False or None
        Declared by the user; None: 255 in a VOC layout, else unknown.
    scheduler : str, optional
        ``"dask"`` or the address of a Dask scheduler; None: threads.
    progress : callable, optional
        Called with ``(done, total, what)``.

    Returns
    -------
    ScanFacts
        After Ctrl-C what was found so far, with ``interrupted`` set.

    Raises
    ------
    DataFolderError
        The folder is absent, is no data set, or has not one pair.
    """
    mapping = parse_label_map(label_map)
    layout = find_layout(folder, masks=masks, images=images, pairs=pairs)
    found = collect_pairs(layout, split=split, val_split=val_split)
    void, declared_by = _void(layout, ignore_label)
    sampled = _sample(found.pairs, None if deep else _SAMPLE, seed)
    jobs = [Job(i, pair, i in sampled) for i, pair in enumerate(found.pairs)]
    seen, interrupted = look_at_all(jobs, limit_pixels, progress, scheduler)
    notes = list(found.notes)
    if interrupted:
        notes.append(f"incomplete: interrupted after {seen.pairs:,} of {len(jobs):,} pairs")
    all_masks = [mask for _, mask in seen.masks]
    histogram, presence = _sums(all_masks, mapping, void)
    problems = [problem for _, problem in seen.problems]
    broken = {problem.path for problem in problems if problem.code == "DATA002"}
    # A file without a partner that is broken as well is named once, as broken.
    named = [problem for problem in found.problems if problem.path not in broken]
    facts = ScanFacts(
        folder=os.fspath(folder),
        layout=layout.words,
        pairs=tuple(found.pairs),
        splits=found.splits,
        split=found.split,
        masks=tuple(all_masks),
        histogram=histogram,
        presence=presence,
        split_presence=_split_presence(found, all_masks, mapping, void),
        modes=dict(Counter(mask.mode for mask in all_masks).most_common()),
        problems=tuple(sorted((*named, *problems), key=lambda p: (p.code, p.path))),
        images_total=found.images_total,
        masks_total=found.masks_total,
        images_unlisted=found.images_unlisted,
        decoded=seen.decoded,
        not_decoded=seen.not_decoded,
        void=void,
        void_declared_by=declared_by,
        label_map=mapping.plain(),
        notes=tuple(notes),
        interrupted=interrupted,
        images=tuple(image for _, image in seen.images),
        pixels=tuple(pixels for _, pixels in seen.pixels),
        shapes=tuple(shape for _, shape in seen.shapes),
        published=published_lists(found.splits),
        published_val={name: len(val_names(stems)) for name, stems in found.splits.items()},
    )
    if interrupted:
        return facts
    try:
        return _compared(facts, found, seen, progress, seed)
    except KeyboardInterrupt:
        note = "incomplete: interrupted while images and masks were compared"
        return replace(facts, interrupted=True, notes=(*notes, note))


def _compared(
    facts: ScanFacts, found: Collected, seen: Summary, progress: Progress | None, seed: int
) -> ScanFacts:
    """What only shows once files are held against each other."""
    if progress is not None:
        progress(seen.pairs, seen.pairs, "comparing images and masks")
    small = [pair for _, pair in seen.small]
    if len(small) > _SAMPLE:
        drawn = np.random.default_rng(seed).choice(len(small), size=_SAMPLE, replace=False)
        small = [small[i] for i in sorted(drawn.tolist())]
    total = sum(1 for pair in found.pairs if pair.image and pair.mask)
    aligned = alignment(small, total)
    overlaps, repeated = repeats(facts)
    return replace(
        facts,
        alignment=aligned,
        overlaps=overlaps,
        repeated=repeated,
        sheet=contact_sheet(aligned, found.pairs),
    )


def _void(layout: Layout, ignore_label: int | bool | None) -> tuple[int | bool | None, str]:
    if ignore_label is not None:
        return ignore_label, "user"
    defined = _VOC_VOID if layout.kind == "voc" else layout.void
    return defined, "" if defined is None else "layout"


def _sample(pairs: list[Pair], count: int | None, seed: int) -> set[int]:
    if count is None or len(pairs) <= count:
        return set(range(len(pairs)))
    drawn = np.random.default_rng(seed).choice(len(pairs), size=count, replace=False)
    return set(drawn.tolist())


def _split_presence(
    found: Collected, masks: list[MaskFacts], mapping: LabelMap, void: int | bool | None
) -> dict[str, dict[int, int]]:
    """Split → id → masks that hold it, after the label map."""
    stems = {pair.mask: pair.stem for pair in found.pairs if pair.mask}
    by_stem = {stems[mask.path]: mask for mask in masks if mask.path in stems}
    return {
        name: _sums([by_stem[stem] for stem in listed if stem in by_stem], mapping, void)[1]
        for name, listed in found.splits.items()
    }


def _sums(
    masks: Iterable[MaskFacts], mapping: LabelMap, void: int | bool | None
) -> tuple[dict[int, int], dict[int, int]]:
    """Pixels, and masks, that hold each id, after the label map."""
    pixels: Counter[int] = Counter()
    presence: Counter[int] = Counter()
    new: dict[int, int] = {}
    for mask in masks:
        there = set()
        for label, count in mask.histogram.items():
            target = new.setdefault(label, mapping.of(label, void))
            pixels[target] += count
            there.add(target)
        presence.update(there)
    return dict(sorted(pixels.items())), dict(sorted(presence.items()))
