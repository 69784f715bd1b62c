"""What a data set folder is, as data: pairs, splits, masks' ids, and what is wrong with files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from segdoctor.core.data_sums import DataSums
from segdoctor.core.trial_facts import Picture


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
    the colours beyond the first 256) and the histogram is empty. ``fractions`` maps values that are
    no whole numbers (of arrays and TIFFs of floats; the 256 most frequent) to pixels.
    """

    path: str
    mode: str
    size: tuple[int, int]
    histogram: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[str, int] = field(default_factory=dict)
    voc_palette: bool = False
    fractions: Mapping[float, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One broken or mismatched file: the code it belongs to, the path and the reason."""

    code: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image as its header says: mode, (width, height) as stored, size of the file in bytes,
    which file it is on the disk (device and inode; (0, 0) where unknown), EXIF orientation."""

    path: str
    mode: str
    size: tuple[int, int]
    bytes: int
    file: tuple[int, int] = (0, 0)
    orientation: int = 1


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """One image of the sample, decoded: least and largest value, mean and deviation of each
    channel (0 to 255), and its perceptual hash as hexadecimal digits. ``bar`` is the share of the
    picture that is a bar of one colour along a border, ``bar_label`` the id that the mask has
    there ("" where there is no bar, or several ids)."""

    stem: str
    path: str
    low: int
    high: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    hash: str = ""
    bar: float = 0.0
    bar_label: str = ""


@dataclass(frozen=True, slots=True)
class ShapeFacts:
    """How the ids of one mask of the sample lie.

    ``edges`` counts the places where neighbours differ by two or more, ``ramps`` the pixels that
    lie strictly between their neighbours on both sides, ``speckles`` those that differ a little
    from their neighbours (of ``speckle_values`` different values). ``core`` maps each id to its
    pixels that only have their own kind within three pixels. ``borders`` counts the places where
    two neighbours differ, and ``touches`` maps each id to those that it has a part in.
    """

    path: str
    edges: int
    ramps: int
    speckles: int
    core: Mapping[int, int] = field(default_factory=dict)
    borders: int = 0
    touches: Mapping[int, int] = field(default_factory=dict)
    speckle_values: int = 0

    def ring(
        self, histogram: Mapping[int, int], core: float, part: float, direct: float
    ) -> int | None:
        """The id that is a thin line around everything else: of its pixels at most the share
        ``core`` is three pixels inside, it has its part in ``part`` of all borders, and it lies
        between two others: of the borders that these have (the widest of them aside) at most the
        share ``direct`` is not with it. A thin object on one background is no ring."""
        for label, count in self.touches.items():
            thin = self.core.get(label, 0) <= core * histogram.get(label, 0)
            others = sorted(n for other, n in self.touches.items() if other != label)
            parted = self.borders - count <= direct * sum(others[:-1])
            if thin and len(others) > 1 and count >= part * self.borders and parted:
                return label
        return None


@dataclass(frozen=True, slots=True)
class Overlap:
    """One example that two splits share. ``by``: ``"name"``, ``"bytes"`` (the same file under two
    names) or ``"picture"`` (the same picture, coded anew or scaled)."""

    by: str
    split: str
    other_split: str
    stem: str
    other_stem: str
    image: str
    other_image: str


@dataclass(frozen=True, slots=True)
class PairFit:
    """How well a mask's outline follows the edges of its image, and what would fit better.

    All as z: standard normal for a mask of another image. ``partner`` is the stem of the other
    mask that fits this image best, ``partner_own`` that mask's fit to its own image; ``claimed_by``
    the stem of the other image that this mask fits best, ``claimed_own`` that image's fit to its
    own mask. ``turn`` is how the mask must be turned to fit best.
    """

    stem: str
    image: str
    mask: str
    own: float
    partner: str
    partner_z: float
    partner_own: float
    claimed_by: str
    claimed_z: float
    claimed_own: float
    turn: str
    turn_z: float

    @property
    def gap(self) -> float:
        """By how much the best alternative fits better."""
        return max(self.partner_z, self.claimed_z, self.turn_z) - self.own


@dataclass(frozen=True, slots=True)
class AlignmentFacts:
    """Do the outlines of the masks follow the edges of their images?

    ``chance`` is the probability that a random pairing fits as well (permutation test).
    ``displaced`` are the stems of the pairs whose mask fits best at one and the same other place,
    ``down`` and ``right`` (shares of height and width) how far the mask lies from it, and
    ``displaced_chance`` the probability that one pair points there by chance, ``displaced_gain``
    by how much better they fit there (median), ``displaced_elsewhere`` how many pairs fit best just
    as far away in other directions. ``no_outline``
    counts the pairs whose mask has one region only, ``total`` all pairs of the set.
    """

    pairs: tuple[PairFit, ...]
    total: int
    mean: float
    chance: float
    no_outline: int = 0
    displaced: tuple[str, ...] = ()
    down: float = 0.0
    right: float = 0.0
    displaced_chance: float = 1.0
    displaced_gain: float = 0.0
    displaced_elsewhere: int = 0

    @property
    def sharpness(self) -> float:
        """How well masks of this kind fit where they fit best, whichever image or turn that is:
        the median over all pairs. Coarse masks, and objects without edges, fit nowhere well."""
        best = sorted(max(pair.own, pair.partner_z, pair.turn_z) for pair in self.pairs)
        return best[len(best) // 2] if best else 0.0


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """The data set as it lies on disk.

    ``histogram`` sums the masks' ids over all pairs examined (after ``label_map``), ``fractions``
    those of their values that are no whole numbers, ``presence``
    counts the masks that hold each id (``split_presence`` those of each split, ``together`` those
    that hold both of two ids). ``pairs`` are those
    of all lists that define pairs; ``split`` names the one that is trained on. ``void`` is the
    ignore label where the layout or the user declares one (None: unknown, False: there is none).
    """

    folder: str
    layout: str
    pairs: Sequence[Pair]
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    split: str = "all"
    masks: Sequence[MaskFacts] = ()
    histogram: Mapping[int, int] = field(default_factory=dict)
    fractions: Mapping[float, int] = field(default_factory=dict)
    presence: Mapping[int, int] = field(default_factory=dict)
    split_presence: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    together: Mapping[tuple[int, int], int] = field(default_factory=dict)
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
    images: Sequence[ImageFacts] = ()
    pixels: Sequence[PixelFacts] = ()  # of the sample
    shapes: Sequence[ShapeFacts] = ()  # of the sample
    overlaps: tuple[Overlap, ...] = ()
    repeated: tuple[tuple[str, ...], ...] = ()  # groups of paths that are the same file's bytes
    published: Mapping[str, str] = field(default_factory=dict)  # split → the list that it is
    published_val: Mapping[str, int] = field(default_factory=dict)  # split → names of VOC's val
    alignment: AlignmentFacts | None = None  # None: too few pairs with an outline
    sheet: tuple[Picture, ...] = field(
        default=(), compare=False
    )  # the pairs to be looked at, the worst first
    sums: DataSums | None = None  # None: not counted yet (see data_sums)
    looked_at: Mapping[str, MaskFacts] | None = None  # the masks of ``shapes``, by their paths

    @property
    def trained_on(self) -> tuple[Pair, ...]:
        """The pairs of the split that is trained on (all of them where ``split`` is ``"all"``)."""
        if self.split not in self.splits:
            return tuple(self.pairs)
        listed = set(self.splits[self.split])
        return tuple(pair for pair in self.pairs if pair.stem in listed)
