"""Output shapes without running anything, beside what Keras gives."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.core.model_facts import Shape
from segdoctor.measures.layer_shapes import output_shape

IMAGE = (None, 9, 12, 6)

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same"}),
    ("Conv2D", {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "padding": "valid"}),
    ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "dilation_rate": [2, 2]}),
    ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 2}),
    ("SeparableConv2D", {"filters": 5, "kernel_size": [3, 3], "padding": "same"}),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": [3, 3], "strides": [2, 2]}),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": [2, 2], "strides": 2, "padding": "same"}),
    ("MaxPooling2D", {"pool_size": [2, 2]}),
    ("AveragePooling2D", {"pool_size": [3, 3], "strides": [2, 2], "padding": "same"}),
    ("GlobalAveragePooling2D", {}),
    ("GlobalAveragePooling2D", {"keepdims": True}),
    ("UpSampling2D", {"size": [2, 3]}),
    ("ZeroPadding2D", {"padding": [[1, 2], [0, 3]]}),
    ("Cropping2D", {"cropping": [[1, 2], [0, 3]]}),
    ("Resizing", {"height": 5, "width": 7}),
    ("Dense", {"units": 3}),
    ("Flatten", {}),
    ("Reshape", {"target_shape": [-1, 6]}),
    ("Permute", {"dims": [3, 1, 2]}),
    ("BatchNormalization", {}),
    ("Dropout", {"rate": 0.5}),
]


@pytest.mark.parametrize(("class_name", "config"), CASES)
def test_as_keras(class_name: str, config: dict[str, Any]) -> None:
    keras = pytest.importorskip("keras")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    expected = getattr(keras.layers, class_name)(**settings)(keras.KerasTensor(IMAGE)).shape
    assert output_shape(class_name, config, [IMAGE]) == tuple(expected)


@pytest.mark.parametrize(
    ("class_name", "inputs", "expected"),
    [
        ("Concatenate", [(None, 8, 8, 3), (None, 8, 8, 5)], (None, 8, 8, 8)),
        ("Concatenate", [(None, 8, 8, 3), (None, None, 8, None)], (None, 8, 8, None)),
        ("Concatenate", [(None, 8, 8, 3), None], None),
        ("Add", [(None, 8, 8, 3), (None, 1, 1, 3)], (None, 8, 8, 3)),
        ("Add", [(None, 8), (None, 8, 8)], None),
        ("Lambda", [(None, 8)], None),
        ("Conv2D", [None], (None, None, None, 4)),
        ("Conv2D", [(None, 8)], None),
    ],
)
def test_several_or_unknown_inputs(
    class_name: str, inputs: list[Shape | None], expected: Shape | None
) -> None:
    config = {"filters": 4, "kernel_size": [3, 3]} if class_name == "Conv2D" else {}
    assert output_shape(class_name, config, inputs) == expected


def test_unknown_sizes_stay_unknown() -> None:
    config = {"filters": 4, "kernel_size": 3}
    assert output_shape("Conv2D", config, [(None, None, 8, 3)]) == (None, None, 6, 4)


@pytest.mark.parametrize("broken", [{}, {"filters": 4, "kernel_size": "x"}, {"kernel_size": []}])
def test_settings_that_make_no_sense(broken: dict[str, Any]) -> None:
    assert output_shape("Conv2D", broken, [IMAGE]) is None
