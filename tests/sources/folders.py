"""Small data set folders for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.measures.drawing import voc_palette


def image(path: Path, size: tuple[int, int] = (12, 10), seed: int = 0) -> Path:
    """A noisy image of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def ids(*rows: list[int]) -> NDArray[np.uint8]:
    return np.array(rows, dtype=np.uint8)


def plain_mask(size: tuple[int, int] = (12, 10)) -> NDArray[np.uint8]:
    """0 on the left, 1 on the right, a column of 255 between."""
    mask = np.zeros((size[1], size[0]), dtype=np.uint8)
    mask[:, size[0] // 2 :] = 1
    mask[:, size[0] // 2] = 255
    return mask


def mask(path: Path, values: NDArray[np.uint8] | None = None, mode: str = "P") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = plain_mask() if values is None else values
    if mode == "P":
        picture = Image.frombytes("P", (values.shape[1], values.shape[0]), values.tobytes())
        picture.putpalette(voc_palette().tobytes())
    else:
        picture = Image.fromarray(values)
    picture.save(path)
    return path


def voc(root: Path, count: int = 4, *, lists: bool = True, listed: int | None = None) -> Path:
    """``count`` images, masks for the first ``listed``, lists of them: half train, half val."""
    listed = count if listed is None else listed
    for i in range(count):
        image(root / "JPEGImages" / f"{i:04d}.jpg", seed=i)
    for i in range(listed):
        mask(root / "SegmentationClass" / f"{i:04d}.png")
    if lists:
        names = [f"{i:04d}" for i in range(listed)]
        half = listed // 2
        folder = root / "ImageSets" / "Segmentation"
        folder.mkdir(parents=True)
        for name, members in (
            ("train", names[:half]),
            ("val", names[half:]),
            ("trainval", names),
        ):
            (folder / f"{name}.txt").write_text("".join(f"{member}\n" for member in members))
    return root


def plain(root: Path, count: int = 3, mode: str = "L") -> Path:
    for i in range(count):
        image(root / "images" / f"{i}.png", seed=i)
        mask(root / "masks" / f"{i}.png", mode=mode)
    return root
