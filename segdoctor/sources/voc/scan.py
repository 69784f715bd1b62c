"""Reads a data set folder: every file named once, the masks counted, nothing changed."""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, MaskFacts, Pair, ScanFacts
from segdoctor.sources.voc.image_file import LIMIT_PIXELS, Header, UnreadableError, read_header
from segdoctor.sources.voc.label_map import LabelMap, parse_label_map
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.mask_file import read_mask
from segdoctor.sources.voc.pairs import collect_pairs

Progress = Callable[[int, int, str], object]

_SAMPLE = 300
_CHUNK = 16
_VOC_VOID = 255
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(slots=True)
class _Seen:
    """What was seen of some pairs; two of them add up."""

    pairs: int = 0
    decoded: int = 0
    not_decoded: int = 0
    masks: list[MaskFacts] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)

    def add(self, other: _Seen) -> None:
        self.pairs += other.pairs
        self.decoded += other.decoded
        self.not_decoded += other.not_decoded
        self.masks += other.masks
        self.problems += other.problems


def scan_folder(
    folder: str | os.PathLike[str],
    *,
    masks: str | None = None,
    split: str | None = None,
    val_split: str | None = None,
    label_map: str | Mapping[Any, object] | LabelMap | None = None,
    ignore_label: int | bool | None = None,
    deep: bool = False,
    progress: Progress | None = None,
    seed: int = 0,
    limit_pixels: int = LIMIT_PIXELS,
) -> ScanFacts:
    """Read a data set folder.

    Headers and end markers of all files are read, the masks decoded wholly, and of the images up
    to 300, drawn by ``seed`` (``deep``: all).

    Parameters
    ----------
    folder : path
        As :func:`~segdoctor.sources.voc.layout.find_layout` takes it.
    masks : str, optional
        Which folder of masks, where there are several.
    split, val_split : str, optional
        A list's name, ``trainval``, or the path of a list. By default the pairs are those of
        ``train``, ``val`` and ``trainval``, and ``train`` is what is trained on.
    label_map : str or mapping, optional
        ``"15=1,else=0"``, applied before the ids are summed.
    ignore_label : int, False or None
        Declared by the user; None: 255 in a VOC layout, else unknown.
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
    layout = find_layout(folder, masks=masks)
    found = collect_pairs(layout, split=split, val_split=val_split)
    void, declared_by = _void(layout.kind, ignore_label)
    sampled = _sample(found.pairs, None if deep else _SAMPLE, seed)
    jobs = [(pair, pair.stem in sampled) for pair in found.pairs]
    seen, interrupted = _see_all(jobs, limit_pixels, progress)
    notes = list(found.notes)
    if interrupted:
        notes.append(f"incomplete: interrupted after {seen.pairs:,} of {len(jobs):,} pairs")
    histogram, presence = _sums(seen.masks, mapping, void)
    broken = {problem.path for problem in seen.problems if problem.code == "DATA002"}
    # A file without a partner that is broken as well is named once, as broken.
    named = [problem for problem in found.problems if problem.path not in broken]
    return ScanFacts(
        folder=os.fspath(folder),
        layout=layout.words,
        pairs=tuple(found.pairs),
        splits=found.splits,
        split=found.split,
        masks=tuple(seen.masks),
        histogram=histogram,
        presence=presence,
        modes=dict(Counter(mask.mode for mask in seen.masks).most_common()),
        problems=tuple(sorted((*named, *seen.problems), key=lambda p: (p.code, p.path))),
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
    )


def _void(kind: str, ignore_label: int | bool | None) -> tuple[int | bool | None, str]:
    if ignore_label is not None:
        return ignore_label, "user"
    return (_VOC_VOID, "layout") if kind == "voc" else (None, "")


def _sample(pairs: list[Pair], count: int | None, seed: int) -> set[str]:
    stems = [pair.stem for pair in pairs]
    if count is None or len(stems) <= count:
        return set(stems)
    drawn = np.random.default_rng(seed).choice(len(stems), size=count, replace=False)
    return {stems[i] for i in drawn.tolist()}


def _see_all(
    jobs: list[tuple[Pair, bool]], limit: int, progress: Progress | None
) -> tuple[_Seen, bool]:
    """Look at all pairs with a few threads; ``(what was seen, whether Ctrl-C ended it)``."""
    stop = threading.Event()
    total = len(jobs)
    parts: dict[int, _Seen] = {}
    workers = min(8, (os.cpu_count() or 1) + 1)
    chunks = iter(range(0, total, _CHUNK))
    interrupted = False
    pool = ThreadPoolExecutor(workers, thread_name_prefix="segdoctor-scan")
    with warnings.catch_warnings():
        # Pillow's warnings about odd files; what is broken is reported as a finding.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            waiting: set[Future[tuple[int, _Seen]]] = set()
            for start in _first(chunks, 2 * workers):
                waiting.add(pool.submit(_see_chunk, jobs, start, limit, stop))
            done_pairs = 0
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    start, seen = future.result()
                    parts[start] = seen
                    done_pairs += seen.pairs
                    for following in _first(chunks, 1):
                        waiting.add(pool.submit(_see_chunk, jobs, following, limit, stop))
                if done and progress is not None:
                    progress(done_pairs, total, "images and masks")
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
        finally:
            # In the files' order, whichever thread was first: the same folder, the same facts.
            pool.shutdown(wait=not interrupted, cancel_futures=True)
    everything = _Seen()
    for start in sorted(parts):
        everything.add(parts[start])
    return everything, interrupted


def _first(items: Iterator[int], count: int) -> Iterable[int]:
    return list(islice(items, count))


def _see_chunk(
    jobs: list[tuple[Pair, bool]], start: int, limit: int, stop: threading.Event
) -> tuple[int, _Seen]:
    seen = _Seen()
    for pair, decode in jobs[start : start + _CHUNK]:
        if stop.is_set():
            break
        _see_pair(pair, decode, limit, seen)
    return start, seen


def _see_pair(pair: Pair, decode: bool, limit: int, seen: _Seen) -> None:
    seen.pairs += 1
    header: Header | None = None
    mask: MaskFacts | None = None
    if pair.image is not None:
        try:
            header = read_header(pair.image, decode=decode, limit=limit)
            seen.decoded += decode
            seen.not_decoded += not decode
        except UnreadableError as error:
            seen.problems.append(FileProblem("DATA002", pair.image, f"image: {error}"))
    if pair.mask is not None:
        try:
            mask = read_mask(pair.mask, limit=limit)
            seen.masks.append(mask)
        except UnreadableError as error:
            seen.problems.append(FileProblem("DATA002", pair.mask, f"mask: {error}"))
    if header is not None and mask is not None and header.size != mask.size:
        seen.problems.append(FileProblem("DATA003", mask.path, _sizes(header, mask)))


def _sizes(header: Header, mask: MaskFacts) -> str:
    (width, height), (mask_width, mask_height) = header.size, mask.size
    reason = f"image {width} × {height}, mask {mask_width} × {mask_height}"
    if header.orientation in _TURNED and (height, width) == mask.size:
        reason += (
            f"; the image's EXIF orientation {header.orientation} turns it, the mask is turned"
        )
    return clean(reason)


def _sums(
    masks: list[MaskFacts], mapping: LabelMap, void: int | bool | None
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
