"""By how much the masks of a set are displaced against their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdoctor.measures.edges import Float

_REACH = 24  # cells around the middle that are searched
_STEP = 2  # cells that a displacement must have at least
_RING = 1.5  # half the width of the ring on which other directions are counted
_CELLS = 9  # that count as one place


@dataclass(frozen=True, slots=True)
class Displacement:
    """The displacement that most of the displaced pairs share, in shares of height and width
    (positive: the mask lies below, to the right). ``pairs`` are those whose outline fits best
    there (to one cell), ``gains`` by how much better in z than where it is, ``elsewhere`` how many
    fit best just as far away in other directions (outlines drawn too wide do), ``chance`` the
    probability that a given pair would point there by chance: as many do in other directions, just
    as far away."""

    down: float
    right: float
    pairs: tuple[int, ...]
    gains: tuple[float, ...]
    chance: float
    elsewhere: int = 0


def common_displacement(
    images: Sequence[Float] | Float, outlines: Sequence[Float], scale: NDArray[np.float64]
) -> Displacement | None:
    """Where outlines fit best, if it is not where they are.

    The fit at all displacements at once is the cross-correlation of the edge maps, by Fourier
    transforms. ``scale`` (N,) turns a pair's fit into z. None where fewer than two pairs agree.
    """
    side = images[0].shape[-1]
    reach = min(_REACH, side // 4)
    best = np.zeros((len(images), 2), dtype=np.intp)
    gains = np.zeros(len(images))
    for i, (edges, outline) in enumerate(zip(images, outlines, strict=True)):
        around = _around(edges, outline, reach)
        top = np.unravel_index(int(around.argmax()), around.shape)
        best[i] = np.array(top) - reach
        gains[i] = (around[top] - around[reach, reach]) / scale[i]
    away = np.flatnonzero(np.hypot(best[:, 0], best[:, 1]) >= _STEP)
    if len(away) < 2:
        return None
    near = np.abs(best[away][:, None] - best[away][None]).max(axis=-1) <= 1
    middle = int(near.sum(axis=1).argmax())
    members = away[near[middle]]
    if len(members) < 2:
        return None
    down, right = (best[members].mean(axis=0) / side).tolist()
    return Displacement(
        # The outline must go there, so it lies the other way.
        down=-float(down),
        right=-float(right),
        pairs=tuple(members.tolist()),
        gains=tuple(gains[members].tolist()),
        chance=_chance(best, members, reach),
        elsewhere=len(_on_the_ring(best, members)),
    )


def _chance(best: NDArray[np.intp], members: NDArray[np.intp], reach: int) -> float:
    """Probability that a pair points to within one cell of where the members do.

    Outlines are coarse, so best fits scatter around the right place: other directions tell how
    many lie that far off. Far away, where there is nothing, all places are alike.
    """
    away = np.hypot(*best[members].mean(axis=0))
    others = _on_the_ring(best, members)
    cells = 2 * np.pi * away * 2 * _RING - _CELLS
    around = len(others) * _CELLS / max(cells, _CELLS) / len(best)
    return float(max(around, _CELLS / (2 * reach + 1) ** 2))


def _on_the_ring(best: NDArray[np.intp], members: NDArray[np.intp]) -> NDArray[np.intp]:
    """The other pairs whose best fit is as far away as the members'."""
    away = np.hypot(*best[members].mean(axis=0))
    distance = np.hypot(best[:, 0], best[:, 1])
    return np.setdiff1d(np.flatnonzero(np.abs(distance - away) <= _RING), members)


def _around(edges: Float, outline: Float, reach: int) -> NDArray[np.float64]:
    """Fit of the outline moved by -reach … reach cells, shape (2 reach + 1, 2 reach + 1)."""
    side = edges.shape[-1]
    # Wide enough that nothing comes in again on the other side; a multiple of 32 is quick.
    wide = -(-(side + reach) // 32) * 32
    size = (wide, wide)
    spectrum = (np.fft.rfft2(edges, size) * np.fft.rfft2(outline, size).conj()).sum(axis=0)
    whole = np.fft.irfft2(spectrum, size)
    index = np.arange(-reach, reach + 1)
    around: NDArray[np.float64] = whole[np.ix_(index, index)]
    return around
