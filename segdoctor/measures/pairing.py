"""Which pairs of a set another pairing, a turn or a displacement would explain better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.data_facts import AlignmentFacts, PairFit
from segdoctor.measures.alignment import Fits, fits
from segdoctor.measures.edges import GRID, Float, image_edges, mask_edges

_ALIKE = 0.7  # cosine of two masks' outlines (different VOC masks: at most 0.63)
_FLAT = 2.0  # grey levels of deviation below which an image says nothing


@dataclass(frozen=True, slots=True)
class SmallPair:
    """A pair on the common grid: ``pixels`` uint8 (S, S, channels), ``ids`` integer (S, S)."""

    stem: str
    image: str
    mask: str
    pixels: NDArray[np.uint8]
    ids: NDArray[np.integer]


def alignment(
    pairs: Sequence[SmallPair],
    total: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> AlignmentFacts | None:
    """Fit all masks to all images; None where too few masks have an outline (or ``stopped``).

    Images of next to one colour have no edges to fit to and are left out like such masks."""
    kept: list[SmallPair] = []
    outlines: list[Float] = []
    images = np.empty((len(pairs), 3, GRID, GRID), dtype=np.float32)
    for pair in pairs:
        if stopped():
            return None
        outline = mask_edges(pair.ids)
        if outline is None or pair.pixels.std(axis=(0, 1)).max() < _FLAT:
            continue
        images[len(kept)] = image_edges(pair.pixels)
        kept.append(pair)
        outlines.append(outline)
    return judged(
        kept, images[: len(kept)], outlines, total, len(pairs) - len(kept), stopped=stopped
    )


def judged(
    pairs: Sequence[SmallPair],
    images: Sequence[Float] | Float,
    outlines: Sequence[Float],
    total: int,
    no_outline: int = 0,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> AlignmentFacts | None:
    """The same from edges that are known: ``images[i]`` and ``outlines[i]`` are ``pairs[i]``'s."""
    found = fits(images, outlines, stopped=stopped)
    if found is None:
        return None
    moved = found.displacement
    return AlignmentFacts(
        pairs=_pair_fits(pairs, found, _alike(images, outlines)),
        total=total,
        mean=float(found.own.mean()),
        chance=found.chance,
        no_outline=no_outline,
        displaced=tuple(pairs[i].stem for i in moved.pairs) if moved else (),
        down=moved.down if moved else 0.0,
        right=moved.right if moved else 0.0,
        displaced_chance=moved.chance if moved else 1.0,
        displaced_gain=float(np.median(moved.gains)) if moved else 0.0,
        displaced_elsewhere=moved.elsewhere if moved else 0,
    )


def _alike(images: Sequence[Float] | Float, outlines: Sequence[Float]) -> NDArray[np.bool_]:
    """Which pairs have nearly the same outline and nearly the same edges, each with itself too:
    frames of a film. A copy of another pair's mask beside its own image is not one."""
    alike = np.ones((len(outlines), len(outlines)), dtype=bool)
    for kind in (outlines, images):
        strength = np.stack([edges[0].reshape(-1) for edges in kind])
        strength -= strength.mean(axis=1, keepdims=True)
        strength /= np.linalg.norm(strength, axis=1, keepdims=True)
        alike &= strength @ strength.T >= _ALIKE
    np.fill_diagonal(alike, True)
    return alike


def _pair_fits(
    pairs: Sequence[SmallPair], found: Fits, alike: NDArray[np.bool_]
) -> tuple[PairFit, ...]:
    # A mask that is alike is no other partner: it fits as well by its nature.
    others = np.where(alike, found.z.min() - 1, found.z)
    best_mask, best_image = others.argmax(axis=1), others.argmax(axis=0)
    turns = list(found.turned)
    by_turn = np.stack([found.turned[how] for how in turns])
    best_turn = by_turn.argmax(axis=0)
    own = found.own
    return tuple(
        PairFit(
            stem=pair.stem,
            image=pair.image,
            mask=pair.mask,
            own=float(own[i]),
            partner=pairs[best_mask[i]].stem,
            partner_z=float(others[i, best_mask[i]]),
            partner_own=float(own[best_mask[i]]),
            claimed_by=pairs[best_image[i]].stem,
            claimed_z=float(others[best_image[i], i]),
            claimed_own=float(own[best_image[i]]),
            turn=turns[best_turn[i]],
            turn_z=float(by_turn[best_turn[i], i]),
        )
        for i, pair in enumerate(pairs)
    )
