"""The examples as they are fed, in the words in which masks and images on disk are described."""

from __future__ import annotations

from dataclasses import dataclass

from segdoctor.core.data_facts import AlignmentFacts, PixelFacts


@dataclass(frozen=True, slots=True)
class FedFacts:
    """Some of the examples of the user's own arrays or batches.

    The parts are those of :class:`~segdoctor.core.data_facts.ScanFacts`; in the place of a path
    stands ``example 7``. Statistics of pixels are brought to 0 … 255 by the range of all examples.
    ``not_finite`` names the examples whose image holds NaN or Inf, ``repeated`` groups those whose
    images are equal (of arrays alone: a stream may well hand out an example again).
    """

    examples: int
    pixels: tuple[PixelFacts, ...] = ()
    alignment: AlignmentFacts | None = None
    not_finite: tuple[str, ...] = ()
    repeated: tuple[tuple[str, ...], ...] = ()
