"""Healthy nets of installed builders, examined without a trial: none may have an error.

    python benchmarks/builders.py [VOC FOLDER] [--only NAME] [--path FOLDER …]

Nets of keras.applications with an FCN head always; keras-hub, keras-unet-collection and
segmentation-models where they are installed (or below a folder given with ``--path``). Each is
examined with the Keras that it is made of: with TF_USE_LEGACY_KERAS=1 the last two give tf_keras.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SM_FRAMEWORK", "tf.keras")

CLASSES, SIDE = 21, 96
FULLY_CONVOLUTIONAL = (
    *("MobileNetV2", "VGG16", "ResNet50", "ResNet50V2", "EfficientNetB0", "DenseNet121"),
    *("Xception", "MobileNetV3Small", "InceptionV3", "ConvNeXtTiny"),
)


def fully_convolutional(name: str, side: int) -> Any:
    """A net of keras.applications without weights, and a head on its last map."""
    import keras

    options = {"include_preprocessing": False} if "V3Small" in name or "ConvNeXt" in name else {}
    base = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(side, side, 3), **options
    )
    x = keras.layers.Conv2D(CLASSES, 1, name="head")(base.output)
    x = keras.layers.Resizing(side, side, interpolation="bilinear")(x)
    return keras.Model(base.input, x)


def hub(side: int) -> Any:
    import keras
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(side, side, 3),
    )
    encoder = keras_hub.models.DeepLabV3Backbone(
        image_encoder=backbone,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        dilation_rates=[1, 2, 3],
        upsampling_size=4,
        image_shape=(side, side, 3),
    )
    # Any float32 activation: None is a linear head, logits.
    model = keras_hub.models.DeepLabV3ImageSegmenter(
        backbone=encoder, num_classes=CLASSES, activation=None, preprocessor=None
    )
    assert isinstance(model, keras.Model)
    return model


def collection(name: str, side: int) -> Any:
    from keras_unet_collection import models

    options: dict[str, Any] = {"n_labels": CLASSES, "output_activation": None}
    if name == "resunet_a_2d":
        options["dilation_num"] = [1, 3, 15]
    if name == "u2net_2d":
        return models.u2net_2d(
            (side, side, 3), filter_num_down=[16, 32, 64], deep_supervision=False, **options
        )
    return getattr(models, name)(
        (side, side, 3), filter_num=[16, 32, 64, 128], batch_norm=True, **options
    )


def qubvel(name: str, side: int) -> Any:
    import segmentation_models

    return getattr(segmentation_models, name)(
        "resnet18",
        input_shape=(side, side, 3),
        classes=CLASSES,
        activation="linear",
        encoder_weights=None,
    )


def keras_of(model: Any) -> Any:
    """The package that the model is made of: ``keras`` or ``tf_keras``."""
    kinds = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    return importlib.import_module("tf_keras" if "tf_keras" in kinds else "keras")


def nets() -> Iterator[tuple[str, Callable[[int], Any]]]:
    for name in FULLY_CONVOLUTIONAL:
        yield f"keras.applications {name} + FCN", lambda side, n=name: fully_convolutional(n, side)
    yield "keras-hub DeepLabV3", hub
    for name in ("unet_2d", "unet_plus_2d", "att_unet_2d", "u2net_2d", "resunet_a_2d"):
        yield f"keras-unet-collection {name}", lambda side, n=name: collection(n, side)
    for name in ("Unet", "FPN", "Linknet"):
        yield f"segmentation-models {name}", lambda side, n=name: qubvel(n, side)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("voc", nargs="?", default="../shared/data/voc")
    parser.add_argument("--only", default="")
    parser.add_argument("--path", action="append", default=[])
    arguments = parser.parse_args()
    sys.path[:0] = arguments.path
    import keras

    import segdoctor
    from segdoctor.sources.voc import make_batch, scan_folder

    scan = scan_folder(Path(arguments.voc))
    options = {"size": (SIDE, SIDE), "count": 4, "num_classes": CLASSES, "ignore_label": 255}
    scaled, pixels = (make_batch(scan, preprocess=name, **options) for name in ("tf", "none"))
    for name, build in nets():
        if arguments.only not in name:
            continue
        try:
            keras.utils.set_random_seed(0)
            model = build(SIDE)
        except Exception as error:  # noqa: BLE001 - the boundary: a builder that does not run here
            print(f"{name:44} not built: {type(error).__name__}: {str(error)[:90]}", flush=True)
            continue
        start = time.perf_counter()
        own = keras_of(model)
        scales = any(type(layer).__name__ == "Rescaling" for layer in model.layers)
        batch = pixels if scales else scaled
        report = segdoctor.check(
            model,
            (batch.x, batch.y),
            loss=own.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
            optimizer=own.optimizers.Adam(1e-3),
            metrics=[],
            trial=False,
            batch_size=8,
            num_classes=CLASSES,
        )
        seconds = time.perf_counter() - start
        told = [f"{f.code} {f.severity}" for f in report.findings]
        crashed = [o.code for o in report.outcomes if o.status == "crashed"]
        print(
            f"{name:44} {own.__name__:8} {seconds:5.1f} s  {', '.join(told) or 'silent'}"
            + (f"  CRASHED {crashed}" if crashed else ""),
            flush=True,
        )
        for finding in report.findings:
            if finding.severity != "info":
                print(f"    {finding.code}: {finding.message[:160]}", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
