"""DeepLabv3+ files, healthy and with one fault each, as a person would have them on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.sources.deeplab import build_deeplab
from segdoctor.sources.voc import make_batch, scan_folder

SIDE = 96


def warmed_up(data: Path, alpha: float = 0.35) -> Any:
    """A MobileNetV2 DeepLabv3+ with weights and BN statistics of a short training."""
    import keras

    keras.utils.set_random_seed(0)
    model = build_deeplab("mobilenetv2", (SIDE, SIDE, 3), 21, alpha=alpha, momentum=0.9)
    batch = make_batch(
        scan_folder(data), size=(SIDE, SIDE), count=16, num_classes=21, ignore_label=255
    )
    model.compile(keras.optimizers.Adam(1e-3), sparse())
    model.fit(batch.x, batch.y, batch_size=8, epochs=15, verbose=0)
    # A long training would have let the moving averages settle.
    recalibrate(model, [batch.x])
    return model


def sparse(from_logits: bool = True, ignore_class: int | None = 255) -> Any:
    import keras

    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=from_logits, ignore_class=ignore_class
    )


def compiled(model: Any, loss: Any = None, optimizer: Any = None) -> Any:
    import keras

    model.compile(optimizer or keras.optimizers.Adam(1e-3), loss or sparse())
    return model


def freeze_backbone(model: Any) -> Any:
    for layer in model.layers:
        if layer.name.startswith(("Conv", "expanded_conv")):
            layer.trainable = False
    return model


def batch_norms(model: Any) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


def reset_statistics(model: Any) -> Any:
    for layer in batch_norms(freeze_backbone(model)):
        gamma, beta, mean, variance = layer.get_weights()
        # As trained weights have them: no two channels alike.
        gamma = gamma * np.linspace(0.8, 1.2, len(gamma), dtype=np.float32)
        layer.set_weights([gamma, beta, 0 * mean, 0 * variance + 1])
    return compiled(model)


def stale_statistics(model: Any) -> Any:
    """The statistics of a backbone that saw [0, 255]."""
    for layer in batch_norms(freeze_backbone(model))[:20]:
        gamma, beta, mean, variance = layer.get_weights()
        spread = np.sqrt(variance)
        layer.set_weights([gamma, beta, mean + 12 * spread, 40 * variance])
    return compiled(model)


def softmax_then_resize(model: Any) -> Any:
    import keras

    resize = model.layers[-1]
    small = keras.layers.Activation("softmax", name="softmax")(resize.input)
    return compiled(keras.Model(model.inputs, resize(small)))


def softmax_last_with_ignore_class(model: Any) -> Any:
    import keras

    softmax = keras.layers.Activation("softmax", name="softmax")
    return compiled(keras.Model(model.inputs, softmax(model.outputs[0])))


def softmax_last_rescued(model: Any) -> Any:
    """Keras reaches back to the logits: information, no error."""
    import keras

    softmax = keras.layers.Activation("softmax", name="softmax")
    model = keras.Model(model.inputs, softmax(model.outputs[0]))
    return compiled(model, keras.losses.CategoricalCrossentropy(from_logits=True))


def softmax_twice(model: Any) -> Any:
    import keras

    first = keras.layers.Activation("softmax", name="softmax_1")(model.outputs[0])
    second = keras.layers.Activation("softmax", name="softmax_2")(first)
    return compiled(keras.Model(model.inputs, second), sparse(from_logits=False))


def one_channel_softmax(model: Any) -> Any:
    import keras

    one = keras.layers.Conv2D(1, 1, activation="softmax", name="head")(model.outputs[0])
    return compiled(keras.Model(model.inputs, one), keras.losses.BinaryCrossentropy())


def categorical(model: Any) -> Any:
    import keras

    return compiled(model, keras.losses.CategoricalCrossentropy(from_logits=True))


def all_frozen(model: Any) -> Any:
    for layer in model.layers[:356]:
        layer.trainable = False
    return compiled(model)


def frozen_backbone(model: Any) -> Any:
    return compiled(freeze_backbone(model))


SICK: dict[str, Callable[[Any], Any]] = {
    "healthy": compiled,
    "frozen": frozen_backbone,
    "reset": reset_statistics,
    "stale": stale_statistics,
    "resized": softmax_then_resize,
    "rescue_lost": softmax_last_with_ignore_class,
    "rescued": softmax_last_rescued,
    "twice": softmax_twice,
    "one_channel": one_channel_softmax,
    "probabilities": lambda model: compiled(model, sparse(from_logits=False)),
    "no_ignore": lambda model: compiled(model, sparse(ignore_class=None)),
    "categorical": categorical,
    "all_frozen": all_frozen,
}


class Ward:
    """Makes each file once, from one warmed-up model."""

    def __init__(self, folder: Path, data: Path, alpha: float = 0.35) -> None:
        self._folder = folder
        self._data = data
        self._alpha = alpha
        self._model: Any = None

    def file(self, name: str, suffix: str = ".keras") -> Path:
        import keras

        path = self._folder / f"{name}{suffix}"
        if not path.exists():
            if self._model is None:
                self._model = warmed_up(self._data, self._alpha)
            twin = keras.models.clone_model(self._model)
            twin.set_weights(self._model.get_weights())
            SICK[name](twin).save(path)
        return path

    def written_by(self, name: str, version: str) -> Path:
        """The same ``.h5`` as another Keras would have signed it."""
        path = self.file(name, ".h5")
        signed = path.with_name(f"{name}_{version}.h5")
        signed.write_bytes(path.read_bytes())
        with h5py.File(signed, "r+") as file:
            file.attrs["keras_version"] = version
        return signed
