"""The examples of a scan that are there more than once."""

from __future__ import annotations

import numpy as np

from segdoctor.core.data_facts import Overlap, ScanFacts
from segdoctor.sources.voc import overlap
from segdoctor.sources.voc.close_look import hash_of
from segdoctor.sources.voc.image_file import UnreadableError, opened_image

_SIDE = 128
_FEWEST_IDS = 2  # of a mask, for its histogram to say which example it is


def repeats(facts: ScanFacts) -> tuple[tuple[Overlap, ...], tuple[tuple[str, ...], ...]]:
    """``(examples that two splits share, groups of images with the same bytes)``.

    Names and bytes are compared over all pairs. Pictures are compared by a perceptual hash among
    the decoded sample, and between images of two splits whose masks have the same histogram.
    """
    pairs, splits, trained = facts.pairs, facts.splits, facts.split
    found = overlap.by_name(pairs, splits, trained)
    groups = overlap.same_bytes(facts.images)
    found += overlap.across(groups, pairs, splits, trained, "bytes")
    known = {frozenset((item.image, item.other_image)) for item in found}
    looks = [0] * len(pairs)
    places = {pair.mask: place for place, pair in enumerate(pairs) if pair.mask}
    for mask in facts.masks:
        if len(mask.histogram) >= _FEWEST_IDS and mask.path in places:
            looks[places[mask.path]] = hash((mask.size, tuple(sorted(mask.histogram.items()))))
    alike = overlap.alike_pictures(facts.pixels)
    likely = overlap.candidates(pairs, looks, splits, trained)
    alike += [pair for pair in likely if _alike(*pair)]
    fresh = [pair for pair in dict.fromkeys(alike) if frozenset(pair) not in known]
    found += overlap.across(fresh, pairs, splits, trained, "picture")
    return tuple(dict.fromkeys(found)), tuple(groups)


def _alike(first: str, second: str) -> bool:
    hashes = [_hash(path) for path in (first, second)]
    if not all(hashes):
        return False
    apart = int(hashes[0], 16) ^ int(hashes[1], 16)
    return apart.bit_count() <= overlap.NEAR


def _hash(path: str) -> str:
    try:
        with opened_image(path) as image:
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            return hash_of(np.asarray(image.convert("RGB").resize((_SIDE, _SIDE))))
    except UnreadableError:
        return ""
