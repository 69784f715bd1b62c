"""The values that the labels hold: on disk, where the folder was read, and as fed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError

_SEVERAL = 1.5  # sum of a one-hot row from which on it says more than one class
_MARK = 250  # and below which it is no void

ON_DISK = "masks on disk"
AS_FED = "labels as fed"
USUAL_VOIDS = (255.0, -1.0)


@dataclass(frozen=True, slots=True)
class LabelValues:
    """Values → pixels of one place, and what is known of them.

    ``classes``: declared, else the head's channels (2 for a head of one channel), None if neither
    is known. ``void``: the ignore label as declared, None if there is none or it is unknown;
    ``void_by`` says who declared it, ``void_denied`` that the user said there is none. ``masked``:
    ids that are no class and that the loss leaves out of its own accord.
    """

    where: str
    kind: str
    histogram: Mapping[float, int]
    classes: int | None
    classes_declared: bool
    one_channel: bool
    void: float | None
    void_by: str
    void_denied: bool
    voc_layout: bool = False
    masks: int = 0
    masked: frozenset[float] = frozenset()

    @property
    def pixels(self) -> int:
        return sum(self.histogram.values())

    def share_of(self, values: Iterable[float]) -> float:
        """Share of the pixels that hold one of ``values``."""
        total = self.pixels
        return sum(self.histogram.get(value, 0) for value in values) / total if total else 0.0

    @property
    def two_valued(self) -> bool:
        """Zero and one larger value, and nothing else."""
        return len(self.histogram) == 2 and 0 in self.histogram and min(self.histogram) == 0

    @property
    def scale_void(self) -> float | None:
        """The void label as far as it cannot be a scaled id: of a two-valued mask before one
        output channel, or where only the layout's habit declares it, the larger value is no
        void."""
        doubtful = self.two_valued and (self.one_channel or self.void_by in ("", "layout"))
        return None if doubtful else self.void

    @property
    def void_or_usual(self) -> float | None:
        """The void label, or where none is declared or denied a usual one that stands alone."""
        if self.void is not None or self.void_denied:
            return self.void
        return next(iter(self.undeclared_voids(1, 0.5)), None)

    def undeclared_voids(self, gap: int, most_share: float) -> tuple[float, ...]:
        """Usual void labels that occur, that no one declared and that are no class: at least
        ``gap`` ids away from the next one, and on at most ``most_share`` of the pixels."""
        found = []
        for value in USUAL_VOIDS:
            others = [other for other in self.histogram if other != value]
            known = value == self.void or value in self.masked
            if value not in self.histogram or known or not others:
                continue
            legal = self.classes is not None and 0 <= value < self.classes
            near = min(abs(value - other) for other in others) < gap
            # From -1 on class ids go on at 0: there is no gap to look for.
            if legal or (near and value > 0) or self.share_of((value,)) > most_share:
                continue
            found.append(value)
        return tuple(found)


def label_values(
    labels: LabelFacts | None,
    scan: ScanFacts | None,
    declared: Declared | None,
    head: HeadFacts | None,
    contract: LossContract | None = None,
) -> tuple[LabelValues, ...]:
    """What the masks on disk hold, and what is fed where that is not made of those masks.

    Raises
    ------
    NotExaminedError
        There is neither.
    """
    if labels is None and scan is None:
        raise NotExaminedError("there are no labels (--data or data= would give some)")
    void, by, denied = _void(declared, scan)
    classes, sure = _classes(declared, head)
    own = contract is not None and not (declared is not None and declared.loss_stand_in)
    told = str(contract.facts.get("masked", "")) if contract is not None and own else ""
    masked = frozenset(float(value) for value in told.split())
    found = []

    def values(where: str, kind: str, histogram: Mapping[float, int], masks: int) -> LabelValues:
        return LabelValues(
            where=where,
            kind=kind,
            histogram=histogram,
            classes=classes,
            classes_declared=sure,
            one_channel=head is not None and head.channels == 1,
            void=void,
            void_by=by,
            void_denied=denied,
            voc_layout=scan is not None and scan.layout.startswith("Pascal VOC"),
            masks=masks,
            masked=masked,
        )

    if scan is not None and (scan.histogram or scan.fractions):
        histogram = {float(label): count for label, count in scan.histogram.items()}
        histogram |= {round(value, 9): count for value, count in scan.fractions.items()}
        found.append(values(ON_DISK, "ids", histogram, len(scan.masks)))
    from_folder = scan is not None and declared is not None and declared.source == "folder"
    if labels is not None and not from_folder:
        found.append(values(AS_FED, labels.kind, labels.histogram, labels.shape[0]))
    return tuple(found)


def _void(declared: Declared | None, scan: ScanFacts | None) -> tuple[float | None, str, bool]:
    sources = []
    if declared is not None:
        sources.append((declared.ignore_label, declared.ignore_declared_by))
    if scan is not None:
        sources.append((scan.void, scan.void_declared_by))
    for label, by in sources:
        if label is False:
            return None, by, True
        if label is not None:
            return float(label), by or "user", False
    return None, "", False


def _classes(declared: Declared | None, head: HeadFacts | None) -> tuple[int | None, bool]:
    if declared is not None and declared.num_classes is not None and declared.num_classes_declared:
        return max(declared.num_classes, 2), True
    if head is not None:
        return max(head.channels, 2), False
    if declared is not None and declared.num_classes is not None:
        return max(declared.num_classes, 2), False
    return None, False


def says_several(labels: LabelFacts) -> bool:
    """Whether some pixels have several classes at once, of the rows that are no void."""
    return labels.kind == "onehot" and any(
        _SEVERAL < value < _MARK and count for value, count in labels.row_sums.items()
    )


def ids_in_words(values: Iterable[float], most: int = 8) -> str:
    """``38, 75, 147 …``"""
    ordered = sorted(values)
    shown = ", ".join(f"{value:g}" for value in ordered[:most])
    return f"{shown} … {ordered[-1]:g}" if len(ordered) > most else shown


def files_with(scan: ScanFacts | None, values: Iterable[float], most: int = 3) -> tuple[str, ...]:
    """Paths of some masks that hold one of ``values`` as stored; none under a label map."""
    if scan is None or scan.label_map:
        return ()
    wanted = set(values)
    paths = (
        mask.path
        for mask in scan.masks
        if wanted.intersection(mask.histogram)
        or wanted.intersection(round(value, 9) for value in mask.fractions)
    )
    return tuple(path for path, _ in zip(paths, range(most), strict=False))
