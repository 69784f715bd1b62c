"""Labels as fed alone: a class that is nothing but a thin ring around everything else, or a bar
that padding left. The parts of IGN004, IGN005 and IGN006 that need no masks on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from segdoctor.core.finding import Evidence, Fix
from segdoctor.core.measured import Declared, FedBar, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.probes.void_as_class import Told

_USUAL = (255, -1)
_VOC_CLASSES = 21
_SHARE = 0.8  # of the examples with two ids or more
_FEWEST = 2
_KEEP = (
    "y = np.array(mask)                            # keep 255 up to the loss\n"
    "loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255, …)"
)


def ring_as_fed(
    labels: LabelFacts | None, declared: Declared | None, core: float, part: float, direct: float
) -> tuple[int, int, int]:
    """``(id that is a ring, examples in which it is, examples with two ids or more)``; the id is
    -1 where there is no such id.

    Raises
    ------
    NotExaminedError
        There are no labels but those that segdoctor itself made of the masks on disk.
    """
    if labels is None or declared is None or declared.source == "folder":
        raise NotExaminedError("only labels that the run feeds are followed")
    if not labels.masks:
        raise NotExaminedError("the labels as fed do not lie in a plane")
    several = [mask for mask in labels.masks if len(mask.histogram) > 1]
    rings = Counter(mask.shape.ring(mask.histogram, core, part, direct) for mask in several)
    rings.pop(None, None)
    if labels.fractional or not rings:
        return -1, 0, len(several)
    label, count = rings.most_common(1)[0]
    void = declared.ignore_label
    if label is None or label in (*_USUAL, None if void is False else void):
        return -1, 0, len(several)
    if count < max(_FEWEST, _SHARE * len(several)):
        return -1, count, len(several)
    return label, count, len(several)


def folded_ring(
    labels: LabelFacts | None,
    declared: Declared | None,
    head: HeadFacts | None,
    core: float,
    part: float,
    direct: float,
) -> Iterator[Told]:
    """IGN004: void is declared, or VOC's 21 classes are, and the ring is one of the classes."""
    label, count, several = ring_as_fed(labels, declared, core, part, direct)
    if label < 0 or not _lost(labels, declared, head):
        return
    void = 255 if declared is None or declared.ignore_label is None else declared.ignore_label
    yield (
        f"In {count} of {several} examples class {label} is a thin ring around everything, and "
        f"no pixel is void ({void}): void was folded into a real class.",
        (Evidence(f"examples with a ring of class {label}", count, 0, "examples"),),
        Fix("Keep the void id, and leave it out in the loss.", _KEEP),
    )


def extra_ring(
    labels: LabelFacts | None,
    declared: Declared | None,
    head: HeadFacts | None,
    core: float,
    part: float,
    direct: float,
) -> Iterator[Told]:
    """IGN005: the last class is a ring, and the head has a channel for it."""
    label, count, several = ring_as_fed(labels, declared, core, part, direct)
    # With two classes a ring is what is looked for (vessels, outlines), or what is left of it.
    last = head is not None and head.channels > 2 and label == head.channels - 1
    if label < 0 or not last or _lost(labels, declared, head):
        return
    yield (
        f"Id {label}, the last class, is a thin ring around everything in {count} of {several} "
        "examples: a border that means “not sure”, learnt as a class.",
        (Evidence(f"examples where id {label} is a ring", count, 0, "examples"),),
        Fix(
            f"If {label} means “no label”, leave it out of the loss; if it is a class, ignore "
            "this.",
            f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, …)",
            {"loss.ignore_class": label},
        ),
    )


def labelled_bars(
    bars: tuple[FedBar, ...] | None,
    labels: LabelFacts | None,
    declared: Declared | None,
    share: float,
    fewest: int,
) -> Iterator[tuple[Told, int]]:
    """IGN006: bars of one colour along the images, with a class there; and that class."""
    if bars is None or labels is None or declared is None or declared.source == "folder":
        raise NotExaminedError("only labels that the run feeds are followed")
    void = declared.ignore_label
    aside = {*_USUAL, None if void is False else void}
    mine = [bar for bar in bars if bar.label not in aside]
    examples = labels.shape[0]
    if len(mine) < max(fewest, share * examples):
        return
    label, count = Counter(bar.label for bar in mine).most_common(1)[0]
    area = sum(bar.share for bar in mine) / len(mine)
    told = (
        f"{count} of {examples} images as fed have bars of one colour along a side ({area:.0%} of "
        f"the picture), and their labels say class {label} there.",
        (Evidence("images with labelled bars", round(count / examples, 4), 0.0, "share"),),
        Fix(
            "Pad the masks with the ignore label.",
            "mask = np.pad(mask, widths, constant_values=255)",
            {},
        ),
    )
    yield told, label


def _lost(labels: LabelFacts | None, declared: Declared | None, head: HeadFacts | None) -> bool:
    """Whether these labels should have void: it is declared and occurs nowhere, or the classes
    are Pascal VOC's 21."""
    if labels is None or declared is None or declared.ignore_label is False:
        return False
    void = declared.ignore_label
    if void is not None and void != 0:
        return float(void) not in labels.histogram
    classes = declared.num_classes if declared.num_classes_declared else None
    return (classes or (head.channels if head is not None else None)) == _VOC_CLASSES
