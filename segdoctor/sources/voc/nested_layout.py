"""Layouts of many folders: images and masks further down, a pair of folders for each patient, city
or sequence. Folders whose names tell what they hold are paired by the names in them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from segdoctor.core.clean import clean
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ARRAYS
from segdoctor.sources.voc.guessed_layout import holds_images, holds_masks, split_of
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.index import bare
from segdoctor.sources.voc.parts import Layout, Part

_DEEPEST = 6
_MOST_FOLDERS = 5_000
_MOST_REMOTE = 200  # each is a request
_MOST_TRIED = 200  # folders of masks that one of images is held against
_FEWEST = 2  # names that both must have, and half of those of the smaller one


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A folder with pictures: its path, the parts of it below the root, the names in it."""

    path: str
    parts: tuple[str, ...]
    place: int  # which of the parts tells what it holds
    names: frozenset[str]

    @property
    def rest(self) -> tuple[str, ...]:
        return self.parts[: self.place] + self.parts[self.place + 1 :]


def nested_layout(root: str) -> Layout | None:
    """The layout of pairs of folders below ``root``, None where there is none."""
    images, masks = _leaves(root)
    if not images or not masks:
        return None
    near: dict[tuple[str, ...], list[_Leaf]] = defaultdict(list)
    for leaf in masks:
        near[leaf.rest].append(leaf)
    pairs, taken = [], set()
    for leaf in images:
        others = near.get(leaf.rest) or (masks if len(masks) <= _MOST_TRIED else [])
        partner = _partner(leaf, [other for other in others if other.path not in taken])
        if partner is not None:
            taken.add(partner.path)
            pairs.append((leaf, partner))
    if not pairs:
        return None
    first = " + ".join(clean("/".join(leaf.parts), 60) for leaf in pairs[0])
    more = f" and {len(pairs) - 1} more pairs of folders" if len(pairs) > 1 else ""
    return Layout("folders", root, tuple(_parts(pairs)), name=f"folders {first}{more}")


def _leaves(root: str) -> tuple[list[_Leaf], list[_Leaf]]:
    """The folders of images and those of masks."""
    images: list[_Leaf] = []
    masks: list[_Leaf] = []
    waiting: list[tuple[str, tuple[str, ...]]] = [(root, ())]
    for _ in range(_MOST_REMOTE if storage.is_url(root) else _MOST_FOLDERS):
        if not waiting:
            break
        path, parts = waiting.pop()
        try:
            entries = storage.entries(path)
        except (OSError, ValueError):
            continue
        below = [name for name, folder in entries if folder and not name.startswith((".", "__"))]
        if len(parts) < _DEEPEST:
            waiting += [(os.path.join(path, name), (*parts, name)) for name in reversed(below)]
        place, to = _role(parts, images, masks)
        if to is None:
            continue
        names = frozenset(
            bare(os.path.splitext(name)[0])
            for name, folder in entries
            if not folder
            and not name.startswith(".")
            and name.lower().endswith((*SUFFIXES, *ARRAYS))
        )
        if names:
            to.append(_Leaf(path, parts, place, names))
    return images, masks


def _role(
    parts: Sequence[str], images: list[_Leaf], masks: list[_Leaf]
) -> tuple[int, list[_Leaf] | None]:
    """Which part of a path tells what the folder holds, and where it belongs."""
    for place in reversed(range(len(parts))):
        for holds, to in ((holds_masks, masks), (holds_images, images)):
            told = holds(parts[place])
            if told is not None:
                return place, to if told else None
    return 0, None


def _partner(leaf: _Leaf, masks: Sequence[_Leaf]) -> _Leaf | None:
    """The folder of masks that has most of the names, and most of the path."""
    best, score = None, (0, 0)
    for other in masks:
        common = len(leaf.names & other.names)
        if common < max(_FEWEST, min(len(leaf.names), len(other.names)) / 2):
            continue
        here = common, len(set(leaf.rest) & set(other.rest))
        if here > score:
            best, score = other, here
    return best


def _parts(pairs: Sequence[tuple[_Leaf, _Leaf]]) -> list[Part]:
    """A part for each pair, with the folders that tell it from the others of its split."""
    splits: dict[str, list[tuple[_Leaf, _Leaf]]] = defaultdict(list)
    for pair in pairs:
        word = next((w for part in pair[0].parts if (w := split_of(part))), "")
        splits[word].append(pair)
    return [
        Part(word, image.path, mask.path, inside="/".join(image.rest) if len(own) > 1 else "")
        for word, own in splits.items()
        for image, mask in own
    ]
