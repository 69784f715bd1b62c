"""What was answered to questions at the batch's own shape, and what became of its void."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdoctor.core.measured import Answer


@dataclass(frozen=True, slots=True)
class LossAtShape:
    """The loss on the real labels, at the real shape and type, for predictions that we make.

    ``right``, ``wrong``, ``background`` (the most frequent class everywhere, named by
    ``background_class``) and ``undecided`` are values of the loss. ``agreement``: whether other
    labels at the pixels move the gradient where they should (−1 … 1; near 0: they broadcast).
    ``gradient_total`` is the sum of ``|gradient|`` over all entries at an undecided prediction, and
    ``gradient_shares`` / ``pixel_shares`` map each class of the labels to its part of it and of
    the valid pixels. ``not_finite`` and ``raises`` name the first case that was no number or
    failed.
    """

    shape: tuple[int, ...]
    dtype: str
    right: float | None = None
    wrong: float | None = None
    background: float | None = None
    undecided: float | None = None
    background_class: int = 0
    agreement: float | None = None
    gradient_total: float | None = None
    gradient_shares: Mapping[int, float] = field(default_factory=dict)
    pixel_shares: Mapping[int, float] = field(default_factory=dict)
    not_finite: str = ""
    raises: str = ""
    answers: tuple[Answer, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class VoidTrail:
    """What stands at the pixels that are void in the masks, station by station.

    ``label``: the ignore label. ``on_disk``: share of void in the masks on disk, None where no
    folder was read. ``pixels`` and ``all_pixels``: of the batch. ``truth_known``: the true ids are
    known apart from the labels as fed. ``as_fed``: what the labels say at the void pixels → pixels:
    ``"255"``, ``"row of zeros"``, ``"row of 255"``, ``"255 in one channel"``, ``"class 0"``, …
    ``padding_as_fed``: the same for those of them that lie in a constant border of the image.
    ``weightless``: void pixels whose sample weight is 0. ``classes``: real classes.
    """

    label: int
    pixels: int
    all_pixels: int
    classes: int
    truth_known: bool = False
    on_disk: float | None = None
    as_fed: Mapping[str, int] = field(default_factory=dict)
    padding_as_fed: Mapping[str, int] = field(default_factory=dict)
    weightless: int = 0


@dataclass(frozen=True, slots=True)
class MetricContract:
    """What a metric gives for predictions of known quality, as ``fit`` calls it.

    ``values``: question → value (None: no number), ``facts``: what follows. ``arranged``: the
    arrangement of the prediction under which it works though it does not as fed, ``""`` for none.
    ``on_batch``: values on the real labels for ``"right"``, ``"background"`` and ``"now"``.
    """

    name: str
    raises: str = ""
    values: Mapping[str, float | None] = field(default_factory=dict)
    facts: Mapping[str, float | str | bool | None] = field(default_factory=dict)
    arranged: str = ""
    on_batch: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
