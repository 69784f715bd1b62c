"""Classes that training never sees, or hardly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import sums_of
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_values import USUAL_VOIDS, label_values


@dataclass(frozen=True)
class ClassMissingOrRare(Probe):
    """DATA011: classes that never or hardly occur in what is trained on."""

    code = "DATA011"
    how = (
        "Counts the masks of the training split that hold each class, void aside; the classes are "
        "those that are declared, else all that occur in any split."
    )
    why = (
        "A class without an example is never predicted and counts as 0 in the mean IoU; one with "
        "two examples is memorised."
    )
    fix = (
        "Add examples, sample images with rare classes more often, or take the class off the list."
    )
    fine = "Rare pixels are normal for small things, as long as enough masks hold them."
    sources = "Pascal VOC 2012: every class is in 80 or more of the 1464 masks of train"

    fewest: int = field(default=3, metadata={"doc": "masks that must hold a class"})
    enough_masks: int = field(
        default=30, metadata={"doc": "masks below which a class may be absent by chance"}
    )
    enough_for_rare: int = field(
        default=100, metadata={"doc": "masks below which a class may be rare by chance"}
    )
    most_ids: int = field(
        default=0, metadata={"doc": "ids beyond the declared classes that are borne (LBL003)"}
    )

    def examine(
        self,
        scan: ScanFacts,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        values = label_values(None, scan, declared, head)
        held = scan.split_presence.get(scan.split, scan.presence)
        count = sums_of(scan).trained
        if count < self.enough_masks or not values:
            raise NotExaminedError(f"{count} masks are too few to miss a class in")
        aside = {values[0].void, *USUAL_VOIDS}
        found = {label for label in scan.presence if label not in aside}
        wanted = set(range(values[0].classes)) if values[0].classes else found
        if len(found - wanted) > self.most_ids:
            raise NotExaminedError("the ids do not fit the class list (LBL003)")
        missing = sorted(label for label in wanted if not held.get(label))
        rare = sorted(label for label in wanted if 0 < held.get(label, 0) < self.fewest)
        rare = rare if count >= self.enough_for_rare else []
        if not missing and not rare:
            return
        parts = []
        if missing:
            parts.append(f"{_classes(missing)} never")
        if rare:
            parts.append(f"{_classes(rare)} in fewer than {self.fewest} masks")
        occur = "occurs" if len(missing) + len(rare) == 1 else "occur"
        where = scan.split if scan.split in scan.splits else "the data set"
        message = (
            f"Of {len(wanted)} classes, {' and '.join(parts)} {occur} in {where} ({count:,} masks)."
        )
        evidence = [
            Evidence(f"masks with class {label}", held.get(label, 0), self.fewest, "masks", where)
            for label in (*missing, *rare)[:12]
        ]
        words = "Add examples of these classes, draw theirs more often, or drop the classes."
        code = "data = tf.data.Dataset.sample_from_datasets([rare, rest], [0.3, 0.7])"
        yield self.finding(message, evidence, Fix(words, code))


def _classes(labels: list[int]) -> str:
    shown = ", ".join(str(label) for label in labels[:8])
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    return f"{'class' if len(labels) == 1 else 'classes'} {shown}{more}"
