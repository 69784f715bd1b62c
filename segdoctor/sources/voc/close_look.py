"""The pixels of the pairs in the sample: statistics, a perceptual hash, and a small copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from segdoctor.core.data_facts import Pair, PixelFacts
from segdoctor.measures.bars import bar_mask
from segdoctor.measures.edges import GRID
from segdoctor.measures.pairing import SmallPair

_HASH = 16  # side of the difference hash: 256 bits
_DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: ``small`` uint8 (GRID, GRID, 3), and its statistics, 0 to 255."""

    small: NDArray[np.uint8]
    low: int
    high: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, image: Image.Image) -> Picture:
        """Decode an opened image wholly."""
        image.load()
        colour = _eight_bits(image)
        statistics = ImageStat.Stat(colour)
        extrema = [bounds for bounds in statistics.extrema if isinstance(bounds, tuple)]
        shrunk = colour.resize((GRID, GRID), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return cls(
            np.asarray(shrunk),
            int(min(low for low, _ in extrema)),
            int(max(high for _, high in extrema)),
            tuple(round(value, 3) for value in statistics.mean),
            tuple(round(value, 3) for value in statistics.stddev),
        )


def _eight_bits(image: Image.Image) -> Image.Image:
    """RGB of 8 bits; of deeper modes the range that occurs is spread over them."""
    if image.mode not in _DEEP:
        return image if image.mode == "RGB" else image.convert("RGB")
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low)) if high > low else values * 0
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def hash_of(small: NDArray[np.uint8]) -> str:
    """Difference hash (imagehash): the same for the same picture coded anew or scaled."""
    import imagehash

    return str(imagehash.dhash(Image.fromarray(small), hash_size=_HASH))


def small_pair(pair: Pair, picture: Picture, ids: NDArray[np.integer]) -> SmallPair:
    """Image and mask on the common grid."""
    return SmallPair(pair.stem, str(pair.image), str(pair.mask), picture.small, small_ids(ids))


def small_ids(ids: NDArray[np.integer]) -> NDArray[np.int32]:
    """The ids (H, W) on the common grid, by the nearest neighbour."""
    rows = ((np.arange(GRID) + 0.5) * ids.shape[0] / GRID).astype(np.intp)
    columns = ((np.arange(GRID) + 0.5) * ids.shape[1] / GRID).astype(np.intp)
    small: NDArray[np.int32] = ids[rows[:, None], columns[None, :]].astype(np.int32)
    return small


def picture_facts(
    pair: Pair, picture: Picture, small_ids: NDArray[np.integer] | None
) -> PixelFacts:
    """What the pixels say, beside the mask's ids on the same grid where they are known."""
    bars = bar_mask(picture.small)
    label = ""
    if bars is not None and small_ids is not None:
        labels = np.unique(small_ids[bars])
        label = str(int(labels[0])) if labels.size == 1 else ""
    return PixelFacts(
        stem=pair.stem,
        path=str(pair.image),
        low=picture.low,
        high=picture.high,
        mean=picture.mean,
        deviation=picture.deviation,
        hash=hash_of(picture.small),
        bar=0.0 if bars is None else round(float(bars.mean()), 4),
        bar_label=label,
    )
