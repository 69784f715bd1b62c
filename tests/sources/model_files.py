"""Small model files, written without Keras: HDF5 and zips as the versions of Keras write them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Weights = Mapping[str, Sequence[tuple[str, Any]]]


def conv(name: str = "conv", filters: int = 4, **settings: Any) -> dict[str, Any]:
    config = {"name": name, "filters": filters, "kernel_size": [3, 3], "padding": "same"}
    return {"class_name": "Conv2D", "name": name, "config": {**config, **settings}}


def batch_norm(name: str = "bn", **settings: Any) -> dict[str, Any]:
    return {"class_name": "BatchNormalization", "name": name, "config": {"name": name, **settings}}


def image_input(
    name: str = "image", shape: Sequence[int | None] = (None, 8, 8, 3)
) -> dict[str, Any]:
    return {
        "class_name": "InputLayer",
        "name": name,
        "config": {"name": name, "batch_input_shape": list(shape)},
        "inbound_nodes": [],
    }


def called(layer: dict[str, Any], *sources: str, **kwargs: Any) -> dict[str, Any]:
    """``layer`` with one call, as Keras 2 writes it."""
    return {**layer, "inbound_nodes": [[[source, 0, 0, kwargs] for source in sources]]}


def functional(*layers: dict[str, Any], name: str = "model") -> dict[str, Any]:
    """A chain of layers as a functional model of Keras 2; calls are added where there are none."""
    linked = []
    for index, layer in enumerate(layers):
        if "inbound_nodes" not in layer:
            layer = called(layer, layers[index - 1]["name"])
        linked.append(layer)
    config = {
        "name": name,
        "layers": linked,
        "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[layers[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def conv_weights(name: str = "conv", inputs: int = 3, filters: int = 4) -> Weights:
    kernel = np.linspace(-1, 1, 9 * inputs * filters, dtype="float32")
    return {
        name: [
            (f"{name}/kernel:0", kernel.reshape(3, 3, inputs, filters)),
            (f"{name}/bias:0", np.zeros(filters, "float32")),
        ]
    }


def norm_weights(name: str = "bn", channels: int = 4) -> Weights:
    ones, zeros = np.ones(channels, "float32"), np.zeros(channels, "float32")
    values = {"gamma": ones * 2, "beta": zeros, "moving_mean": zeros, "moving_variance": ones}
    return {name: [(f"{name}/{key}:0", value) for key, value in values.items()]}


def write_h5(
    path: Path,
    config: Any = None,
    weights: Weights | None = None,
    version: str | None = "2.3.1",
    training: Any = None,
) -> Path:
    """An HDF5 file as Keras 2 writes it; ``config`` may be text, to be stored as it is."""
    with h5py.File(path, "w") as file:
        root = file
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            file.attrs["model_config"] = text
            root = file.create_group("model_weights")
        if version is not None:
            file.attrs["keras_version"] = version
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        root.attrs["layer_names"] = [name.encode() for name in weights or {}]
        for name, arrays in (weights or {}).items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key, _ in arrays]
            for key, array in arrays:
                group[key] = array
    return path


def write_keras(
    path: Path,
    config: Any,
    tree: Mapping[str, Any] | None = None,
    version: str = "3.15.1",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A ``.keras`` zip; ``tree`` maps paths (``layers/conv2d/vars/0``) to arrays."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for key, array in (tree or {}).items():
            file[key] = array
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path
