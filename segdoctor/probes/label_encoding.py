"""Class ids that do not fit the class list: out of range, shifted by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdoctor.core.asked import LossAtShape
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_values import (
    AS_FED,
    USUAL_VOIDS,
    LabelValues,
    files_with,
    ids_in_words,
    label_values,
)
from segdoctor.probes.void_on_disk import VoidFolded

if TYPE_CHECKING:
    from segdoctor.measures.palettes import Recognised

_UNKNOWN_CLASSES = "the number of classes is not known (--num-classes or a model would tell)"


@dataclass(frozen=True)
class LabelOutOfRange(Probe):
    """LBL003: some ids lie outside the class list, void aside.

    Where the labels are a proper class list of their own and only the head has another number of
    channels, that is OUT008 and not this.
    """

    code = "LBL003"
    how = (
        "Counts the pixels whose id is not in 0 … classes-1, void aside, in all masks on disk, or "
        "in the batch as fed. The class list is the declared number of classes, else Pascal VOC's "
        "21 where the masks keep to them, else the head's channels."
    )
    why = (
        "A sparse loss looks the class up by its id. An id without a channel makes it raise on a "
        "CPU and gives NaN on a GPU; one-hot encoding turns it silently into a row of zeros."
    )
    fix = "Map the stored ids to 0 … classes-1 when the mask is read, and declare void."
    fine = (
        "The ignore label (255 in Pascal VOC) is left out where it is declared, and a lone 255 or "
        "-1 that no one declared is IGN009. A head with fewer channels than a proper class list "
        "has ids (0, 1, 2, 3 before 3 channels) is OUT008, and ids that run from 1 are LBL008."
    )
    sources = "tensorflow/tensorflow#8484, #5932; divamgupta/image-segmentation-keras#43"

    inside_share: float = field(
        default=0.5,
        metadata={
            "doc": "share of the ids that must be legal for the strays to be called out of "
            "range, where the ids form a list of their own from 0 on"
        },
    )
    gaps: float = field(
        default=0.2,
        metadata={"doc": "share of unused ids up to which ids count as a class list of their own"},
    )
    least: float = field(
        default=0.25,
        metadata={
            "doc": "pixels of a stray id over those of the rarest class from which on it counts "
            "as a class of a list without gaps"
        },
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        rings = _rings(labels)
        places = [
            v
            for v in label_values(labels, scan, declared, head, loss_contract)
            if v.kind != "onehot"
        ]
        if places and places[0].classes is None:
            raise NotExaminedError(_UNKNOWN_CLASSES)
        for values in places:
            limit = self._class_list(values, rings)
            if limit is None or OffByOne().shifted(values) is not None:
                continue
            stray = self._stray(values, limit)
            if stray:
                yield self._found(values, limit, stray, scan)
                return

    def _stray(self, values: LabelValues, classes: int) -> list[float]:
        aside = set() if values.void_denied else {values.void, values.void_or_usual}
        aside |= set() if values.void_denied else set(values.undeclared_voids(1, 1.0))
        aside |= values.masked
        return [
            value
            for value in values.histogram
            if value not in aside and (value < 0 or value >= classes)
        ]

    def _class_list(self, values: LabelValues, rings: frozenset[float]) -> int | None:
        """The length of the class list, None where another finding speaks of it (OUT008)."""
        from segdoctor.measures.palettes import VOC_CLASSES, class_list

        classes = values.classes
        if classes is None or values.classes_declared:
            return classes
        aside = {values.void, *USUAL_VOIDS}
        ids = [value for value in values.histogram if value not in aside]
        outside = [value for value in ids if value < 0 or value >= classes]
        if not outside:
            return classes
        if values.voc_layout and all(0 <= value < VOC_CLASSES for value in ids):
            return VOC_CLASSES
        own = class_list({v: values.histogram[v] for v in ids}, None, self.gaps)
        mostly = len(outside) > (1 - self.inside_share) * len(ids)
        if own is not None and (mostly or self._continued(values, own, ids, rings)):
            return None
        return classes

    def _continued(
        self, values: LabelValues, own: int, ids: list[float], rings: frozenset[float]
    ) -> bool:
        """Whether the ids beyond the head go on where its classes end, as classes do: none is
        missing, none is a ring as void is, and none is much rarer than the classes are. Heads of
        one channel and of VOC's 21 classes are complete."""
        from segdoctor.measures.palettes import VOC_CLASSES

        if values.one_channel or values.classes == VOC_CLASSES:
            return False
        counts = values.histogram
        inside = [counts[v] for v in ids if v < (values.classes or 0)]
        beyond = [v for v in ids if v >= (values.classes or 0)]
        if own != len(ids) or rings.intersection(beyond):
            return False
        return min(counts[v] for v in beyond) >= self.least * min(inside)

    def _found(
        self, values: LabelValues, classes: int, stray: list[float], scan: ScanFacts | None
    ) -> Finding:
        share = values.share_of(stray)
        said = "are declared" if values.classes_declared else "come out of the model"
        message = (
            f"The {values.where} hold the ids {ids_in_words(stray)}, but {classes} classes {said}, "
            f"so only 0 to {classes - 1} can be learnt: {share:.2%} of the pixels have no class."
        )
        on_disk = values.where != AS_FED
        files = files_with(scan, stray) if on_disk else ()
        evidence = [
            Evidence("pixels whose id has no class", share, 0.0, "share", values.where),
            Evidence("largest id", max(values.histogram), classes - 1, "", values.where),
            *(Evidence("a mask that holds such an id", path, where=path) for path in files),
        ]
        legal = classes - 1
        yours = [int(value) for value in sorted(stray)[:3] if value == int(value) and value >= 0]
        code = (
            f"table = np.full({int(max(values.histogram)) + 1}, 255, np.uint8)  # not named: void\n"
            f"table[{[0, *yours]}] = {list(range(len(yours) + 1))}  # yours → 0 … {legal}\n"
            "y = table[y]\n"
            "loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)"
        )
        words = (
            f"Map the ids to 0 … {legal} when the masks are read; if some of them mean “no label”, "
            "declare that one as ignore label. If the class list is longer than the head, give the "
            "head that many channels."
        )
        return self.finding(message, evidence, Fix(words, code))


