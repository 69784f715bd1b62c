"""Names that all images have in common, and names that all masks have: ``21_training`` and
``21_manual1`` are a pair."""

from __future__ import annotations

from collections.abc import Collection

_FEWEST = 2  # pairs, and half of the masks


def names_apart(images: Collection[str], masks: Collection[str]) -> dict[str, str]:
    """Stem of a mask → stem of its image, once what is common to the images' names, to the masks',
    or to both is left out; {} where that tells no pairs."""
    best: dict[str, str] = {}
    if not images or not masks:
        return best
    for of_images in (_whole(images), _cores(images)):
        by_core = {core: stem for stem, core in of_images.items()}
        if len(by_core) < len(of_images):
            continue
        for of_masks in (_whole(masks), _cores(masks)):
            found = {stem: by_core[core] for stem, core in of_masks.items() if core in by_core}
            if len(found) > len(best) and len(set(of_masks.values())) == len(of_masks):
                best = found
    return best if len(best) >= max(_FEWEST, len(masks) / 2) else {}


def _whole(stems: Collection[str]) -> dict[str, str]:
    return {stem: stem for stem in stems}


def _cores(stems: Collection[str]) -> dict[str, str]:
    """Stem → what is its own; a number is never cut."""
    start = _beginning(stems).rstrip("0123456789")
    end = _beginning([stem[::-1] for stem in stems])[::-1].lstrip("0123456789")
    return {stem: stem[len(start) : len(stem) - len(end)] for stem in stems}


def _beginning(stems: Collection[str]) -> str:
    """What all begin with: that of the first and the last in order."""
    first, last = min(stems), max(stems)
    alike = (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(alike, min(len(first), len(last)))]
