"""Drawn scenes: what is promised of them, from the palette to the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segdoctor.measures.drawing import VOID, draw_scene, voc_palette, write_voc_folder


def scene(seed: int, **settings: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return draw_scene(np.random.default_rng(seed), **settings)


def gradient(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Largest difference of any channel to the pixel below or to the right, shape (H-1, W-1)."""
    pixels = image.astype(np.float64)
    below = np.abs(pixels[1:, :-1] - pixels[:-1, :-1])
    right = np.abs(pixels[:-1, 1:] - pixels[:-1, :-1])
    return np.maximum(below, right).max(axis=-1)


def test_the_palette_is_pascal_vocs() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128)}
    known |= {8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {i: tuple(palette[i].tolist()) for i in known} == known
    assert len(np.unique(palette, axis=0)) == 256


def test_the_same_seed_draws_the_same_scene() -> None:
    first, again, other = scene(3), scene(3), scene(4)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("size", [(96, 96), (120, 200), (32, 48)])
@pytest.mark.parametrize("classes", [2, 21])
def test_a_scene_holds_background_objects_and_void(size: tuple[int, int], classes: int) -> None:
    for seed in range(20):
        image, mask = scene(seed, size=size, classes=classes)
        assert image.shape == (*size, 3)
        assert image.dtype == mask.dtype == np.uint8
        assert mask.shape == size
        ids = set(np.unique(mask).tolist())
        assert {0, VOID} < ids
        assert max(ids - {VOID}) < classes
        assert 0.005 < np.mean(mask == VOID) < 0.3


@pytest.mark.parametrize(("size", "wide"), [(96, 2), (160, 4)])
def test_the_ring_is_that_wide(size: int, wide: int) -> None:
    _, mask = scene(0, size=(size, size), objects=(1, 1))
    row = mask[np.argmax(np.sum((mask > 0) & (mask < VOID), axis=1))]
    changes = np.flatnonzero(np.diff(row.astype(int)))
    runs = np.diff(changes)[row[changes[:-1] + 1] == VOID]
    assert runs.min() == wide
    assert runs.max() <= wide + 2


def test_no_two_classes_touch_without_void_between() -> None:
    for seed in range(20):
        _, mask = scene(seed, size=(96, 96))
        for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            assert np.all((one == other) | (one == VOID) | (other == VOID))


def test_image_edges_are_where_mask_edges_are() -> None:
    own, flipped = [], []
    for seed in range(30):
        image, mask = scene(seed, size=(128, 128))
        edges = gradient(image)
        for masks, found in ((mask, own), (mask[::-1, ::-1], flipped)):
            ring = masks[:-1, :-1] == VOID
            found.append(edges[ring].mean() / edges[~ring].mean())
    assert np.mean(np.array(own) > np.array(flipped)) > 0.9
    assert np.median(own) > 1.3


def test_a_class_keeps_its_colour_and_classes_differ() -> None:
    def mean_colour(class_id: int, seed: int) -> NDArray[np.float64]:
        image, mask = scene(seed, size=(96, 96), front_class=class_id, objects=(1, 1))
        colour: NDArray[np.float64] = image[mask == class_id].mean(axis=0)
        return colour / np.linalg.norm(colour)

    first = np.array([mean_colour(i, seed=i) for i in range(1, 21)])
    second = np.array([mean_colour(i, seed=100 + i) for i in range(1, 21)])
    distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
    nearest_three = np.argsort(distance, axis=1)[:, :3]
    assert np.mean([i in nearest_three[i] for i in range(20)]) >= 0.9


def test_the_front_object_is_of_the_asked_class() -> None:
    for seed in range(10):
        _, mask = scene(seed, size=(64, 64), front_class=7, objects=(3, 3))
        assert np.mean(mask == 7) > 0.02


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (16, 96)},
        {"classes": 1},
        {"classes": 256},
        {"objects": (0, 2)},
        {"objects": (3, 2)},
        {"front_class": 21},
        {"front_class": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Received"):
        scene(0, **wrong)


def test_a_folder_is_laid_out_as_voc_is(tmp_path: Path) -> None:
    folder = write_voc_folder(tmp_path / "voc", n_train=4, n_val=2, size=(48, 64), classes=5)
    lists = folder / "ImageSets" / "Segmentation"
    train, val, both = (
        (lists / f"{split}.txt").read_text().split() for split in ("train", "val", "trainval")
    )
    assert len(train) == 4
    assert len(val) == 2
    assert both == train + val
    assert {file.stem for file in (folder / "JPEGImages").glob("*.jpg")} == set(both)
    assert {file.stem for file in (folder / "SegmentationClass").glob("*.png")} == set(both)
    seen: set[int] = set()
    for name in both:
        with Image.open(folder / "JPEGImages" / f"{name}.jpg") as image:
            assert (image.mode, image.size) == ("RGB", (64, 48))
        with Image.open(folder / "SegmentationClass" / f"{name}.png") as mask:
            assert (mask.mode, mask.size) == ("P", (64, 48))
            assert mask.getpalette() == voc_palette().ravel().tolist()
            seen |= set(np.unique(np.asarray(mask)).tolist())
    assert seen == {0, 1, 2, 3, 4, VOID}


def test_a_larger_folder_begins_with_the_smaller_ones_scenes(tmp_path: Path) -> None:
    small = write_voc_folder(tmp_path / "small", 2, 0, size=(32, 32), seed=5)
    large = write_voc_folder(tmp_path / "large", 3, 1, size=(32, 32), seed=5)
    for file in small.glob("*/*.[jp][pn]g"):
        assert file.read_bytes() == (large / file.relative_to(small)).read_bytes()
