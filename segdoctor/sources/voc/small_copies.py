"""Small pictures of the files of a folder, to hold other pictures against; and the small masks of
those that are asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.data_facts import Pair
from segdoctor.measures.against_files import key_of
from segdoctor.measures.palettes import VOC_CLASSES
from segdoctor.sources.voc.close_look import Picture, small_ids
from segdoctor.sources.voc.image_file import UnreadableError, opened_image
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.mask_file import read_ids
from segdoctor.sources.voc.pairs import collect_pairs

_MOST = 4000
_SECONDS = 20.0
_DRAFT = 128
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class SmallCopies:
    """``keys`` (N, 32, 32) of the images of ``pairs``; ``total`` pairs are in the folder;
    ``classes`` is known of Pascal VOC alone."""

    pairs: tuple[Pair, ...]
    keys: NDArray[np.float32]
    total: int
    void: int | None
    classes: int | None = None

    def ids(self, place: int) -> NDArray[np.integer] | None:
        """The mask on the common grid, None where it cannot be read."""
        try:
            return small_ids(read_ids(str(self.pairs[place].mask)))
        except UnreadableError:
            return None


def small_copies(
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    masks: str | None = None,
    images: str | None = None,
    pairs: str | None = None,
    seed: int = 0,
    most: int = _MOST,
    seconds: float = _SECONDS,
) -> SmallCopies:
    """The pictures of the split that is trained on, drawn by ``seed`` where there are more than
    ``most`` or than can be read in ``seconds``; what cannot be read is left out.

    Raises
    ------
    DataFolderError
        The folder is no data set.
    """
    layout = find_layout(folder, masks=masks, images=images, pairs=pairs)
    found = collect_pairs(layout, split=split)
    listed = set(found.splits[found.split]) if found.split in found.splits else None
    known = [
        pair
        for pair in found.pairs
        if pair.image and pair.mask and (listed is None or pair.stem in listed)
    ]
    drawn = [known[i] for i in np.random.default_rng(seed).permutation(len(known))[:most].tolist()]
    end = time.monotonic() + seconds
    read = [(pair, key) for pair, key in _keys(drawn, lambda: time.monotonic() > end)]
    keys = np.stack([key for _, key in read]) if read else np.empty((0, 1, 1), np.float32)
    voc = layout.kind == "voc"
    void = 255 if voc else layout.void
    classes = VOC_CLASSES if voc else None
    return SmallCopies(tuple(pair for pair, _ in read), keys, len(known), void, classes)


def _keys(
    pairs: Iterable[Pair], late: Callable[[], bool]
) -> Iterator[tuple[Pair, NDArray[np.float32]]]:
    waiting = list(pairs)
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        for start in range(0, len(waiting), _TOGETHER):
            if late():
                return
            part = waiting[start : start + _TOGETHER]
            for pair, key in zip(part, pool.map(_key, part), strict=True):
                if key is not None:
                    yield pair, key


def _key(pair: Pair) -> NDArray[np.float32] | None:
    try:
        with opened_image(str(pair.image)) as image:
            image.draft("RGB", (_DRAFT, _DRAFT))
            return key_of(Picture.of(image).small)
    except UnreadableError:
        return None