def _rings(labels: LabelFacts | None) -> frozenset[float]:
    """Ids that are a thin ring around everything in some example as fed."""
    fold = VoidFolded()
    limits = (fold.core, fold.part, fold.direct)
    masks = labels.masks if labels is not None else ()
    found = {mask.shape.ring(mask.histogram, *limits) for mask in masks}
    return frozenset(float(label) for label in found if label is not None)


@dataclass(frozen=True)
class OffByOne(Probe):
    """LBL008: ids run from 1 to the number of classes, and none is 0."""

    code = "LBL008"
    how = (
        "Looks for labels in which no pixel is 0 and the largest id is the number of classes, void "
        "aside."
    )
    why = (
        "Channels count from 0. With ids from 1 the last class has no channel (an error or NaN) "
        "and channel 0 is never learnt."
    )
    fix = "Subtract 1 when the masks are read (Oxford-IIIT pets' trimaps are 1, 2, 3)."
    fine = (
        "Labels whose largest id has a channel, even if no pixel is 0, are sound; a loss may "
        "subtract the 1 itself: it is then less where the class one below the id is predicted."
    )
    sources = "keras-team/keras-io#313, #315"

    coverage: float = field(
        default=0.5,
        metadata={"doc": "share of the ids 1 … classes that must occur"},
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        places = [v for v in label_values(labels, scan, declared, head) if v.kind != "onehot"]
        if places and places[0].classes is None:
            raise NotExaminedError(_UNKNOWN_CLASSES)
        for values in places:
            classes = values.classes or 0
            found = self.shifted(values)
            if found is None or _shifted_inside(values, loss_at_shape):
                continue
            top = values.share_of((float(classes),))
            message = (
                f"The {values.where} hold the ids {ids_in_words(found.ids)} and never 0: they count"
                f" from 1, while {classes} channels count from 0. Class {classes} has no channel "
                "and channel 0 no pixel."
            )
            code = "y = np.where(y == 255, 255, y - 1)   # void stays void"
            words = "Subtract 1 from every id but void, so that classes count from 0."
            yield self.finding(
                message,
                (
                    Evidence("pixels of class 0", 0.0, None, "share", values.where),
                    Evidence(f"pixels of id {classes}", top, 0.0, "share", values.where),
                    Evidence("largest id", float(classes), classes - 1, "", values.where),
                    *(
                        Evidence("a mask of that id", path, where=path)
                        for path in (
                            () if values.where == AS_FED else files_with(scan, (float(classes),))
                        )
                    ),
                ),
                Fix(words, code, {"labels.shift": -1}),
            )
            return

    def shifted(self, values: LabelValues) -> Recognised | None:
        """The ids as ones that begin at 1, None where they are not."""
        from segdoctor.measures.palettes import as_shifted

        classes = values.classes or 0
        found = as_shifted(values.histogram, classes, values.void_or_usual)
        return found if found and len(found.ids) >= self.coverage * classes else None


def _shifted_inside(values: LabelValues, asked: LossAtShape | None) -> bool:
    """Whether the loss takes ids from 1 on: it is less where each pixel is said to be the class
    one below its id."""
    if values.where != AS_FED or asked is None or asked.right is None or asked.wrong is None:
        return False
    return asked.right < asked.wrong
