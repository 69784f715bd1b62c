"""Our DeepLabv3+ has the published port's numbers, and its files need no custom objects."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.sources.deeplab import build_deeplab

SMALL = (64, 64, 3)


@pytest.fixture(scope="session")
def deeplab() -> Callable[..., Any]:
    """``build_deeplab``, each set of arguments built once."""
    return cache(build_deeplab)


def batch_norms(model: Any) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers]


def trainable_parameters(model: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@contextmanager
def frozen(layers: list[Any]) -> Iterator[None]:
    """The layers frozen as people do it, and thawed again."""
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in layers:
            layer.trainable = True


def images(batch: int, height: int, width: int) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, (batch, height, width, 3)).astype(np.float32)


def test_importing_it_loads_neither_tensorflow_nor_keras() -> None:
    code = (
        "import sys, segdoctor.sources.deeplab\n"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("output_stride", "activation", "layers"),
    [(16, None, 411), (16, "softmax", 412), (8, None, 409)],
)
def test_xception_has_the_published_size(
    deeplab: Callable[..., Any], output_stride: int, activation: str | None, layers: int
) -> None:
    model = deeplab("xception", output_stride=output_stride, activation=activation)
    assert model.count_params() == 41_258_213
    assert len(model.layers) == layers
    settings = Counter((layer.epsilon, layer.momentum) for layer in batch_norms(model))
    assert settings == {(1e-3, 0.99): 132, (1e-5, 0.99): 14}
    assert model.output_shape == (None, 512, 512, 21)


@pytest.mark.parametrize(("activation", "layers"), [(None, 164), ("softmax", 165)])
def test_mobilenet_has_the_published_size(
    deeplab: Callable[..., Any], activation: str | None, layers: int
) -> None:
    model = deeplab("mobilenetv2", activation=activation)
    assert model.count_params() == 2_146_645
    assert len(model.layers) == layers
    settings = Counter((layer.epsilon, layer.momentum) for layer in batch_norms(model))
    assert settings == {(1e-3, 0.999): 51, (1e-5, 0.99): 3}
    assert model.output_shape == (None, 512, 512, 21)


def test_the_first_356_layers_at_stride_8_are_exactly_the_xception_backbone(
    deeplab: Callable[..., Any],
) -> None:
    model = deeplab("xception", output_stride=8)
    weighted = [layer.name for layer in model.layers[:356] if layer.weights]
    assert all(name.split("_flow_")[0] in {"entry", "middle", "exit"} for name in weighted)
    with frozen(model.layers[:356]):
        assert trainable_parameters(model) == 3_188_101
        assert sum(layer.trainable for layer in batch_norms(model)) == 14
        assert not any("_flow_" in layer.name for layer in model.layers[356:] if layer.weights)


def test_the_first_356_layers_at_stride_16_leave_the_last_backbone_convolution(
    deeplab: Callable[..., Any],
) -> None:
    model = deeplab("xception", output_stride=16)
    with frozen(model.layers[:356]):
        assert trainable_parameters(model) == 6_337_925
        assert sum(layer.trainable for layer in batch_norms(model)) == 15
        left = [
            layer.name for layer in model.layers[356:] if layer.weights and "_flow_" in layer.name
        ]
        last = "exit_flow_block2_separable_conv3_pointwise"
        assert left == [last, f"{last}_BN"]


def test_the_first_356_layers_are_all_of_mobilenet(deeplab: Callable[..., Any]) -> None:
    model = deeplab("mobilenetv2")
    with frozen(model.layers[:356]):
        assert trainable_parameters(model) == 0


def test_layers_carry_the_ports_names_in_its_order(deeplab: Callable[..., Any]) -> None:
    small = names(deeplab("mobilenetv2"))
    assert small[1:4] == ["Conv", "Conv_BN", "Conv_Relu6"]
    assert small[4:6] == ["expanded_conv_depthwise", "expanded_conv_depthwise_BN"]
    assert "expanded_conv_16_project_BN" in small
    assert "expanded_conv_17_expand" not in small
    large = names(deeplab("xception"))
    landmarks = [
        "entry_flow_conv1_1",
        "entry_flow_block3_shortcut",
        "middle_flow_unit_16_separable_conv3_pointwise_BN",
        "exit_flow_block2_separable_conv1_depthwise",
        "image_pooling",
        "concat_projection",
        "decoder_conv0_depthwise",
        "decoder_conv1_pointwise_BN",
        "logits_semantic",
    ]
    assert [name for name in large if name in landmarks] == landmarks
    assert {"aspp0", "aspp3_pointwise_BN", "feature_projection0_BN"} < set(large)


@pytest.mark.parametrize(
    ("classes", "name"),
    [(21, "logits_semantic"), (19, "logits_semantic"), (2, "custom_logits_semantic")],
)
def test_the_head_is_named_by_the_number_of_classes(
    deeplab: Callable[..., Any], classes: int, name: str
) -> None:
    assert name in names(deeplab("mobilenetv2", SMALL, classes, alpha=0.35))


def test_output_stride_sets_the_grid_of_xceptions_features(deeplab: Callable[..., Any]) -> None:
    for stride in (8, 16):
        model = deeplab("xception", output_stride=stride)
        assert model.get_layer("aspp0").output.shape[1:3] == (512 // stride, 512 // stride)
        assert model.get_layer("logits_semantic").output.shape[1:3] == (128, 128)
        rate = model.get_layer("aspp3_depthwise").dilation_rate
        assert tuple(rate) == (288 // stride, 288 // stride)


def test_mobilenet_has_stride_8_whatever_is_asked(deeplab: Callable[..., Any]) -> None:
    for stride in (8, 16):
        model = deeplab("mobilenetv2", output_stride=stride)
        assert model.get_layer("logits_semantic").output.shape[1:3] == (64, 64)


def test_alpha_widens_the_small_backbone(deeplab: Callable[..., Any]) -> None:
    model = deeplab("mobilenetv2", SMALL, alpha=0.5)
    assert model.get_layer("expanded_conv_16_project").filters == 160
    assert model.get_layer("Conv").filters == 16


def test_momentum_is_that_of_every_normalisation(deeplab: Callable[..., Any]) -> None:
    model = deeplab("mobilenetv2", SMALL, momentum=0.9)
    assert {layer.momentum for layer in batch_norms(model)} == {0.9}


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_the_activation_is_behind_the_resized_logits(
    deeplab: Callable[..., Any], activation: str | None
) -> None:
    model = deeplab("mobilenetv2", SMALL, 4, alpha=0.35, activation=activation)
    output = model.predict(images(2, 64, 64), verbose=0)
    assert output.shape == (2, 64, 64, 4)
    if activation is None:
        assert output.min() < 0
    else:
        assert output.min() >= 0
        assert (abs(output.sum(-1) - 1).max() < 1e-5) == (activation == "softmax")


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_a_saved_file_loads_without_custom_objects(
    deeplab: Callable[..., Any], tmp_path: Path, ending: str
) -> None:
    import keras

    for shape in (SMALL, (None, None, 3)):
        model = deeplab("mobilenetv2", shape, alpha=0.35)
        file = tmp_path / f"{shape[0]}.{ending}"
        model.save(file)
        loaded = keras.models.load_model(file)
        assert names(loaded) == names(model)
        batch = images(1, 64, 64)
        np.testing.assert_array_equal(
            loaded.predict(batch, verbose=0), model.predict(batch, verbose=0)
        )


@pytest.mark.parametrize(("backbone", "size"), [("mobilenetv2", (64, 88)), ("xception", (64, 96))])
def test_free_size_and_fixed_size_compute_the_same(
    deeplab: Callable[..., Any], backbone: str, size: tuple[int, int]
) -> None:
    free = deeplab(backbone, (None, None, 3), 5)
    fixed = deeplab(backbone, (*size, 3), 5)
    fixed.set_weights(free.get_weights())
    batch = images(1, *size)
    expected = fixed(batch, training=False)
    np.testing.assert_allclose(free(batch, training=False), expected, atol=1e-5)
    assert expected.shape == (1, *size, 5)


def test_sizes_that_no_stride_divides_come_out_as_they_went_in(
    deeplab: Callable[..., Any],
) -> None:
    for backbone in ("mobilenetv2", "xception"):
        assert deeplab(backbone, (65, 101, 3), 3).output_shape == (None, 65, 101, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"backbone": "resnet"}, {"output_stride": 4}, {"activation": "relu"}, {"classes": 0}],
)
def test_unknown_choices_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Received"):
        build_deeplab(**wrong)
