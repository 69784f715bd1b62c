"""The same example twice: under one name in two splits, as the same bytes, as the same picture."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.data_facts import ImageFacts, Overlap, Pair, PixelFacts
from segdoctor.sources.voc.image_file import UnreadableError, opened_file

NEAR = 24  # of 256 bits of the perceptual hash: JPEG at quality 30 changes 15, another picture 85
_MOST = 5000  # overlaps of one kind that are kept
_PART = 1 << 20
UNIONS = ("trainval", "all")


def compared(splits: Mapping[str, Sequence[str]], trained_on: str) -> Iterator[tuple[str, str]]:
    """The splits that must not share an example: the one that is trained on and each other one,
    but for unions of splits."""
    if trained_on not in splits or trained_on in UNIONS:
        return
    for other in splits:
        if other != trained_on and other not in UNIONS:
            yield trained_on, other


def by_name(
    pairs: Sequence[Pair], splits: Mapping[str, Sequence[str]], trained_on: str
) -> list[Overlap]:
    """Stems that stand in two lists, or in two folders of splits under one name."""
    images = {pair.stem: pair.image or "" for pair in pairs}
    found = []
    for split, other in compared(splits, trained_on):
        mine = {_bare(stem, split): stem for stem in splits[split]}
        theirs = {_bare(stem, other): stem for stem in splits[other]}
        for name in mine:
            # `train/1.png` and `val/1.png` are two files: their bytes are compared, not names.
            if mine[name] == theirs.get(name):
                stem = mine[name]
                path = images.get(stem, "")
                found.append(Overlap("name", split, other, stem, stem, path, path))
    return found[:_MOST]


def _bare(stem: str, split: str) -> str:
    return stem[len(split) + 1 :] if stem.startswith(f"{split}/") else stem


def same_bytes(
    images: Sequence[ImageFacts], stopped: Callable[[], bool] = lambda: False
) -> list[tuple[str, ...]]:
    """Groups of paths whose files hold the same bytes. Only files of one length are read, and
    links to one file on the disk not at all."""
    known = images
    lengths = np.fromiter((image.bytes for image in known), np.int64, len(known))
    files = np.array([image.file for image in known], dtype=np.uint64).reshape(-1, 2)
    order = np.lexsort((files[:, 1], files[:, 0], lengths))
    groups = []
    for run in _runs(order, lengths[order]):
        if stopped():
            break
        if len(run) == 1:
            continue
        alike: dict[str, list[str]] = defaultdict(list)
        same = [run] if not files[run].any() else _runs(run, *files[run].T)
        single = len(same) == 1 and bool(files[run].any())
        for links in same if files[run].any() else ([place] for place in run):
            paths = [known[int(place)].path for place in links]
            alike["" if single else _digest(paths[0])] += paths
        groups += [tuple(sorted(paths)) for paths in alike.values() if len(paths) > 1]
    return sorted(groups)


def _runs(order: NDArray[np.intp], *values: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    """``order`` cut where one of ``values``, which lie in it, changes."""
    if not len(order):
        return []
    changed = np.zeros(len(order) - 1, dtype=bool)
    for column in values:
        changed |= column[1:] != column[:-1]
    return np.split(order, np.flatnonzero(changed) + 1)


def _digest(path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with opened_file(path) as file:
            while part := file.read(_PART):
                digest.update(part)
    except (UnreadableError, OSError):
        return path  # alike to none
    return digest.hexdigest()


def across(
    groups: Iterable[Sequence[str]],
    pairs: Sequence[Pair],
    splits: Mapping[str, Sequence[str]],
    trained_on: str,
    by: str,
) -> list[Overlap]:
    """The groups of alike images that two splits share under different names."""
    stems = {pair.image: pair.stem for pair in pairs if pair.image}
    members = {name: set(listed) for name, listed in splits.items()}
    found = []
    for group in groups:
        known = [path for path in group if path in stems]
        for split, other in compared(splits, trained_on):
            mine = [path for path in known if stems[path] in members[split]]
            theirs = [path for path in known if stems[path] in members[other]]
            known_here = set(mine)
            fresh = [path for path in theirs if path not in known_here]
            if mine and fresh:
                found.append(
                    Overlap(by, split, other, stems[mine[0]], stems[fresh[0]], mine[0], fresh[0])
                )
    return found[:_MOST]


def alike_pictures(pictures: Sequence[PixelFacts]) -> list[tuple[str, str]]:
    """Pairs of paths whose perceptual hashes differ in few of their 256 bits. Pictures of one
    colour have no hash to speak of and are left out."""
    kept = [facts for facts in pictures if facts.hash and facts.high - facts.low > 16]
    if len(kept) < 2:
        return []
    bits = np.unpackbits(
        np.array([list(bytes.fromhex(facts.hash)) for facts in kept], dtype=np.uint8), axis=1
    ).astype(np.float32)
    plenty = (bits.sum(axis=1) > NEAR) & (bits.sum(axis=1) < bits.shape[1] - NEAR)
    found: list[tuple[str, str]] = []
    for start in range(0, len(kept), 256):
        part = bits[start : start + 256]
        apart = part.sum(axis=1)[:, None] + bits.sum(axis=1)[None] - 2 * part @ bits.T
        for row, column in zip(*np.nonzero(apart <= NEAR), strict=True):
            first, second = start + int(row), int(column)
            if first < second and plenty[first] and plenty[second]:
                found.append((kept[first].path, kept[second].path))
    return found


def candidates(
    pairs: Sequence[Pair],
    looks: Sequence[int],
    splits: Mapping[str, Sequence[str]],
    trained_on: str,
    most: int = 200,
) -> list[tuple[str, str]]:
    """Pairs of images in two splits whose masks have the same size and the same histogram: what
    copies of one example have even where their images were coded anew. ``looks`` says of each
    pair what its mask holds, as a number; 0: it says nothing."""
    numbers = np.asarray(looks, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    by_look = [run for run in _runs(order, numbers[order]) if numbers[run[0]]]
    members = {name: set(listed) for name, listed in splits.items()}

    def found() -> Iterator[tuple[str, str]]:
        for run in by_look:
            if not 1 < len(run) <= 8:  # many with one histogram: it says nothing
                continue
            group = [pairs[int(place)] for place in run if pairs[int(place)].image]
            for split, other in compared(splits, trained_on):
                for first, second in combinations(group, 2):
                    for mine, theirs in ((first, second), (second, first)):
                        if mine.stem in members[split] and theirs.stem in members[other]:
                            yield str(mine.image), str(theirs.image)

    return list(islice(dict.fromkeys(found()), most))
