"""What a data set folder is, as data: pairs, splits, masks' ids, and what is wrong with files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pair:
    """One example: its stem, and the paths of image and mask (None where missing)."""

    stem: str
    image: str | None
    mask: str | None


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """One mask as stored. ``histogram`` maps each id to its pixels; ids are the palette's indices
    for mode P. For colour masks ``colours`` maps ``"r,g,b"`` to pixels (and ``"other"`` to those of
    the colours beyond the first 256) and the histogram is empty.
    """

    path: str
    mode: str
    size: tuple[int, int]
    histogram: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[str, int] = field(default_factory=dict)
    voc_palette: bool = False


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One broken or mismatched file: the code it belongs to, the path and the reason."""

    code: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """The data set as it lies on disk.

    ``histogram`` sums the masks' ids over all pairs examined (after ``label_map``), ``presence``
    counts the masks that hold each id. ``pairs`` are those of all lists that define pairs;
    ``split`` names the one that is trained on. ``void`` is the ignore label where the layout or
    the user declares one (None: unknown, False: there is none).
    """

    folder: str
    layout: str
    pairs: tuple[Pair, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: str = "all"
    masks: tuple[MaskFacts, ...] = ()
    histogram: Mapping[int, int] = field(default_factory=dict)
    presence: Mapping[int, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    images_total: int = 0
    masks_total: int = 0
    images_unlisted: int = 0
    decoded: int = 0
    not_decoded: int = 0
    void: int | bool | None = None
    void_declared_by: str = ""
    label_map: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    interrupted: bool = False  # True: what was found before Ctrl-C

    @property
    def trained_on(self) -> tuple[Pair, ...]:
        """The pairs of the split that is trained on (all of them where ``split`` is ``"all"``)."""
        if self.split not in self.splits:
            return self.pairs
        listed = set(self.splits[self.split])
        return tuple(pair for pair in self.pairs if pair.stem in listed)
