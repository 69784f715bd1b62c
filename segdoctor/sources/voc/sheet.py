"""The contact sheet: the pairs that a person should look at, outline over image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import AlignmentFacts, Pair, PairFit
from segdoctor.core.trial_facts import Picture
from segdoctor.sources.voc.image_file import UnreadableError, opened_image
from segdoctor.sources.voc.mask_file import read_ids

_PAIRS = 4
_SIDE = 288
_OUTLINE = (255, 0, 255)


def contact_sheet(alignment: AlignmentFacts | None, pairs: Sequence[Pair]) -> tuple[Picture, ...]:
    """The worst pairs first: those that another mask, or the mask turned, fits better."""
    if alignment is None:
        return ()
    by_stem = {pair.stem: pair for pair in pairs}
    displaced = set(alignment.displaced)
    worst = sorted(alignment.pairs, key=lambda fit: (fit.stem not in displaced, -fit.gap))
    worst = sorted(worst[:_PAIRS], key=lambda fit: -fit.gap)
    return tuple(picture for fit in worst for picture in _pictures(fit, by_stem))[:_PAIRS]


def _pictures(fit: PairFit, by_stem: Mapping[str, Pair]) -> Iterator[Picture]:
    """The pair, and the image with the mask that fits better, where there is one."""
    try:
        with opened_image(fit.image) as image:
            image.draft("RGB", (_SIDE, _SIDE))
            shown = image.convert("RGB")
        scale = _SIDE / max(shown.size)
        size = max(1, round(shown.width * scale)), max(1, round(shown.height * scale))
        pixels = np.array(shown.resize(size, Image.Resampling.BILINEAR))
        name = clean(fit.stem, 60)
        yield _drawn(f"{name} (fit {fit.own:.1f})", pixels, fit.mask)
        other = by_stem.get(fit.partner)
        better = fit.partner_z > max(fit.own, fit.turn_z)
        if better and other is not None and other.mask is not None:
            words = f"{name} with the mask of {clean(fit.partner, 60)} (fit {fit.partner_z:.1f})"
            yield _drawn(words, pixels, other.mask)
    except UnreadableError:
        return


def _drawn(name: str, pixels: NDArray[np.uint8], mask: str) -> Picture:
    ids = _nearest(read_ids(mask), pixels.shape[:2])
    outlined = pixels.copy()
    outlined[_outline(ids)] = _OUTLINE
    return Picture(name, outlined, ids)


def _nearest(ids: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    rows = np.arange(shape[0]) * ids.shape[0] // shape[0]
    columns = np.arange(shape[1]) * ids.shape[1] // shape[1]
    nearest: NDArray[np.int32] = ids[rows[:, None], columns[None, :]]
    return nearest


def _outline(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    marked = np.zeros(ids.shape, dtype=bool)
    marked[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    marked[1:] |= ids[1:] != ids[:-1]
    return marked
