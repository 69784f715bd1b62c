"""Small copies of the pairs of a folder, to hold other pictures against."""

from __future__ import annotations

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.measures.pairing import SmallPair
from segdoctor.sources.voc.close_look import Picture, small_pair
from segdoctor.sources.voc.image_file import UnreadableError, opened_image
from segdoctor.sources.voc.mask_file import read_ids

_MOST = 600


def small_copies(scan: ScanFacts, *, seed: int = 0, most: int = _MOST) -> list[SmallPair]:
    """Image and mask of up to ``most`` pairs of the split that is trained on, on the common grid;
    what cannot be read is left out."""
    pairs = [pair for pair in scan.trained_on if pair.image and pair.mask]
    drawn = np.random.default_rng(seed).permutation(len(pairs))[:most]
    copies = []
    for place in sorted(drawn.tolist()):
        pair = pairs[place]
        try:
            with opened_image(str(pair.image)) as image:
                image.draft("RGB", (256, 256))
                picture = Picture.of(image)
            copies.append(small_pair(pair, picture, read_ids(str(pair.mask))))
        except UnreadableError:
            continue
    return copies
