"""Void that the masks on disk have lost: folded into a class, made a class, or simply gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.asked import VoidTrail
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import looked_at_masks, sums_of
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.void_as_class import (
    NO_FOLDER,
    either,
    extra,
    extra_from_files,
    folded,
    folded_from_files,
)
from segdoctor.probes.void_rings import extra_ring, folded_ring

_USUAL = (255, -1)
_VOC_CLASSES = 21
_NONE_DECODED = "no mask of the sample could be decoded"


def file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def is_voc(scan: ScanFacts) -> bool:
    """Whether the examples are Pascal VOC's own, whose masks all have void: by their names."""
    return sums_of(scan).voc_named > 0.9 * len(scan.pairs)


def _of_voc(scan: ScanFacts) -> bool:
    """Whether the set is Pascal VOC by its names or laid out like it, so that void is 255."""
    return is_voc(scan) or scan.layout.startswith("Pascal VOC")


def void_of(scan: ScanFacts, declared: Declared | None) -> int | None:
    label = scan.void
    if label is None and declared is not None:
        label = declared.ignore_label
    if label is False:
        return None
    return 255 if label is None else int(label)


def with_and_without(scan: ScanFacts, void: int) -> tuple[int, int]:
    """Of the masks of two ids or more, which in a set with void rings have one: how many have."""
    sums = sums_of(scan)
    holding = sums.several_with.get(void, 0)
    return holding, sums.several - holding


def _rings(scan: ScanFacts, core: float, part: float, direct: float) -> Counter[int]:
    """Id → masks of the sample in which it is a thin ring around everything."""
    masks = looked_at_masks(scan)
    rings = Counter(
        shape.ring(masks[shape.path].histogram, core, part, direct)
        for shape in scan.shapes
        if shape.borders and shape.path in masks
    )
    return Counter({label: count for label, count in rings.items() if label is not None})


def _real_ring(scan: ScanFacts, probe: VoidFolded | VoidAsClass) -> int | None:
    """The id that is a ring in nearly all masks and stands amid the class list: a real class, into
    which void was folded. None where there is none, or where it may be a class of its own (0, or
    the last one)."""
    looked = sum(bool(shape.borders) for shape in scan.shapes)
    rings = _rings(scan, probe.core, probe.part, probe.direct)
    if looked < probe.fewest or not rings:
        return None
    label, count = rings.most_common(1)[0]
    top = max((value for value in scan.histogram if value not in _USUAL), default=0)
    return label if 0 < label < top and count >= probe.masks * looked else None


@dataclass(frozen=True)
class VoidFolded(Probe):
    """IGN004: void was clipped, wrapped or cast into a real class."""

    code = "IGN004"
    how = (
        "At the void pixels of the masks, the labels as fed are read: do they hold a class that "
        "counts? In masks that should have void and have none, looks for a class that is nothing "
        "but a thin ring around everything else: hardly a pixel of it lies three pixels inside, "
        "and it has its part in nearly every border."
    )
    why = (
        "`np.clip(mask, 0, 20)` turns the void ring into TV sets around every object: the class is "
        "learnt as an outline."
    )
    fix = "Keep void apart (255) until the loss leaves it out."
    fine = "Thin classes such as poles touch few of the borders. Borders drawn on purpose: IGN005."
    sources = "tensorflow/models#3739; measured on VOC: void has 23 % of its pixels inside"

    core: float = field(
        default=0.35, metadata={"doc": "share of its pixels that a ring may have inside"}
    )
    part: float = field(default=0.9, metadata={"doc": "share of all borders that it has a part in"})
    direct: float = field(
        default=0.25,
        metadata={"doc": "share of the objects' borders not with it (160 VOC masks: at most 0.05)"},
    )
    with_void: float = field(
        default=0.8, metadata={"doc": "share of the masks with void that makes it usual"}
    )
    masks: float = field(
        default=0.8, metadata={"doc": "share of the masks with the ring, where no void is known"}
    )
    fewest: int = field(default=8, metadata={"doc": "masks that it needs then"})
    smooth: float = field(
        default=0.2, metadata={"doc": "share of ramps from which on a ring is LBL006's doing"}
    )
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        void_trail: VoidTrail | None = None,
        loss_contract: LossContract | None = None,
        loss_as_run: LossAsRun | None = None,
        against_files: AgainstFiles | None = None,
        labels: LabelFacts | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        def from_files() -> Iterator[Finding]:
            for told in folded_from_files(against_files):
                yield self.finding(*told)

        def as_fed() -> Iterator[Finding]:
            for told in folded(declared, void_trail, loss_contract, loss_as_run):
                yield self.finding(*told)

        def rings() -> Iterator[Finding]:
            for told in folded_ring(labels, declared, head, self.core, self.part, self.direct):
                yield self.finding(*told)

        yield from either(lambda: self._on_disk(scan, declared), as_fed, from_files, rings)

    def _on_disk(self, scan: ScanFacts | None, declared: Declared | None) -> Iterator[Finding]:
        if scan is None or not scan.shapes:
            raise NotExaminedError(NO_FOLDER if scan is None else _NONE_DECODED)
        void = void_of(scan, declared)
        if void is None:
            return
        holding, count = with_and_without(scan, void)
        usual = holding >= self.with_void * (holding + count)
        if not count or not (usual or _of_voc(scan) or _real_ring(scan, self) is not None):
            return
        classes = _VOC_CLASSES if _of_voc(scan) else 256
        if declared is not None and declared.num_classes is not None:
            classes = min(classes, max(declared.num_classes, 2))
        lost = {
            path: mask
            for path, mask in looked_at_masks(scan).items()
            if len(mask.histogram) > 1 and void not in mask.histogram
        }
        rings: dict[str, int] = {}
        for shape in scan.shapes:
            smooth = shape.ramps > self.smooth * (shape.ramps + shape.edges)
            if shape.path in lost and not smooth:
                ring = shape.ring(lost[shape.path].histogram, self.core, self.part, self.direct)
                if ring is not None and ring not in _USUAL and 0 <= ring < classes:
                    rings[shape.path] = ring
        if not rings:
            return
        (label, count), *_ = Counter(rings.values()).most_common(1)
        paths = [path for path, ring in rings.items() if ring == label]
        message = (
            f"In {count:,} masks void has become class {label}: a thin ring around everything, and "
            f"no {void} left ({file_name(paths[0])})."
        )
        evidence = [Evidence(f"masks with a ring of class {label}", count, 0, "masks")]
        evidence += [
            Evidence("a ring instead of void", label, void, "", path)
            for path in paths[: self.shown]
        ]
        words = f"Do not clip or cast the masks: keep {void} until the loss leaves it out."
        code = f"y = np.where(mask == {void}, {void}, np.clip(mask, 0, {label}))"
        patch = {"labels.restore": label, "loss.ignore_class": void} if void == _USUAL[0] else {}
        yield self.finding(message, evidence, Fix(words, code, patch))


