"""What is wrong with the files of a data set folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import FileProblem, ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import Probe


def _files(problems: list[FileProblem], shown: int) -> tuple[Evidence, ...]:
    return tuple(Evidence("file", item.reason, where=item.path) for item in problems[:shown])


def _of(scan: ScanFacts, code: str) -> list[FileProblem]:
    return [problem for problem in scan.problems if problem.code == code]


def _first(problems: list[FileProblem]) -> str:
    name = problems[0].path.replace("\\", "/").rsplit("/", 1)[-1]
    more = f", and {len(problems) - 1:,} more" if len(problems) > 1 else ""
    return f"{name} ({problems[0].reason}){more}"


@dataclass(frozen=True)
class PairMissing(Probe):
    """DATA001: an image without a mask, or a mask without an image."""

    code = "DATA001"
    how = (
        "Pairs images and masks by the split lists, where there are any, else by their names. "
        "Images that no list names are counted and are no finding."
    )
    why = (
        "A loader that pairs two sorted lists by position gives every image behind the gap the "
        "mask of another one."
    )
    fix = "Add the missing file, or take the name out of the list; pair by name, not by position."
    fine = "Pascal VOC has 17,125 images and 2,913 masks: its lists say which belong together."
    sources = "Golbstein/Keras-segmentation-deeplab-v3.1#15"

    shown: int = field(default=10, metadata={"doc": "files named in the finding; JSON names all"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        problems = _of(scan, self.code)
        if not problems:
            return
        count = len(problems)
        message = (
            f"{count:,} of {len(scan.pairs):,} examples {'lacks' if count == 1 else 'lack'} a "
            f"partner: {_first(problems)}."
        )
        words = "Add the missing files or take their names out of the list, and pair by name."
        code = (
            "stems = sorted({p.stem for p in images.glob('*')} & {p.stem for p in masks.glob('*')})"
        )
        yield self.finding(
            message,
            (
                Evidence("examples without a partner", count, 0, "examples", scan.folder),
                *_files(problems, self.shown),
            ),
            Fix(words, code),
        )


@dataclass(frozen=True)
class FileUnreadable(Probe):
    """DATA002: a file that is no sound image."""

    code = "DATA002"
    how = (
        "Reads the header and the end marker of every file, decodes every mask wholly and of the "
        "images a seeded sample (all with --deep). Larger images than 50 Mpx are refused."
    )
    why = (
        "A loader stops at it in the middle of an epoch, or, as TensorFlow can with truncated "
        "JPEGs, fills the rest with grey and goes on."
    )
    fix = "Fetch or export the file again, or take it out of the list."
    fine = "Grey, CMYK, 16-bit and rotated images are readable; bytes behind the end are harmless."
    sources = "Pillow: Image.verify() accepts truncated JPEGs; python-pillow/Pillow Tests/images"

    shown: int = field(default=10, metadata={"doc": "files named in the finding; JSON names all"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        problems = _of(scan, self.code)
        if not problems:
            return
        count = len(problems)
        message = f"{count:,} {'file' if count == 1 else 'files'} cannot be read: "
        words = "Fetch or export these files again, or take them out of the split lists."
        yield self.finding(
            message + _first(problems) + ".",
            (
                Evidence("unreadable files", count, 0, "files", scan.folder),
                *_files(problems, self.shown),
            ),
            Fix(words, "with Image.open(path) as image:\n    image.load()     # raises if cut off"),
        )


@dataclass(frozen=True)
class PairSizeDiffers(Probe):
    """DATA003: image and mask differ in size."""

    code = "DATA003"
    how = "Compares width and height in the headers of image and mask of each pair."
    why = (
        "A resize then stretches one of the two differently, or a crop takes different places: the "
        "label of a pixel is another pixel's."
    )
    fix = "Export the mask at the image's size; never stretch one to the other unseen."
    fine = "Pairs of different sizes from example to example are normal."
    sources = "commaai/comma10k#1952, #1403"

    shown: int = field(default=10, metadata={"doc": "files named in the finding; JSON names all"})

    def examine(self, scan: ScanFacts) -> Iterator[Finding]:
        problems = _of(scan, self.code)
        if not problems:
            return
        count = len(problems)
        message = (
            f"In {count:,} of {len(scan.pairs):,} pairs image and mask differ in size: "
            f"{_first(problems)}."
        )
        words = (
            "Export these masks again at the size of their images (nearest neighbour for masks)."
        )
        yield self.finding(
            message,
            (
                Evidence("pairs of different size", count, 0, "pairs", scan.folder),
                *_files(problems, self.shown),
            ),
            Fix(words, "assert Image.open(image_path).size == Image.open(mask_path).size"),
        )
