"""Images that say nothing, that are there twice, or that lie on their side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.data_facts import PixelFacts, ScanFacts
from segdoctor.core.data_sums import sums_of
from segdoctor.core.fed_facts import FedFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import NotExaminedError, Probe

_TURNS = {
    2: "mirrored",
    3: "turned by 180°",
    4: "upside down",
    5: "transposed",
    6: "turned by 90°",
    7: "transposed and turned by 180°",
    8: "turned by 270°",
}


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class InputDegenerate(Probe):
    """DATA010: constant, nearly constant or repeated images."""

    code = "DATA010"
    how = (
        "Measures the deviation of each channel in the decoded sample, and compares the bytes of "
        "all files of one length within the split that is trained on."
    )
    why = (
        "A picture of one colour has no gradient worth having, and an example that is there ten "
        "times is learnt ten times."
    )
    fix = "Take them out, or fetch them again: such files come from failed exports and downloads."
    fine = "A few dark or foggy pictures; the same picture in two splits is DATA005."
    sources = "CleanVision's low information and exact duplicates"

    flat: float = field(
        default=2.0, metadata={"doc": "grey levels of deviation below which an image says nothing"}
    )
    error_share: float = field(
        default=0.05, metadata={"doc": "share of the examples from which on it is an error"}
    )
    dominates: float = field(
        default=0.1,
        metadata={"doc": "share of the examples that one picture must be for an error"},
    )
    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(
        self, scan: ScanFacts | None = None, fed: FedFacts | None = None
    ) -> Iterator[Finding]:
        if fed is None and (scan is None or not scan.images):
            raise NotExaminedError("no image could be read")
        if scan is not None and scan.images:
            yield from self._flat(scan.pixels, "decoded images")
            if scan.repeated:
                mine = {pair.image for pair in scan.trained_on if pair.image}
                yield from self._repeated(mine, scan.repeated)
        if fed is not None:
            yield from self._not_finite(fed)
            yield from self._flat(fed.pixels, "images as fed")
            yield from self._repeated({facts.path for facts in fed.pixels}, fed.repeated)

    def _not_finite(self, fed: FedFacts) -> Iterator[Finding]:
        if not fed.not_finite:
            return
        count = len(fed.not_finite)
        yield self.finding(
            f"{count:,} of {fed.examples:,} images as fed hold NaN or Inf: {fed.not_finite[0]}"
            f"{', …' if count > 1 else ''}.",
            (Evidence("images with NaN or Inf", count, 0, "images"),),
            Fix("Find the step that makes them.", "assert np.isfinite(x).all()"),
        )

    def _flat(self, pixels: Sequence[PixelFacts], what: str) -> Iterator[Finding]:
        flat = [facts for facts in pixels if max(facts.deviation, default=0.0) < self.flat]
        if flat:
            share = len(flat) / len(pixels)
            message = (
                f"{len(flat):,} of {len(pixels):,} {what} are of one colour: "
                f"{_name(flat[0].path)}{', …' if len(flat) > 1 else ''}."
            )
            evidence = [Evidence("images of one colour", round(share, 4), 0.0, "share")]
            evidence += [
                Evidence(
                    "largest deviation of a channel",
                    max(facts.deviation, default=0.0),
                    self.flat,
                    "grey levels",
                    facts.path,
                )
                for facts in flat[: self.shown]
            ]
            yield self.finding(
                message,
                evidence,
                Fix("Take these images out or fetch them again.", "print(np.ptp(image))"),
                None if share >= self.error_share else "warning",
            )

    def _repeated(self, mine: set[str], repeated: Sequence[tuple[str, ...]]) -> Iterator[Finding]:
        kept = [sorted(mine.intersection(group)) for group in repeated]
        groups = sorted((group for group in kept if len(group) > 1), key=lambda g: (-len(g), g))
        surplus = sum(len(group) - 1 for group in groups)
        if not surplus:
            return
        share = surplus / len(mine)
        largest = groups[0]
        message = (
            f"{surplus:,} of the {len(mine):,} images that are trained on repeat another one, byte "
            f"by byte: {_name(largest[0])} is there {len(largest):,} times."
        )
        evidence = [Evidence("images that repeat another one", round(share, 4), 0.0, "share")]
        evidence += [
            Evidence("the same bytes", _name(group[1]), where=group[0])
            for group in groups[: self.shown]
        ]
        words = "Keep each picture once."
        code = "seen = {hashlib.sha256(p.read_bytes()).digest(): p for p in image_paths}"
        yield self.finding(
            message,
            evidence,
            Fix(words, code),
            None if len(largest) >= max(self.dominates * len(mine), 3) else "warning",
        )


@dataclass(frozen=True)
class OrientationIgnored(Probe):
    """DATA013: EXIF turns the image and not the mask."""

    code = "DATA013"
    how = (
        "Reads the EXIF orientation of all images, and compares the sizes of image and mask as "
        "they are stored."
    )
    why = (
        "Some loaders turn the image as EXIF says (OpenCV, most viewers and labelling tools), "
        "others do not (TensorFlow, Pillow); none turns the mask. One of the two then lies across."
    )
    fix = "Store the images turned, without the tag: `PIL.ImageOps.exif_transpose`."
    fine = "Orientation 1, and images without EXIF. Where the sizes show it, it is DATA003."
    sources = "EXIF 2.3, tag 274; tf.io.decode_jpeg; cv2.IMREAD_IGNORE_ORIENTATION"

    shown: int = field(default=10, metadata={"doc": "files named in the finding"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        if not scan.images:
            raise NotExaminedError("no image could be read")
        if not sums_of(scan).turned:
            return
        sizes_differ = {problem.path for problem in scan.problems if problem.code == "DATA003"}
        masks = {pair.image: pair.mask for pair in scan.pairs}
        turned = [
            image
            for image in scan.images
            if image.orientation in _TURNS and masks.get(image.path) not in sizes_differ
        ]
        if not turned:
            return
        first = turned[0]
        message = (
            f"{len(turned):,} of {len(scan.images):,} images are to be turned, as EXIF says, and "
            f"their masks are drawn on the picture as it is stored: {_name(first.path)} "
            f"({_TURNS[first.orientation]})."
        )
        evidence = [Evidence("images that EXIF turns", len(turned), 0, "images")]
        evidence += [
            Evidence("EXIF orientation", image.orientation, 1, "", image.path)
            for image in turned[: self.shown]
        ]
        words = "Store each of these images as its mask is drawn, and drop the tag."
        code = "image = PIL.ImageOps.exif_transpose(image)   # then look: does the mask still fit?"
        yield self.finding(message, evidence, Fix(words, code))
