"""Ramps, speckles, cores and rings of masks; bars of images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.data_facts import ShapeFacts
from segdoctor.measures.bars import bar_mask
from segdoctor.measures.drawing import draw_scene
from segdoctor.measures.mask_shape import mask_shape

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def mask() -> Array:
    return draw_scene(np.random.default_rng(2), (200, 240), front_class=15)[1]


def as_jpeg(ids: Array, quality: int) -> Array:
    sink = io.BytesIO()
    Image.fromarray(ids).save(sink, "JPEG", quality=quality)
    return np.asarray(Image.open(sink))


def test_a_drawn_mask_has_edges_only(mask: Array) -> None:
    shape = mask_shape(mask)
    assert shape.edges > 100
    assert shape.ramps == 0
    assert shape.borders >= shape.edges


@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_a_smoothed_mask_has_ramps(mask: Array, how: Image.Resampling) -> None:
    picture = Image.fromarray(np.where(mask == 255, 0, mask).astype(np.uint8))
    small = picture.resize((120, 100), Image.Resampling.NEAREST)
    shape = mask_shape(np.asarray(small.resize(picture.size, how)))
    assert shape.ramps > 5 * shape.edges
    assert shape.ramps > 7 / 3 * shape.speckles


@pytest.mark.parametrize("quality", [75, 90, 95])
def test_a_jpeg_mask_has_speckles(mask: Array, quality: int) -> None:
    shape = mask_shape(as_jpeg(mask, quality))
    assert shape.speckles > 0.1 * (shape.edges + shape.ramps + shape.speckles)
    assert shape.speckle_values > 10


def test_core_is_what_is_three_pixels_inside() -> None:
    ids = np.zeros((40, 40), np.uint8)
    ids[10:30, 10:30] = 4
    ids[20, :] = 9
    shape = mask_shape(ids)
    slow = {
        label: sum(
            bool((ids[max(r - 3, 0) : r + 4, max(c - 3, 0) : c + 4] == label).all())
            for r in range(40)
            for c in range(40)
        )
        for label in (0, 4)
    }
    # At a corner the fourth pixel along the diagonal is reached.
    assert shape.core == pytest.approx(slow, rel=0.01)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint16])
def test_void_is_a_ring_and_a_class_is_not(mask: Array, dtype: type) -> None:
    shape = mask_shape(mask.astype(dtype))
    facts = ShapeFacts("m", 0, 0, 0, shape.core, shape.borders, shape.touches)
    values, counts = np.unique(mask, return_counts=True)
    histogram = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert facts.ring(histogram, 0.35, 0.9, 0.25) == 255
    without = mask_shape(np.where(mask == 255, 0, mask))
    facts = ShapeFacts("m", 0, 0, 0, without.core, without.borders, without.touches)
    assert facts.ring(histogram, 0.35, 0.9, 0.25) is None


def test_thin_objects_are_no_ring() -> None:
    tiny = np.zeros((40, 40), np.uint8)
    tiny[10:12, 10:13] = 1  # six pixels
    road = np.zeros((40, 40), np.uint8)
    road[20:23] = 1
    beside = road.copy()
    beside[30:33, 5:8] = 2
    for ids in (tiny, road, beside):
        shape = mask_shape(ids)
        facts = ShapeFacts("m", 0, 0, 0, shape.core, shape.borders, shape.touches)
        histogram = dict(enumerate(np.bincount(ids.ravel()).tolist()))
        assert facts.ring(histogram, 0.35, 0.9, 0.25) is None


def test_an_empty_mask_has_nothing() -> None:
    shape = mask_shape(np.zeros((5, 7), np.uint8))
    assert (shape.edges, shape.ramps, shape.speckles, shape.borders) == (0, 0, 0, 0)
    assert mask_shape(np.zeros((1, 1), np.uint8)).core == {0: 1}


def picture() -> Array:
    return draw_scene(np.random.default_rng(1), (128, 128))[0]


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", "both"])
def test_bars_are_found(side: str) -> None:
    pixels = picture()
    expected = np.zeros((128, 128), bool)
    where = {
        "top": np.s_[:12],
        "bottom": np.s_[-12:],
        "left": np.s_[:, :12],
        "right": np.s_[:, -12:],
    }
    for name in ("top", "bottom") if side == "both" else (side,):
        expected[where[name]] = True
    pixels[expected] = (104, 117, 124)
    found = bar_mask(pixels)
    assert found is not None
    assert (found == expected).all()


def test_plain_grounds_and_plain_pictures_are_no_bars() -> None:
    assert bar_mask(picture()) is None
    assert bar_mask(np.full((128, 128, 3), 255, np.uint8)) is None
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[20:100, 20:100] = picture()[20:100, 20:100]
    assert bar_mask(pixels) is None
