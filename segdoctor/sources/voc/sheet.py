"""The contact sheet: the pairs that a person should look at, the mask's outline over the image as
it is, and beside it what fits better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import AlignmentFacts, Pair, PairFit
from segdoctor.core.trial_facts import Picture
from segdoctor.measures.against_files import TURNS, turn
from segdoctor.sources.voc.image_file import UnreadableError, opened_image
from segdoctor.sources.voc.mask_file import read_ids

_PAIRS = 4
_SIDE = 288
_OUTLINE, _AROUND = (255, 0, 255), (0, 0, 0)
_VOID = 255
_BETTER = 1.0  # deviations by which something else must fit better, to be drawn beside it


@dataclass(frozen=True, slots=True)
class _Other:
    """What fits better: another pair's mask on this image, this mask on another image, or this
    mask turned or moved."""

    words: str
    fit: float
    image: str
    mask: str
    turn: str = "as it is"
    moved: tuple[float, float] = (0.0, 0.0)


def contact_sheet(alignment: AlignmentFacts | None, pairs: Sequence[Pair]) -> tuple[Picture, ...]:
    """The worst pairs first: those that lie displaced, and those that something else fits better
    by far; where there are none, the two that fit least."""
    if alignment is None:
        return ()
    displaced = set(alignment.displaced)
    worst = sorted(
        (fit for fit in alignment.pairs if fit.stem in displaced or fit.gap >= _BETTER),
        key=lambda fit: -fit.gap,
    )[:_PAIRS]
    least = sorted(alignment.pairs, key=lambda fit: fit.own)[:2]
    wanted = {fit.partner for fit in worst} | {fit.claimed_by for fit in worst}
    by_stem = {pair.stem: pair for pair in pairs if pair.stem in wanted} if worst else {}
    return tuple(
        picture
        for fit in worst or least
        for picture in _pictures(fit, _other(fit, alignment, by_stem))
    )


def _other(fit: PairFit, alignment: AlignmentFacts, by_stem: Mapping[str, Pair]) -> _Other | None:
    if fit.gap < _BETTER:
        if fit.stem not in alignment.displaced:
            return None
        moved = -alignment.down, -alignment.right
        return _Other("its mask moved back", np.nan, fit.image, fit.mask, moved=moved)
    best = max(fit.partner_z, fit.claimed_z, fit.turn_z)
    if best == fit.turn_z:
        return _Other(f"its mask {fit.turn}", best, fit.image, fit.mask, fit.turn)
    if best == fit.partner_z:
        pair = by_stem.get(fit.partner)
        name = clean(fit.partner, 60)
        if pair is None or pair.mask is None:
            return None
        return _Other(f"with the mask of {name}", best, fit.image, pair.mask)
    pair = by_stem.get(fit.claimed_by)
    if pair is None or pair.image is None:
        return None
    return _Other(f"its mask on the image {clean(fit.claimed_by, 60)}", best, pair.image, fit.mask)


def _pictures(fit: PairFit, other: _Other | None) -> Iterator[Picture]:
    try:
        own, ids = _drawn(_Other("", fit.own, fit.image, fit.mask))
        tiles = {f"as it is: fit {fit.own:.1f}": own}
        if other is not None:
            told = "" if np.isnan(other.fit) else f": fit {other.fit:.1f}"
            tiles[f"{other.words}{told}"] = _drawn(other)[0]
        name = clean(fit.stem, 60)
        yield Picture(name if other else f"{name}: nothing fits it better", own, ids, tiles=tiles)
    except UnreadableError:
        return


def _drawn(what: _Other) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The image with the mask's outline, and the ids at its size."""
    with opened_image(what.image) as image:
        image.draft("RGB", (_SIDE, _SIDE))
        shown = image.convert("RGB")
    scale = _SIDE / max(shown.size)
    size = max(1, round(shown.width * scale)), max(1, round(shown.height * scale))
    pixels = np.array(shown.resize(size, Image.Resampling.BILINEAR))
    ids = read_ids(what.mask)
    if what.turn in TURNS:
        ids = turn(ids, what.turn)
    elif what.turn == "transposed":
        ids = ids.T
    ids = _nearest(ids, pixels.shape[:2])
    down, right = (round(share * side) for share, side in zip(what.moved, ids.shape, strict=True))
    ids = np.roll(ids, (down, right), (0, 1))
    line = _outline(ids)
    pixels[_wider(line)] = _AROUND
    pixels[line] = _OUTLINE
    return pixels, ids


def _nearest(ids: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    rows = np.arange(shape[0]) * ids.shape[0] // shape[0]
    columns = np.arange(shape[1]) * ids.shape[1] // shape[1]
    nearest: NDArray[np.int32] = ids[rows[:, None], columns[None, :]]
    return nearest


def _outline(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where two ids meet; a ring of void is one line, along its inner border."""
    marked = np.zeros(ids.shape, dtype=bool)
    for one, two in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differ = ids[one] != ids[two]
        ground = np.bincount(ids[ids >= 0].ravel()).argmax() if ids.size else 0
        outer = (np.minimum(ids[one], ids[two]) == ground) & (
            np.maximum(ids[one], ids[two]) == _VOID
        )
        marked[one] |= differ & ~outer
    return marked


def _wider(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wide = marked.copy()
    wide[1:] |= marked[:-1]
    wide[:-1] |= marked[1:]
    wide[:, 1:] |= marked[:, :-1]
    wide[:, :-1] |= marked[:, 1:]
    return wide
