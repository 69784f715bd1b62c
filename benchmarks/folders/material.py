"""What the folders are made of: real pairs, made smaller, written in the styles that people have
on their disks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.measures.drawing import voc_palette

Array = NDArray[np.uint8]
_SIDE = 240


@dataclass(frozen=True)
class Example:
    """A real pair: ``rgb`` (H, W, 3), ``ids`` (H, W) with void 255."""

    name: str
    voc_name: str
    rgb: Array
    ids: Array

    @property
    def thing(self) -> Array:
        """1 where any object is or its outline, 0 elsewhere."""
        return (self.ids > 0).astype(np.uint8)


@dataclass
class Room:
    """A folder that is being made."""

    root: Path
    examples: list[Example]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def image(self, place: str, pixels: Array, **options: object) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **({"quality": 92} | options))
        return path

    def palette(self, place: str, ids: Array) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.frombytes("P", (ids.shape[1], ids.shape[0]), ids.tobytes())
        picture.putpalette(voc_palette().tobytes())
        picture.save(path)
        return path

    def text(self, place: str, text: str) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def folders(
        self,
        masks: Callable[[Example], Array],
        images: Callable[[Example], Array] = lambda e: e.rgb,
        *,
        some: int = 40,
        palette: bool = False,
    ) -> None:
        """``images/`` and ``masks/`` side by side."""
        for example in self.examples[:some]:
            self.image(f"images/{example.name}.jpg", images(example))
            write = self.palette if palette else self.image
            write(f"masks/{example.name}.png", masks(example))

    def voc(self, masks: Callable[[Example], Array], *, some: int = 40) -> None:
        """The layout of Pascal VOC, half of it val."""
        chosen = self.examples[:some]
        for example in chosen:
            self.image(f"JPEGImages/{example.voc_name}.jpg", example.rgb)
            self.palette(f"SegmentationClass/{example.voc_name}.png", masks(example))
        names = [example.voc_name for example in chosen]
        for split, listed in (("train", names[::2]), ("val", names[1::2])):
            self.text(f"ImageSets/Segmentation/{split}.txt", "\n".join(listed) + "\n")


@dataclass(frozen=True)
class Case:
    """A folder: how it is made, how it is scanned, and what must be said of it. ``code``: that of
    the first finding, "" for a folder without an error."""

    name: str
    make: Callable[[Room], None]
    code: str
    options: dict[str, object]


CASES: list[Case] = []


def case(code: str = "", **options: object) -> Callable[[Callable[[Room], None]], None]:
    """Note a folder; its name is that of the function."""

    def noted(make: Callable[[Room], None]) -> None:
        CASES.append(Case(make.__name__.replace("_", " "), make, code, options))

    return noted


def real_examples(folder: Path) -> list[Example]:
    """The pairs of a folder in the layout of Pascal VOC; the objects of many classes first."""
    return list(_read(folder))


def _read(folder: Path) -> Iterator[Example]:
    for number, path in enumerate(sorted((folder / "SegmentationClass").glob("*.png"))):
        picture = Image.open(folder / "JPEGImages" / f"{path.stem}.jpg").convert("RGB")
        mask = Image.open(path)
        scale = _SIDE / max(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        yield Example(
            f"picture_{number:03d}",
            path.stem,
            np.asarray(picture.resize(size, Image.Resampling.BILINEAR)),
            np.asarray(mask.resize(size, Image.Resampling.NEAREST)),
        )
