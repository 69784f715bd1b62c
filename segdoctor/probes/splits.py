"""Examples that are in training and in validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import Overlap, ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import NotExaminedError, Probe

_UNIONS = ("trainval", "all")
_VAL = "Pascal VOC 2012 val"
_WORDS = {
    "name": "by name",
    "bytes": "as the same file under two names",
    "picture": "as the same picture coded anew",
}


@dataclass(frozen=True)
class SplitsOverlap(Probe):
    """DATA005: the same example in training and validation."""

    code = "DATA005"
    how = (
        "Compares the split that is trained on with every other one: names, the bytes of files of "
        "one length, and the perceptual hash of the pictures in the sample and of those whose "
        "masks have one and the same histogram."
    )
    why = (
        "What is seen in training is remembered: the validation score is too good, and early "
        "stopping and the choice of the model follow it."
    )
    fix = "Take the shared examples out of the training list."
    fine = "`trainval` is a union of both by its name, and no overlap."
    sources = "CoinCheung/Deeplab-Large-FOV#2; meetps/pytorch-semseg#50; imagehash (dhash)"

    shown: int = field(default=10, metadata={"doc": "examples named in the finding; JSON has all"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        others = [name for name in scan.splits if name not in (*_UNIONS, scan.split)]
        if scan.split in _UNIONS or not others:
            raise NotExaminedError("only one split is known (--split and --val-split would tell)")
        # The sharpest word for an example comes first: its name, its bytes, its picture.
        seen: dict[tuple[str, str], Overlap] = {}
        for item in sorted(scan.overlaps, key=lambda o: list(_WORDS).index(o.by)):
            seen.setdefault((item.other_split, item.other_stem), item)
        shared = list(seen.values())
        if not shared:
            return
        by = Counter(item.by for item in shared)
        ways = ", ".join(f"{count:,} {_WORDS[how]}" for how, count in by.items())
        first = shared[0]
        name = (
            first.stem if first.stem == first.other_stem else f"{first.stem} = {first.other_stem}"
        )
        where = sorted({item.other_split for item in shared})
        message = (
            f"{len(shared):,} examples of {first.split} are in {' and '.join(where)} too ({ways}): "
            f"{name}{', …' if len(shared) > 1 else ''}."
        )
        size = len(scan.splits.get(where[0], ())) or 1
        evidence = [
            Evidence("examples in both", len(shared), 0, "examples", f"{first.split}, {where[0]}"),
            Evidence(f"share of {where[0]}", round(len(shared) / size, 4), 0.0, "share"),
        ]
        evidence += [
            Evidence(f"in both, {_WORDS[item.by]}", item.other_image, where=item.image)
            for item in shared[: self.shown]
        ]
        code = "train = sorted(set(train) - set(val))"
        words = "Take the examples that validation holds out of the training list."
        only_pictures = set(by) == {"picture"}
        yield self.finding(
            message, evidence, Fix(words, code), "warning" if only_pictures else None
        )


@dataclass(frozen=True)
class ValidationListUsedForTraining(Probe):
    """DATA006: the training list is a published validation list."""

    code = "DATA006"
    how = (
        "Compares digests of the names in the training list with those of Pascal VOC 2012's lists "
        "(train 1464, val 1449, trainval 2913, SBD train_aug 10582), whatever the list is called."
    )
    why = (
        "Every published score is measured on val. Trained on it, the score says nothing, and "
        "the other half of the data lies unused."
    )
    fix = "Train on train (1464) or on train_aug without val (10582); validate on val."
    fine = "trainval before a submission to the test server, and no score on val."
    sources = "Pascal VOC 2012 development kit; FAULTS DATA-09 (1449 training examples)"

    most: float = field(
        default=0.9,
        metadata={"doc": "share of val's names from which on the list is taken for val"},
    )
    fewest: int = field(default=20, metadata={"doc": "names of val that a list must hold"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        if scan.split in _UNIONS or scan.split not in scan.splits:
            raise NotExaminedError("no training list is known (--split would tell)")
        if "trainval" in scan.published.get(scan.split, ""):
            return
        names = len(scan.splits[scan.split])
        held = scan.published_val.get(scan.split, 0)
        if held < self.fewest:
            return
        whole = scan.published.get(scan.split) == _VAL
        share = held / names
        if whole:
            message = f"The list that is trained on ({scan.split}) is {_VAL}, all {names:,} names."
        else:
            message = (
                f"{held:,} of the {names:,} names that are trained on ({scan.split}) are of "
                f"{_VAL}: a score on val says nothing then."
            )
        words = "Train on train or on SBD's train_aug without val, and keep val for validation."
        yield self.finding(
            message,
            (Evidence("names of VOC's val in training", held, 0, "names", scan.split),),
            Fix(words, "segdoctor check … --split train --val-split val"),
            None if whole or share >= self.most else "warning",
        )
