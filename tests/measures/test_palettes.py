"""What loaders make of Pascal VOC's palette, and how it is recognised."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from segdoctor.measures.drawing import voc_palette
from segdoctor.measures.palettes import (
    as_colours,
    as_luminances,
    as_red_channel,
    as_scaled,
    as_shifted,
    class_list,
    decode_colours,
    decode_luminances,
    luminances,
    red_channels,
    undo_palette,
)

# Measured with tf.io.decode_png(channels=1) on TensorFlow 2.21.
MEASURED = {
    0: 0,
    1: 38,
    2: 75,
    3: 113,
    4: 15,
    5: 53,
    6: 90,
    7: 128,
    8: 19,
    9: 57,
    10: 94,
    11: 133,
    12: 34,
    13: 72,
    14: 109,
    15: 147,
    16: 38,
    17: 76,
    18: 113,
    19: 151,
    20: 52,
    255: 220,
}


def test_luminances_are_those_that_were_measured() -> None:
    assert luminances() == MEASURED


def test_luminances_are_those_of_pillow() -> None:
    ids = np.array([list(MEASURED)], dtype=np.uint8)
    grey = np.asarray(Image.fromarray(voc_palette()[ids]).convert("L"))
    assert grey[0].tolist() == list(MEASURED.values())


def test_red_channels() -> None:
    assert set(red_channels().values()) == {0, 64, 128, 192, 224}


def test_decoding_undoes_what_a_loader_did() -> None:
    ids = np.array([[0, 1, 15, 20, 255]])
    colours = voc_palette()[ids]
    np.testing.assert_array_equal(decode_colours(colours), ids)
    np.testing.assert_array_equal(undo_palette(colours[None] / 255.0)[0], ids)
    np.testing.assert_array_equal(decode_luminances(np.array([[0, 38, 147, 52, 220]])), ids)
    np.testing.assert_array_equal(decode_luminances(np.array([-3, 7, 300, 38.0])), [255] * 3 + [1])
    np.testing.assert_array_equal(undo_palette(np.array([[[[38], [220]]]])), [[[1, 255]]])


def test_luminances_are_recognised() -> None:
    found = as_luminances({0: 900, 38: 50, 147: 30, 220: 20})
    assert found is not None
    assert found.share == 1
    assert found.ids == {38: 1, 147: 15, 220: 255}
    mixed = as_luminances({0: 900, 38: 50, 7: 50})
    assert mixed is not None
    assert mixed.share == 0.5
    assert mixed.unexplained == (7,)
    assert as_luminances({0: 9, 1: 1}) is None


def test_the_red_channel_is_recognised() -> None:
    found = as_red_channel({0: 9, 64: 1, 192: 1, 224: 1})
    assert found is not None
    assert found.share == 1


def test_colours_are_recognised() -> None:
    found = as_colours({"0,0,0": 80, "128,0,0": 15, "224,224,192": 5})
    assert found is not None
    assert found.share == 1
    assert set(found.ids.values()) == {1, 255}
    strange = as_colours({"0,0,0": 80, "10,20,30": 15, "other": 5})
    assert strange is not None
    assert strange.share == 0
    assert as_colours({"0,0,0": 80, "255,255,255": 20}) is None  # grey
    assert as_colours({}) is None


@pytest.mark.parametrize(
    ("values", "classes", "void", "what"),
    [
        ([0, 255], 2, None, "0/255"),
        ([0, 255], 21, None, "0/255"),
        ([0.0, 128.0], 2, None, "0/128"),
        ([0, 85, 170, 255], 4, None, "ids × 85"),
        ([0, 12, 36, 240], 21, None, "ids × 12"),
        ([0, 85, 170, 255], 4, 255, "ids × 85"),
        ([0, 1 / 255, 20 / 255], 21, None, "ids / 255"),
        ([0, 1 / 255, 1.0], 21, None, "ids / 255"),
        ([0, 0.05, 0.75, 1.0], 21, None, "ids / 20"),
        # sound, or something else
        ([0, 1], 2, None, None),
        ([0, 255], 21, 255, None),
        ([0, 128], 21, None, None),
        ([0, 2, 4, 20], 21, None, None),
        ([0, 15, 255], 21, 255, None),
        ([0, 15, 255], 21, None, None),
        ([0, 5, 20, 255], 21, None, None),
        ([0, 127, 255], 3, None, "ids × 255/2"),
        ([0, 128, 255], 3, None, "ids × 255/2"),
        ([0, 63, 127, 191, 255], 5, None, "ids × 255/4"),
        ([0, 3.5, 7], 21, None, None),
        ([0, 0.3, 0.77], 21, None, None),
        ([0, 12, 36, 240], None, None, None),
        ([-1, 0, 50], 2, -1, "0/50"),
        ([0, 40, 80], 2, None, None),
        ([], 2, None, None),
    ],
)
def test_scales(
    values: list[float], classes: int | None, void: float | None, what: str | None
) -> None:
    found = as_scaled(dict.fromkeys(values, 10), classes, void)
    assert (found.what if found else None) == what
    if found is not None and found.factor is not None:
        for value, label in found.ids.items():
            assert round(value * found.factor) == label


@pytest.mark.parametrize(
    ("values", "classes", "fires"),
    [
        ([1, 2, 3], 3, True),
        ([1, 2, 3, 255], 3, True),
        ([0, 1, 2, 3], 3, False),
        ([1, 2, 3], 4, False),
        ([1, 2, 5], 3, False),
        ([1, 2, 3], None, False),
    ],
)
def test_shifts(values: list[float], classes: int | None, fires: bool) -> None:
    assert (as_shifted(dict.fromkeys(values, 1), classes, 255) is not None) == fires


@pytest.mark.parametrize(
    ("values", "size"),
    [
        (range(21), 21),
        ([*range(21), 255], 21),
        ([0, 1], 2),
        ([0, 1, 2, 3, 5, 6, 7], 8),
        ([0, 38, 147], None),
        ([1, 2, 3], None),
        ([0], None),
        ([0, 0.5], None),
        ([], None),
    ],
)
def test_class_lists(values: list[float], size: int | None) -> None:
    assert class_list(dict.fromkeys(values, 1), 255) == size
