"""Padding that carries a real class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.asked import VoidTrail
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, FedBar, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.void_as_class import NO_FOLDER, either, padded
from segdoctor.probes.void_rings import labelled_bars


@dataclass(frozen=True)
class PaddingLabelled(Probe):
    """IGN006: padded regions carry a real class."""

    code = "IGN006"
    how = (
        "Where the padding of the images is void in the masks, the labels as fed are read. Looks "
        "in the decoded sample for bars of one colour along one side or two opposite sides, "
        "and for the id that the mask has there."
    )
    why = "The network learns that grey bars are a class, and the share of that class is inflated."
    fix = "Pad masks with the ignore label, and images with their mean."
    fine = (
        "Bars that are void; a plain ground on all four sides; single pictures with a bright sky. "
        "Where the id is 0, background, it costs little, and is a warning."
    )
    sources = "tensorflow/models research/deeplab (pads labels with ignore_label)"

    share: float = field(
        default=0.2, metadata={"doc": "share of the decoded images that must have such bars"}
    )
    fewest: int = field(default=3, metadata={"doc": "images that must have such bars"})
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        void_trail: VoidTrail | None = None,
        loss_contract: LossContract | None = None,
        labels: LabelFacts | None = None,
        bars_as_fed: tuple[FedBar, ...] | None = None,
    ) -> Iterator[Finding]:
        def as_fed() -> Iterator[Finding]:
            for told in padded(declared, void_trail, loss_contract):
                yield self.finding(*told)

        def bars() -> Iterator[Finding]:
            found = labelled_bars(bars_as_fed, labels, declared, self.share, self.fewest)
            for told, label in found:
                yield self.finding(*told, "warning" if label == 0 else None)

        yield from either(lambda: self._on_disk(scan, declared), as_fed, bars)

    def _on_disk(self, scan: ScanFacts | None, declared: Declared | None) -> Iterator[Finding]:
        if scan is None or not scan.pixels:
            raise NotExaminedError(NO_FOLDER if scan is None else "no image was decoded")
        void = scan.void if scan.void is not None else (declared.ignore_label if declared else None)
        aside = {"", "255", "-1"} | (
            {str(void)} if void is not None and void is not False else set()
        )
        barred = [facts for facts in scan.pixels if facts.bar and facts.bar_label not in aside]
        if len(barred) < max(self.fewest, self.share * len(scan.pixels)):
            return
        (label, count), *_ = Counter(facts.bar_label for facts in barred).most_common(1)
        mine = [facts for facts in barred if facts.bar_label == label]
        area = sum(facts.bar for facts in mine) / len(mine)
        message = (
            f"{count:,} of {len(scan.pixels):,} decoded images have bars of one colour along a "
            f"side ({area:.0%} of the picture), and their masks say class {label} there."
        )
        evidence = [
            Evidence("images with labelled bars", round(count / len(scan.pixels), 4), 0.0, "share")
        ]
        evidence += [
            Evidence("share of the picture that is a bar", facts.bar, 0.0, "share", facts.path)
            for facts in mine[: self.shown]
        ]
        words = "Pad the mask with the ignore label wherever the image is padded."
        code = (
            "image = tf.image.resize_with_pad(image, h, w)\n"
            "mask = tf.image.resize_with_pad(mask + 1, h, w, method='nearest') - 1  # -1: void\n"
            "mask = tf.where(mask < 0, 255, mask)"
        )
        yield self.finding(message, evidence, Fix(words, code), "warning" if label == "0" else None)
