"""Masks that were smoothed or compressed: ids that no one drew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import MaskFacts, ScanFacts, ShapeFacts
from segdoctor.core.data_sums import LOSSY, looked_at_masks, sums_of
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, FedMask, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_values import AS_FED

_SPECKLE_VALUES = 8  # different values that speckles of a lossy code have at least
NO_PLANE = "the labels as fed do not lie in a plane"
_NO_SHAPES = "no mask of the sample could be decoded"
_NOISE = "the labels as fed are noise: hardly two neighbours are alike, so there is no border"
_MOST_CHANGES = 0.6  # of neighbours, across and down, that differ in a mask that was drawn


def _disturbed(
    shapes: Iterable[ShapeFacts], ramps: float, speckles: float, fewest: int
) -> tuple[list[ShapeFacts], float]:
    """``(masks that are full of ramps or speckles, the speckles' part of both)``.

    Speckles of few values are drawn: gaps of one pixel between two legs of a chair.
    """
    found = []
    for shape in shapes:
        ramped = shape.ramps >= max(fewest, ramps * (shape.ramps + shape.edges))
        changes = shape.edges + shape.ramps + shape.speckles
        speckled = (
            shape.speckles >= max(fewest, speckles * changes)
            and shape.speckle_values >= _SPECKLE_VALUES
        )
        if ramped or speckled:
            found.append(shape)
    dots = sum(shape.speckles for shape in found if shape.speckle_values >= _SPECKLE_VALUES)
    return found, dots / max(dots + sum(shape.ramps for shape in found), 1)


def _not_jpeg(scan: ScanFacts) -> list[ShapeFacts]:
    """Masks of the sample, those stored as JPEG aside."""
    jpeg = {path for path, mask in looked_at_masks(scan).items() if mask.mode.endswith(LOSSY)}
    return [shape for shape in scan.shapes if shape.path not in jpeg]


def _fed_apart(labels: LabelFacts | None, declared: Declared | None) -> tuple[FedMask, ...]:
    """Labels as fed that were not made of the masks on disk by segdoctor itself.

    Raises
    ------
    NotExaminedError
        They are noise, as in a quick try with random arrays.
    """
    if labels is None or (declared is not None and declared.source == "folder"):
        return ()
    drawn = tuple(mask for mask in labels.masks if not _is_noise(mask))
    if labels.masks and not drawn:
        raise NotExaminedError(_NOISE)
    return drawn


def _is_noise(mask: FedMask) -> bool:
    changes = mask.shape.edges + mask.shape.ramps + mask.shape.speckles
    return changes > _MOST_CHANGES * 2 * sum(mask.histogram.values())


def _examples(values: dict[str, MaskFacts], paths: list[str], most: int) -> Iterator[Evidence]:
    for path in paths[:most]:
        mask = values.get(path)
        distinct = len(mask.histogram or mask.colours) if mask else None
        yield Evidence("distinct values in the mask", distinct, None, "values", path)


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class InterpolatedLabels(Probe):
    """LBL006: the masks were resized with a smoothing filter."""

    code = "LBL006"
    how = (
        "Follows every row and column of the masks in the sample, or of the labels as fed. Where "
        "two regions meet, a drawn mask jumps from one id to the other; a smoothed one goes there "
        "over pixels whose value lies strictly between those of their neighbours. Their share of "
        "all borders is compared."
    )
    why = (
        "Halfway between class 0 and class 15 lies class 7: bilinear and bicubic resizing invent "
        "classes along every outline, and the loss learns them."
    )
    fix = (
        'Resize masks with the nearest neighbour: `tf.image.resize(mask, size, method="nearest")`.'
    )
    fine = (
        "A thin object whose id lies between those of its neighbours is sound: it is not at every "
        "border; so is an outline of a pixel between two classes. Masks of two neighbouring ids, 0 "
        "and 1, cannot show it on disk. Soft targets of one channel are a warning."
    )
    sources = (
        "tensorflow/docs#2159; divamgupta/image-segmentation-keras#11; milesial/Pytorch-UNet#311"
    )

    share: float = field(
        default=0.2,
        metadata={"doc": "share of a mask's borders that are ramps (160 VOC masks: at most 0.004)"},
    )
    fewest: int = field(default=10, metadata={"doc": "ramp pixels that a mask must have"})
    values: int = field(
        default=4,
        metadata={"doc": "values that a mask must hold: of three, the middle one may be drawn"},
    )
    speckle_share: float = field(
        default=0.1, metadata={"doc": "share of a mask's changes that are speckles, as in LBL012"}
    )
    lossy: float = field(
        default=0.3,
        metadata={"doc": "speckles among speckles and ramps from which on it is LBL012 instead"},
    )
    part: float = field(
        default=0.05,
        metadata={"doc": "share of the masks below which it is a warning: few may be drawn so"},
    )
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        labels: LabelFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        fed = _fed_apart(labels, declared)
        if scan is not None and scan.shapes:
            yield from self._on_disk(scan)
        elif labels is not None and fed:
            yield from self._as_fed(labels, fed, head)
        else:
            raise NotExaminedError(_NO_SHAPES if labels is None else NO_PLANE)

    def _as_fed(
        self, labels: LabelFacts, fed: tuple[FedMask, ...], head: HeadFacts | None
    ) -> Iterator[Finding]:
        several = [m for m in fed if labels.fractional or len(m.histogram) >= self.values]
        shapes = [mask.shape for mask in several]
        smooth, part = _disturbed(shapes, self.share, self.speckle_share, self.fewest)
        if not smooth or part >= self.lossy or 2 * len(smooth) < len(fed):
            return
        ramps = sum(shape.ramps for shape in smooth)
        share = ramps / (ramps + sum(shape.edges for shape in smooth))
        top = max(labels.histogram, default=0.0)
        soft = head is not None and head.channels == 1 and top <= 1
        between = "fractions" if labels.fractional else "ids"
        effect = (
            "with one output channel a loss of probabilities takes them, but the borders blur"
            if soft
            else "a loss takes them for classes"
        )
        yield self.finding(
            f"The labels as fed were smoothed in {len(smooth)} of {len(fed)} examples: {share:.0%} "
            f"of their borders run over {between} that lie between the two regions and that no "
            f"one drew; {effect}.",
            (
                Evidence("borders that are ramps", round(share, 4), self.share, "share"),
                Evidence("entries that are no whole id", labels.fractional, 0),
                Evidence("different values", len(labels.histogram), None, "", AS_FED),
            ),
            Fix(
                "Resize masks with the nearest neighbour, in every step of the pipeline.",
                'mask = tf.image.resize(mask, size, method="nearest")   # never bilinear',
            ),
            "warning" if soft else None,
        )

    def _several(self, mask: MaskFacts | None) -> bool:
        if mask is None:
            return False
        return len(mask.histogram or mask.colours) + len(mask.fractions) >= self.values

    def _on_disk(self, scan: ScanFacts) -> Iterator[Finding]:
        masks = looked_at_masks(scan)
        several = [shape for shape in _not_jpeg(scan) if self._several(masks.get(shape.path))]
        smooth, part = _disturbed(several, self.share, self.speckle_share, self.fewest)
        if not smooth or part >= self.lossy:
            return
        ramps = sum(shape.ramps for shape in smooth)
        share = ramps / (ramps + sum(shape.edges for shape in smooth))
        paths = [shape.path for shape in smooth]
        message = (
            f"{len(smooth):,} of {len(scan.shapes):,} masks looked at were smoothed: {share:.0%} "
            f"of their borders run over ids that lie between the two regions and that no one drew "
            f"({_name(paths[0])})."
        )
        words = "Export or resize the masks again with the nearest neighbour."
        code = 'mask = tf.image.resize(mask, size, method="nearest")   # never bilinear'
        yield self.finding(
            message,
            (
                Evidence("borders that are ramps", round(share, 4), self.share, "share"),
                *_examples(masks, paths, self.shown),
            ),
            Fix(words, code),
            "warning" if len(smooth) < self.part * len(several) else None,
        )


@dataclass(frozen=True)
class LossyMasks(Probe):
    """LBL012: the masks went through JPEG or another lossy step."""

    code = "LBL012"
    how = (
        "Looks for masks stored as JPEG that hold more than two values, and in the sample for "
        "masks whose borders are full of speckles: pixels a little above or below both of their "
        "neighbours, as JPEG leaves them even where the file is a PNG now."
    )
    why = (
        "JPEG keeps what the eye sees, not numbers: around every border ids turn into others near "
        "them, and a mask of three classes holds sixty values."
    )
    fix = (
        "Export the masks again as PNG, from where they were drawn; a lossy mask cannot be undone."
    )
    fine = "Images may be JPEG. A JPEG mask of one or two exact values is left alone."
    sources = "FAULTS LAB-04; measured on VOC masks, JPEG quality 75 to 95"

    share: float = field(
        default=0.1,
        metadata={
            "doc": "share of speckles among a mask's changes (160 VOC masks: at most 0.0003)"
        },
    )
    ramp_share: float = field(
        default=0.2, metadata={"doc": "share of a mask's borders that are ramps, as in LBL006"}
    )
    lossy: float = field(
        default=0.3,
        metadata={"doc": "speckles among speckles and ramps up to which it is LBL006 instead"},
    )
    fewest: int = field(default=10, metadata={"doc": "speckles that a mask must have"})
    most_values: int = field(
        default=2, metadata={"doc": "values up to which a JPEG mask is left alone"}
    )
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        labels: LabelFacts | None = None,
        declared: Declared | None = None,
    ) -> Iterator[Finding]:
        fed = _fed_apart(labels, declared)
        if scan is not None and scan.masks:
            yield from self._on_disk(scan)
        elif labels is not None and fed:
            yield from self._as_fed(labels, fed)
        else:
            raise NotExaminedError("no mask could be read" if labels is None else NO_PLANE)

    def _as_fed(self, labels: LabelFacts, fed: tuple[FedMask, ...]) -> Iterator[Finding]:
        shapes = [mask.shape for mask in fed]
        disturbed, part = _disturbed(shapes, self.ramp_share, self.share, self.fewest)
        if part < self.lossy or 2 * len(disturbed) < len(fed):
            return
        yield self.finding(
            f"The labels of {len(disturbed)} of {len(fed)} examples as fed bear the speckles of a "
            f"lossy code: {len(labels.histogram)} different values, most of which no one drew.",
            (
                Evidence("lossy masks", len(disturbed), 0, "masks", AS_FED),
                Evidence("different values", len(labels.histogram), None, "", AS_FED),
            ),
            Fix(
                "Export the masks again as PNG from where they were drawn.",
                'Image.fromarray(ids.astype(np.uint8)).save("mask.png")   # never .jpg',
            ),
        )

    def _on_disk(self, scan: ScanFacts) -> Iterator[Finding]:
        masks = looked_at_masks(scan)
        stored = scan.masks if sums_of(scan).lossy else ()
        jpeg = [
            mask.path
            for mask in stored
            if mask.mode.endswith(LOSSY) and len(mask.histogram or mask.colours) > self.most_values
        ]
        disturbed, part = _disturbed(_not_jpeg(scan), self.ramp_share, self.share, self.fewest)
        speckled = [shape.path for shape in disturbed] if part >= self.lossy else []
        paths = jpeg + speckled
        if not paths:
            return
        what = "are JPEG files" if jpeg else "bear the speckles of a lossy code"
        if jpeg and speckled:
            what = "are JPEG files or bear their speckles"
        message = (
            f"{len(paths):,} of {len(scan.masks):,} masks {what}, and hold values that no one drew "
            f"({_name(paths[0])})."
        )
        words = "Export the masks again as PNG from where they were drawn."
        code = 'Image.fromarray(ids.astype(np.uint8)).save("mask.png")   # never .jpg'
        yield self.finding(
            message,
            (
                Evidence("lossy masks", len(paths), 0, "masks"),
                *_examples(masks, paths, self.shown),
            ),
            Fix(words, code),
        )
