"""The contact sheet: the pairs that a person should look at, outline over image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    drawn = (_picture(fit, by_stem) for fit in worst)
    return tuple(picture for picture in drawn if picture is not None)


def _picture(fit: PairFit, by_stem: Mapping[str, Pair]) -> Picture | None:
    try:
        with opened_image(fit.image) as image:
            image.draft("RGB", (_SIDE, _SIDE))
            shown = image.convert("RGB")
        scale = _SIDE / max(shown.size)
        size = max(1, round(shown.width * scale)), max(1, round(shown.height * scale))
        pixels = np.array(shown.resize(size, Image.Resampling.BILINEAR))
        ids = _nearest(read_ids(fit.mask), pixels.shape[:2])
        others: dict[str, NDArray[np.int32]] = {}
        other = by_stem.get(fit.partner)
        if fit.gap > 0 and fit.partner_z > max(fit.own, fit.turn_z) and other and other.mask:
            name = f"mask of {clean(fit.partner, 40)}, which fits better"
            others[name] = _nearest(read_ids(other.mask), pixels.shape[:2])
    except UnreadableError:
        return None
    pixels[_outline(ids)] = _OUTLINE
    return Picture(f"{clean(fit.stem, 60)} (fit {fit.own:.1f})", pixels, ids, others)


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
