"""Void that masks should have and have not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import looked_at_masks, sums_of
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.void_as_class import NO_FOLDER, either, lost_from_files
from segdoctor.probes.void_on_disk import (
    VoidFolded,
    file_name,
    is_voc,
    void_of,
    with_and_without,
)

_VOID = 255


@dataclass(frozen=True)
class VoidLost(Probe):
    """IGN007: masks that should have void have none."""

    code = "IGN007"
    how = (
        "Holds batches against the files that they are made of (files=). Counts the masks of two "
        "ids or more without void: in a set where nearly all have it, or "
        "whose names are Pascal VOC's, whose masks all have it. A label map that makes a class of "
        "255, which no one leaves out, takes it from all of them."
    )
    why = (
        "Pixels that were marked “not sure” are trained as background or as something else: "
        "the outlines are learnt wrongly, and scores cannot be compared."
    )
    fix = "Take the masks as they were published (SegmentationClass), or mark the border as void."
    fine = "SBD's own masks (SegmentationClassAug) have no void. So do most other data sets."
    sources = "VOC development kit; bonlime/keras-deeplab-v3-plus#120; sacmehta/ESPNetv2#2"

    with_void: float = field(
        default=0.8, metadata={"doc": "share of the masks with void that makes it usual"}
    )
    of_voc: float = field(
        default=0.3,
        metadata={"doc": "the same for Pascal VOC's names (of SBD's masks 14 % have void)"},
    )
    fewest: int = field(default=8, metadata={"doc": "masks of two ids or more that it needs"})
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        against_files: AgainstFiles | None = None,
    ) -> Iterator[Finding]:
        def from_files() -> Iterator[Finding]:
            for told in lost_from_files(against_files):
                yield self.finding(*told)

        yield from either(lambda: self._on_disk(scan, declared), from_files)

    def _on_disk(self, scan: ScanFacts | None, declared: Declared | None) -> Iterator[Finding]:
        if scan is None or not scan.masks:
            raise NotExaminedError(NO_FOLDER if scan is None else "no mask could be read")
        void = void_of(scan, declared)
        if str(_VOID) in scan.label_map:
            yield from self._by_the_map(scan, declared)
            return
        several = sums_of(scan).several
        if void is None or several < self.fewest or "SegmentationClassAug" in scan.layout:
            return
        _, count = with_and_without(scan, void)
        enough = self.of_voc if is_voc(scan) else self.with_void
        usual = void in scan.presence and several - count >= enough * several
        all_gone = void not in scan.presence and is_voc(scan)
        if not count or not (usual or all_gone):
            return
        masks, fold = looked_at_masks(scan), VoidFolded()
        folded = {
            shape.path
            for shape in scan.shapes
            if shape.path in masks
            and shape.ring(masks[shape.path].histogram, fold.core, fold.part, fold.direct)
            is not None
        }
        lost = [
            mask
            for mask in scan.masks
            if len(mask.histogram) > 1 and void not in mask.histogram and mask.path not in folded
        ]
        if not lost or len(lost) < count / 2:  # most have a ring of another id: IGN004, or LBL005
            return
        what = "none of" if all_gone else f"{len(lost):,} of"
        verb = "holds" if all_gone else "hold no"
        message = (
            f"{what.capitalize()} the {several:,} masks with two ids or more {verb} void ({void}), "
            f"which {'this published set has everywhere' if all_gone else 'the others have'}: "
            f"{file_name(lost[0].path)}."
        )
        evidence = [
            Evidence("masks without void", len(lost), 0, "masks"),
            *(Evidence("no void in it", mask.path, where=mask.path) for mask in lost[: self.shown]),
        ]
        words = "Take the published masks, and keep void through every step of the preparation."
        yield self.finding(message, evidence, Fix(words, "assert 255 in np.unique(mask)"))

    def _by_the_map(self, scan: ScanFacts, declared: Declared | None) -> Iterator[Finding]:
        """The user's label map makes a class of 255, and no one leaves that class out."""
        target = scan.label_map[str(_VOID)]
        ignored = declared.ignore_label if declared is not None else scan.void
        holding = [mask for mask in scan.masks if _VOID in mask.histogram]
        if ignored is False or target in (_VOID, ignored) or target < 0 or not holding:
            return
        if _several(scan, self.with_void):
            yield self.finding(
                f"{len(holding):,} of {len(scan.masks):,} masks on disk hold void ({_VOID}), and "
                f"the label map makes class {target} of it ({_VOID}={target}): the batches have "
                "none left.",
                (
                    Evidence("masks with void on disk", len(holding), unit="masks"),
                    Evidence("what void becomes", target, _VOID),
                ),
                Fix(
                    f"Leave {_VOID} out of the map: else=… does not move it either.",
                    'label_map="15=1,else=0"    # 255 stays 255',
                ),
            )


def _several(scan: ScanFacts, share: float) -> bool:
    """Whether 255 is what most masks of two ids or more have beside their classes: a void ring,
    and not the one class of a 0/255 mask."""
    several = [mask for mask in scan.masks if len(mask.histogram) > 1]
    rings = [mask for mask in several if _VOID in mask.histogram and len(mask.histogram) > 2]
    return bool(rings) and len(rings) >= share * len(several)
