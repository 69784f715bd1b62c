"""Drawn scenes in Pascal VOC's layout: data for the demo and the tests, reproducible by a seed.

Every class has a colour and a stripe pattern of its own, so a network can learn it; every object
is ringed by void, as in VOC; and the edges of an image are where the edges of its mask are.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOID = 255

# From this many pixels on, the void ring is four pixels wide instead of two.
_WIDE_RING_FROM = 128


def voc_palette() -> NDArray[np.uint8]:
    """Pascal VOC's colour map: the bits of an id, dealt out to red, green and blue from the top.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Row ``i`` is the colour of id ``i``; row 0 is black, row 255 (224, 224, 192).

    References
    ----------
    VOC development kit, ``VOClabelcolormap.m``.
    """
    ids = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            if 3 * bit + channel < 8:
                colours[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                    np.uint8
                )
    return colours


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] = (256, 256),
    classes: int = 21,
    objects: tuple[int, int] = (1, 3),
    front_class: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one scene: objects of random classes on a textured background, and its mask.

    Parameters
    ----------
    rng : numpy.random.Generator
        All that the scene depends on beside the other arguments.
    size : tuple (H, W)
        In pixels, each at least 32.
    classes : int
        Background included, 2 to 255; objects are of the classes 1 to ``classes - 1``.
    objects : tuple (fewest, most)
        How many objects are drawn; later ones may hide earlier ones.
    front_class : int, optional
        Class of the last object drawn, which nothing hides. None: drawn by chance.

    Returns
    -------
    image : ndarray of uint8, shape (H, W, 3)
    mask : ndarray of uint8, shape (H, W)
        Class ids; 255 in a ring of two pixels (four from 128 px on) around each visible outline.

    Raises
    ------
    ValueError
        ``size``, ``classes``, ``objects`` or ``front_class`` is out of range.
    """
    if min(size) < 32:
        raise ValueError(f"`size` must be at least 32 × 32. Received: size={size!r}")
    if not 2 <= classes <= VOID:
        raise ValueError(f"`classes` must be from 2 to {VOID}. Received: classes={classes!r}")
    if not 1 <= objects[0] <= objects[1]:
        raise ValueError(f"`objects` must be (fewest ≥ 1, most). Received: objects={objects!r}")
    if front_class is not None and not 1 <= front_class < classes:
        raise ValueError(
            f"`front_class` must be from 1 to {classes - 1}. Received: front_class={front_class!r}"
        )
    mask = np.zeros(size, dtype=np.uint8)
    pieces = np.zeros(size, dtype=np.intp)
    picture = _background(rng, size)
    count = int(rng.integers(objects[0], objects[1] + 1))
    drawn = rng.integers(1, classes, size=count)
    if front_class is not None:
        drawn[-1] = front_class
    for piece, class_id in enumerate(drawn.tolist(), start=1):
        inside = _blob(rng, size)
        mask[inside] = class_id
        pieces[inside] = piece
        picture[inside] = _class_texture(rng, size, class_id)[inside]
    picture *= rng.uniform(0.85, 1.1)
    picture += rng.normal(0, 4, size=picture.shape)
    image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    mask[_outlines(pieces, reach=2 if min(size) >= _WIDE_RING_FROM else 1)] = VOID
    return image, mask


