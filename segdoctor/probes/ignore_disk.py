"""A value in the masks that no one declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import Probe
from segdoctor.probes.label_values import ON_DISK, files_with, label_values


@dataclass(frozen=True)
class IgnoreLabelUndeclared(Probe):
    """IGN009: the masks hold a value such as 255 and no one said that it means void."""

    code = "IGN009"
    how = (
        "Looks for 255 and -1 in the masks where neither the loss, the sample weights, the user, a "
        "Pascal VOC layout nor files= declares it, where it is no class, and where it stands alone."
    )
    why = (
        "Whether those pixels are void, a border or a class changes the loss, the metric and what "
        "is learnt. If the loss does not leave them out, it raises on a CPU and gives NaN on a GPU."
    )
    fix = "Say what it means: --ignore-label 255, or ignore_class=255 in the loss."
    fine = (
        "255 in a Pascal VOC layout is void by its definition; 0 and 255 alone is a binary mask "
        "that was not scaled (LBL007)."
    )
    sources = "keras.losses.SparseCategoricalCrossentropy(ignore_class); VOC development kit"

    gap: int = field(
        default=2,
        metadata={"doc": "ids that must lie free below 255 for it to stand alone"},
    )
    most_share: float = field(
        default=0.5,
        metadata={"doc": "share of the pixels above which it is taken for a class"},
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
        loss_contract: LossContract | None = None,
        against_files: AgainstFiles | None = None,
    ) -> Iterator[Finding]:
        of_files = against_files.void if against_files is not None else None
        for values in label_values(labels, scan, declared, head, loss_contract):
            if values.kind not in ("ids", "binary") or values.void_denied:
                continue  # denied: the value is out of range (LBL003)
            if values.two_valued and 255 in values.histogram:
                continue  # a binary mask that was not scaled (LBL007)
            for value in values.undeclared_voids(self.gap, self.most_share):
                if value == of_files or self._is_scaled(values.histogram, values.classes):
                    continue
                share = values.share_of((value,))
                message = (
                    f"{share:.2%} of the pixels in the {values.where} are {value:g}, and no one "
                    "declared what that means: void, a border, or a class."
                )
                paths = files_with(scan, (value,), 2) if values.where == ON_DISK else ()
                label = int(value)
                words = (
                    f"If {label} marks pixels without a label, say so to segdoctor and to the loss."
                )
                code = (
                    f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label})\n"
                    f"# segdoctor check … --ignore-label {label}"
                )
                yield self.finding(
                    message,
                    (
                        Evidence(f"pixels of value {label}", share, 0.0, "share", values.where),
                        *(Evidence("such a mask", path, where=path) for path in paths),
                    ),
                    Fix(words, code, {"loss.ignore_class": label}),
                )
                return

    @staticmethod
    def _is_scaled(histogram: object, classes: int | None) -> bool:
        """Whether 255 is the last step of scaled ids, as in 0, 85, 170, 255."""
        from segdoctor.measures.palettes import as_scaled

        return isinstance(histogram, dict) and as_scaled(histogram, classes, None) is not None
