"""Reads a data set folder: every file named once, the masks counted, nothing changed."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from segdoctor.core.data_facts import (
    ImageFacts,
    MaskFacts,
    Pair,
    PixelFacts,
    ScanFacts,
    ShapeFacts,
)
from segdoctor.core.data_sums import modes
from segdoctor.core.errors import InterruptedEarlyError
from segdoctor.core.held_back import held_back
from segdoctor.measures.pairing import alignment
from segdoctor.sources.voc.image_file import LIMIT_PIXELS
from segdoctor.sources.voc.index import Collected
from segdoctor.sources.voc.label_map import LabelMap, parse_label_map
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.look import Job
from segdoctor.sources.voc.packed import Packed, added
from segdoctor.sources.voc.pairs import collect_pairs
from segdoctor.sources.voc.parts import Layout
from segdoctor.sources.voc.published import published_lists, val_names
from segdoctor.sources.voc.repeats import repeats
from segdoctor.sources.voc.schedule import Progress, look_at_all
from segdoctor.sources.voc.seen_before import NAME, SeenBefore
from segdoctor.sources.voc.sheet import contact_sheet
from segdoctor.sources.voc.summary import Summary
from segdoctor.sources.voc.tally import Tally

_SAMPLE = 300
_MANY = 10_000  # pairs whose names take as much memory as the rest
_VOC_VOID = 255
_EARLY = "the folder was still being listed, and nothing was examined"


class _Jobs(Sequence[Job]):
    """The pairs as jobs, made when they are asked for."""

    def __init__(self, pairs: Sequence[Pair], closely: set[int], compared: set[int]) -> None:
        self._pairs, self._closely, self._compared = pairs, closely, compared

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> list[Job]: ...
    def __getitem__(self, index: int | slice) -> Job | list[Job]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Job(index, self._pairs[index], index in self._closely, index in self._compared)


class _Kept:
    """The facts of all files, packed and counted as they come."""

    def __init__(self, pairs: Sequence[Pair], tally: Tally) -> None:
        self._tally = tally
        self.masks = Packed(MaskFacts, lambda i: (pairs[i].mask,))
        self.images = Packed(ImageFacts, lambda i: (pairs[i].image,))
        self.pixels = Packed(PixelFacts, lambda i: (pairs[i].stem, pairs[i].image))
        self.shapes = Packed(ShapeFacts, lambda i: (pairs[i].mask,))

    def take(self, seen: Summary) -> Summary:
        """Keep the facts; what is left of the summary comes back."""
        for place, mask in seen.masks:
            self._tally.mask(place, mask)
        for _, image in seen.images:
            self._tally.image(image)
        added(self.masks, seen.masks)
        added(self.images, seen.images)
        added(self.pixels, seen.pixels)
        added(self.shapes, seen.shapes)
        return replace(seen, masks=(), images=(), pixels=(), shapes=())

    def looked_at(self) -> dict[str, MaskFacts]:
        """The masks whose shape was looked at, by their paths."""
        found = (self.masks.at(place) for place, _ in self.shapes.items())
        return {mask.path: mask for mask in found if mask is not None}


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
    cache: str | None = None,
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
    cache : str, optional
        Folder in which it is noted what was seen of each pair, so that a scan that was interrupted
        goes on where it ended and one of unchanged files reads little. Never the data folder.
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
    InterruptedEarlyError
        Ctrl-C before the first file was looked at.
    """
    mapping = parse_label_map(label_map)
    try:
        layout = find_layout(folder, masks=masks, images=images, pairs=pairs)
        found = collect_pairs(layout, split=split, val_split=val_split)
        if len(found.pairs) > _MANY:
            gc.collect()  # what the lists of names held is memory for the rest
        void, declared_by = _void(layout, ignore_label)
        tally = Tally(found, mapping, void)
        known = published_lists(found.splits)
        known_val = {name: len(val_names(stems)) for name, stems in found.splits.items()}
        sampled = _sample(found.pairs, None if deep else _SAMPLE, seed)
        compared = _sample(found.pairs, _SAMPLE, seed)
        before = None if cache is None else SeenBefore(cache)
    except KeyboardInterrupt as early:
        raise InterruptedEarlyError(_EARLY) from early
    jobs = _Jobs(found.pairs, sampled, compared)
    kept = _Kept(found.pairs, tally)
    seen, interrupted = look_at_all(
        jobs, limit_pixels, progress, scheduler, into=kept.take, before=before
    )
    with held_back() as pressed:
        notes = list(found.notes)
        if interrupted:
            notes.append(f"incomplete: interrupted after {seen.pairs:,} of {len(jobs):,} pairs")
        if before is not None and before.hits:
            words = f"{before.hits:,} of {len(jobs):,} pairs are as they were at the last scan"
            notes.append(f"{words} and were not read again ({NAME} beside the report)")
        problems = [problem for _, problem in seen.problems]
        broken = {problem.path for problem in problems if problem.code == "DATA002"}
        # A file without a partner that is broken as well is named once, as broken.
        named = [problem for problem in found.problems if problem.path not in broken]
        facts = ScanFacts(
            folder=os.fspath(folder),
            layout=layout.words,
            pairs=found.pairs,
            splits=found.splits,
            split=found.split,
            masks=kept.masks,
            histogram=tally.histogram(),
            fractions=tally.fractions(),
            presence=tally.presence(),
            split_presence=tally.split_presence(),
            together=tally.together(),
            modes=modes(tally.sums.masks),
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
            images=kept.images,
            pixels=kept.pixels,
            shapes=kept.shapes,
            published=known,
            published_val=known_val,
            sums=tally.sums,
            looked_at=kept.looked_at(),
        )
    if interrupted:
        return facts
    try:
        if pressed.count:
            raise KeyboardInterrupt
        return _compared(facts, found, seen, progress)
    except KeyboardInterrupt:
        note = "incomplete: interrupted while images and masks were compared"
        return replace(facts, interrupted=True, notes=(*notes, note))


def _compared(
    facts: ScanFacts, found: Collected, seen: Summary, progress: Progress | None
) -> ScanFacts:
    """What only shows once files are held against each other."""
    if progress is not None:
        progress(seen.pairs, seen.pairs, "comparing images and masks")
    small = [pair for _, pair in seen.small]
    aligned = alignment(small, facts.sums.complete if facts.sums else 0)
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


def _sample(pairs: Sequence[Pair], count: int | None, seed: int) -> set[int]:
    if count is None or len(pairs) <= count:
        return set(range(len(pairs)))
    drawn = np.random.default_rng(seed).choice(len(pairs), size=count, replace=False)
    return set(drawn.tolist())
