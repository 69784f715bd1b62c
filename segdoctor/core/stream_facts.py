"""How the user's own batches behave from one to the next, as measured values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchScale:
    """One batch of images: least and largest value, mean and deviation over all, deviation of the
    means of its images, and the step between its values (0 where they are not all whole steps
    apart)."""

    low: float
    high: float
    mean: float
    deviation: float
    means_apart: float
    step: float


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the first batches of a stream say beside each other.

    ``kind`` as in :class:`segdoctor.sources.batches.Taken`. ``overwritten`` names what changed in
    a batch (``"x"``, ``"y"``) once the next one was taken. ``again`` counts examples that came
    more than once, ``other_label`` those whose label was another one then, and ``turned_image``
    those whose label came again, the same, with its image turned. ``same_order``: a second pass
    gave the same examples in the same order (None: there was none). ``alike`` counts the batches
    that hold nothing new beside the first one. ``length``: batches of an epoch where known.
    ``sorted_by``: what neighbours share that ones drawn at random would not (``"class"``,
    ``"picture"``, ``""``). ``turned_apart`` counts the images that came again turned in another
    way than their label, ``rescaled`` is the largest change of one picture's scale between two
    batches (0: none).
    """

    kind: str
    batches: int
    examples: int
    scales: tuple[BatchScale, ...]
    overwritten: tuple[str, ...] = ()
    again: int = 0
    other_label: int = 0
    turned_image: int = 0
    same_order: bool | None = None
    alike: int = 0
    length: int | None = None
    sorted_by: str = ""
    turned_apart: int = 0
    rescaled: float = 0.0