@dataclass(frozen=True)
class VoidAsClass(Probe):
    """IGN005: void is learnt as one more class."""

    code = "IGN005"
    how = (
        "At the void pixels of the masks, the labels as fed are read: do they hold the id behind "
        "the class list, with a channel for it? Looks in nearly all masks for one and the same id "
        "that is a thin ring around everything, and that no one declared as ignore label."
    )
    why = (
        "The border is neither: a person drew it where they were not sure. As a class it is "
        "learnt as an outline, and its pixels are lost to the real ones."
    )
    fix = "Declare it: ignore_class in the loss, --ignore-label here."
    fine = "A border that is meant as a class, to part objects that touch."
    sources = "Oxford-IIIT pets' trimaps (3 is not classified); tensorflow/models#3730, #9844"

    core: float = field(
        default=0.35, metadata={"doc": "share of its pixels that a ring may have inside"}
    )
    part: float = field(default=0.9, metadata={"doc": "share of all borders that it has a part in"})
    direct: float = field(
        default=0.25,
        metadata={"doc": "share of the objects' borders not with it (160 VOC masks: at most 0.05)"},
    )
    masks: float = field(default=0.8, metadata={"doc": "share of the masks that must have it"})
    fewest: int = field(default=8, metadata={"doc": "masks of two ids or more that it needs"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        void_trail: VoidTrail | None = None,
        loss_contract: LossContract | None = None,
        head: HeadFacts | None = None,
        labels: LabelFacts | None = None,
        against_files: AgainstFiles | None = None,
    ) -> Iterator[Finding]:
        def from_files() -> Iterator[Finding]:
            for told in extra_from_files(against_files, head):
                yield self.finding(*told)

        def as_fed() -> Iterator[Finding]:
            for told in extra(declared, void_trail, loss_contract, head):
                yield self.finding(*told)

        def rings() -> Iterator[Finding]:
            for told in extra_ring(labels, declared, head, self.core, self.part, self.direct):
                yield self.finding(*told)

        yield from either(lambda: self._on_disk(scan, declared), as_fed, from_files, rings)

    def _on_disk(self, scan: ScanFacts | None, declared: Declared | None) -> Iterator[Finding]:
        if scan is None or not scan.shapes:
            raise NotExaminedError(NO_FOLDER if scan is None else _NONE_DECODED)
        void = scan.void if scan.void is not None else (declared.ignore_label if declared else None)
        if void is False:
            return
        looked = [shape for shape in scan.shapes if shape.borders]
        rings = _rings(scan, self.core, self.part, self.direct)
        if len(looked) < self.fewest or not rings or _real_ring(scan, self) is not None:
            return
        label, count = rings.most_common(1)[0]
        folded = _of_voc(scan) and label < _VOC_CLASSES  # that is IGN004
        if folded or label in (void, *_USUAL) or count < self.masks * len(looked):
            return
        share = scan.histogram.get(label, 0) / max(sum(scan.histogram.values()), 1)
        message = (
            f"Id {label} is a thin ring around everything in {count:,} of {len(looked):,} masks "
            f"({share:.1%} of the pixels): a border that means “not sure”, learnt as a class."
        )
        words = (
            f"If {label} means “no label”, leave it out of the loss; if it is a class, ignore this."
        )
        code = f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label})"
        yield self.finding(
            message,
            (Evidence(f"masks where id {label} is a ring", count, 0, "masks"),),
            Fix(words, code, {"loss.ignore_class": label}),
        )
