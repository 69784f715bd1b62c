"""The examples as they are fed, in the words in which masks and images on disk are described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdoctor.core.data_facts import AlignmentFacts, PixelFacts


@dataclass(frozen=True, slots=True)
class FedFacts:
    """Some of the examples of the user's own arrays or batches.

    The parts are those of :class:`~segdoctor.core.data_facts.ScanFacts`; in the place of a path
    stands ``example 7``. Statistics of pixels are brought to 0 … 255 by the range of all examples.
    ``not_finite`` names the examples whose image holds NaN or Inf, ``repeated`` groups those whose
    images are equal (of arrays alone: a stream may well hand out an example again). ``classes``:
    id → its pixels on a coarse grid, over the examples whose labels are whole ids.
    """

    examples: int
    pixels: tuple[PixelFacts, ...] = ()
    alignment: AlignmentFacts | None = None
    not_finite: tuple[str, ...] = ()
    repeated: tuple[tuple[str, ...], ...] = ()
    classes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgainstFiles:
    """Examples as fed beside the files that they were made of.

    ``files`` maps the number of an example to the stem of its file and the turn of its image
    (``"as it is"``, ``"mirrored"``, …). ``turned_apart`` names those whose label is turned in
    another way than their image. ``became`` maps each id of the files' masks to what it is in the
    labels as fed → pixels, on a coarse grid. ``void`` is the files' ignore label,
    ``classes`` the number of their classes.
    """

    examples: int
    files: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    turned_apart: tuple[str, ...] = ()
    became: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    void: int | None = None
    classes: int | None = None