def write_voc_folder(
    folder: Path,
    n_train: int,
    n_val: int,
    size: tuple[int, int] = (256, 256),
    classes: int = 21,
    seed: int = 0,
) -> Path:
    """Write drawn scenes as Pascal VOC is laid out: JPEG images, palette PNG masks, split lists.

    Scene ``i`` depends on ``seed`` and ``i`` alone, so a larger folder begins with the smaller
    one's scenes. Its front object is of class ``1 + i % (classes - 1)``: every class occurs in a
    split of ``classes - 1`` scenes.

    Parameters
    ----------
    folder : Path
        Made where it is missing; files of the same names are replaced.
    n_train, n_val : int
        Scenes of each split; the training scenes come first.
    size : tuple (H, W)
    classes : int
    seed : int

    Returns
    -------
    Path
        ``folder``, which then holds ``JPEGImages/*.jpg``, ``SegmentationClass/*.png`` and
        ``ImageSets/Segmentation/{train,val,trainval}.txt``.
    """
    folder = Path(folder)
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    lists = folder / "ImageSets" / "Segmentation"
    for part in (images, masks, lists):
        part.mkdir(parents=True, exist_ok=True)
    names = [f"drawn_{i:06d}" for i in range(n_train + n_val)]
    for i, name in enumerate(names):
        rng = np.random.default_rng([seed, i])
        image, mask = draw_scene(rng, size, classes, front_class=1 + i % (classes - 1))
        Image.fromarray(image).save(images / f"{name}.jpg", quality=92)
        _palette_image(mask).save(masks / f"{name}.png")
    splits = {"train": names[:n_train], "val": names[n_train:], "trainval": names}
    for split, members in splits.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in members))
    return folder


def _palette_image(mask: NDArray[np.uint8]) -> Image.Image:
    height, width = mask.shape
    image = Image.frombytes("P", (width, height), mask.tobytes())
    image.putpalette(voc_palette().tobytes())
    return image


def _background(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Clouds in two greys of one faint tint, shape (H, W, 3), 0 to 255."""
    tint = rng.uniform(-12, 12, size=3)
    dark, light = 95 + tint, 165 + tint
    clouds = _clouds(rng, size, cells=4)[..., None]
    return dark + (light - dark) * clouds


def _class_texture(
    rng: np.random.Generator, size: tuple[int, int], class_id: int
) -> NDArray[np.float64]:
    """Stripes whose hue, direction and width are the class's own, shape (H, W, 3), 0 to 255."""
    # Steps of the golden ratio keep the hues of neighbouring ids far apart.
    hue = class_id * 0.618034 % 1.0
    light = np.array(colorsys.hsv_to_rgb(hue, 0.75, 0.95)) * 255
    dark = np.array(colorsys.hsv_to_rgb(hue, 0.90, 0.6)) * 255
    angle = class_id * 0.65 + rng.uniform(-0.15, 0.15)
    period = 5.0 + 2.0 * (class_id % 4)
    rows, columns = np.indices(size)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * along / period + rng.uniform(0, 2 * np.pi))
    shade = 0.75 * stripes + 0.25 * _clouds(rng, size, cells=6)
    texture: NDArray[np.float64] = dark + (light - dark) * shade[..., None]
    return texture


def _clouds(rng: np.random.Generator, size: tuple[int, int], cells: int) -> NDArray[np.float64]:
    """Smooth noise from 0 to 1, shape (H, W), ``cells`` bumps to a side."""
    coarse = Image.fromarray(rng.integers(0, 256, size=(cells, cells), dtype=np.uint8))
    fine = coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float64) / 255


def _blob(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A region with a wavy outline around a place off the border, shape (H, W)."""
    height, width = size
    rows, columns = np.indices(size)
    down = rows - height * rng.uniform(0.25, 0.75)
    right = columns - width * rng.uniform(0.25, 0.75)
    direction = np.arctan2(down, right)
    radius = np.full(size, min(size) * rng.uniform(0.17, 0.3))
    for wave in (2, 3, 5):
        strength = rng.uniform(0, 0.45 / wave)
        radius *= 1 + strength * np.sin(wave * direction + rng.uniform(0, 2 * np.pi))
    inside: NDArray[np.bool_] = np.hypot(down, right) < radius
    return inside


def _outlines(pieces: NDArray[np.intp], reach: int) -> NDArray[np.bool_]:
    """Pixels at most ``reach`` off another piece, shape (H, W): rings of twice that width."""
    height, width = pieces.shape
    padded = np.pad(pieces, reach, mode="edge")
    ring = np.zeros(pieces.shape, dtype=np.bool_)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right <= reach * reach:
                top, left = reach + down, reach + right
                ring |= padded[top : top + height, left : left + width] != pieces
    return ring
