"""Delta debugging: the smallest set of fixes with which the run learns.

Zeller & Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, IEEE TSE 28(2), 2002:
the *ddmin* algorithm, here over a handful of fixes and with an early stop when time is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

Item = TypeVar("Item")


def ddmin(
    items: Sequence[Item], passes: Callable[[tuple[Item, ...]], bool | None]
) -> tuple[tuple[Item, ...], bool]:
    """A subset of ``items`` that passes and of which no single item can be left out.

    Parameters
    ----------
    items : a set that passes.
    passes : whether a subset passes; None if there was no time to find out (taken as no).

    Returns
    -------
    (subset, settled) : ``settled`` is False if some subset could not be tried, so that a smaller
        one may exist.
    """
    current = tuple(items)
    parts = 2
    settled = True

    def holds(subset: tuple[Item, ...]) -> bool:
        nonlocal settled
        answer = passes(subset)
        if answer is None:
            settled = False
        return bool(answer)

    while len(current) >= 2:
        bounds = [round(i * len(current) / parts) for i in range(parts + 1)]
        chunks = [current[a:b] for a, b in pairwise(bounds)]
        smaller = next((chunk for chunk in chunks if holds(chunk)), None)
        if smaller is not None:
            current, parts = smaller, 2
            continue
        # With two chunks, the complement of one is the other: it has just been tried.
        rests = [tuple(i for i in current if i not in chunk) for chunk in chunks]
        rest = None if parts == 2 else next((r for r in rests if holds(r)), None)
        if rest is not None:
            current, parts = rest, max(parts - 1, 2)
        elif parts < len(current):
            parts = min(2 * parts, len(current))
        else:
            break
    return current, settled
