"""What is counted over all examples of a data set, so that no one walks through them again.

A scan counts as the files come; what is made by hand (a batch, a test) is counted when it is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segdoctor.core.data_facts import ImageFacts, MaskFacts, ScanFacts

_VOC_NAME = re.compile(r"^(?:.*/)?(?:2007|2008|2009|2010|2011)_\d{6}$")
LOSSY = "JPEG"


@dataclass(slots=True)
class DataSums:
    """Counts of a data set.

    ``complete`` counts the examples that have both files, ``trained`` those of the split that is
    trained on, ``voc_named`` those whose name is of Pascal VOC's form. ``turned`` counts the images
    that EXIF turns. ``coloured`` counts masks stored as colours, ``lossy`` those stored as JPEG,
    ``several`` those of two ids or more, and ``several_with`` maps each id to how many of these
    hold it.
    """

    complete: int = 0
    trained: int = 0
    voc_named: int = 0
    images: Counter[str] = field(default_factory=Counter)  # by mode
    turned: int = 0
    masks: Counter[str] = field(default_factory=Counter)  # by mode
    palettes: int = 0
    coloured: int = 0
    lossy: int = 0
    several: int = 0
    several_with: Counter[int] = field(default_factory=Counter)

    def pair(self, stem: str, *, complete: bool, trained: bool) -> None:
        self.complete += complete
        self.trained += trained
        self.voc_named += _VOC_NAME.match(stem) is not None

    def image(self, image: ImageFacts) -> None:
        self.images[image.mode] += 1
        self.turned += image.orientation != 1

    def mask(self, mask: MaskFacts) -> None:
        self.masks[mask.mode] += 1
        self.palettes += mask.voc_palette
        self.coloured += bool(mask.colours)
        self.lossy += mask.mode.endswith(LOSSY)
        if len(mask.histogram) > 1:
            self.several += 1
            self.several_with.update(mask.histogram.keys())


def modes(counted: Counter[str]) -> dict[str, int]:
    """The most frequent first; of the same number in order of name."""
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def sums_of(scan: ScanFacts) -> DataSums:
    """The counts of a data set: those that the scan kept, else by a walk through it."""
    if scan.sums is not None:
        return scan.sums
    sums = DataSums()
    trained = {pair.stem for pair in scan.trained_on}
    for pair in scan.pairs:
        complete = bool(pair.image and pair.mask)
        sums.pair(pair.stem, complete=complete, trained=pair.stem in trained)
    for image in scan.images:
        sums.image(image)
    for mask in scan.masks:
        sums.mask(mask)
    return sums


def looked_at_masks(scan: ScanFacts) -> dict[str, MaskFacts]:
    """The masks whose shape was looked at, by their paths."""
    if scan.looked_at is not None:
        return dict(scan.looked_at)
    paths = {shape.path for shape in scan.shapes}
    return {mask.path: mask for mask in scan.masks if mask.path in paths}
