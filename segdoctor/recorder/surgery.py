"""The same model with one thing changed: rebuilt from its config, weights carried over.

The model that is given is never changed. Layers whose weights keep their shapes keep their
weights; a layer that is made anew (another number of channels) is drawn afresh.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from segdoctor.core.error_line import error_line
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.layers import is_batch_norm

Config = dict[str, Any]

_ACTIVATION_LAYERS = ("Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU")
_CONVOLUTIONS = ("Conv2D", "Dense", "Conv2DTranspose", "SeparableConv2D")


def keras_of(model: Any) -> Any:
    """The Keras package that the model is an object of: ``keras`` or ``tf_keras``."""
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return importlib.import_module("tf_keras" if "tf_keras" in roots else "keras")


def rebuilt(model: Any, edit: Callable[[Config], None]) -> Any:
    """A new model from the config that ``edit`` has changed in place.

    Raises
    ------
    NotExaminedError
        If the model has no config that it can be rebuilt from (a subclassed net).
    """
    keras = keras_of(model)
    try:
        config = copy.deepcopy(model.get_config())
        edit(config)
        custom = {type(layer).__name__: type(layer) for layer in flat_layers(model)}
        custom |= {name: f for layer in flat_layers(model) for name, f in _functions(layer)}
        with keras.utils.custom_object_scope(custom):
            made = type(model).from_config(config)
        if not made.built and model.built:
            made.build(model.input_shape)
    except NotExaminedError:
        raise
    except Exception as error:
        raise NotExaminedError(
            f"the model cannot be rebuilt from its config ({error_line(error)})"
        ) from error
    carry_weights(model, made)
    return made


def flat_layers(model: Any) -> Iterator[Any]:
    """Every layer of the model and of the models nested in it, in order, models left out."""
    for layer in getattr(model, "layers", []):
        if hasattr(layer, "layers") and not hasattr(layer, "cell"):
            yield from flat_layers(layer)
        else:
            yield layer


def copied(model: Any) -> Any:
    """A model of its own with the same config, weights and flags."""
    return rebuilt(model, lambda config: None)


def carry_weights(old: Any, new: Any) -> None:
    """Copy weights layer by layer, by name, where the shapes are equal."""
    source = {layer.name: layer for layer in flat_layers(old)}
    for layer in flat_layers(new):
        twin = source.get(layer.name)
        if twin is None or len(twin.weights) != len(layer.weights):
            continue
        if all(
            tuple(a.shape) == tuple(b.shape)
            for a, b in zip(twin.weights, layer.weights, strict=True)
        ):
            layer.set_weights(twin.get_weights())


def without_last_activation(model: Any) -> Any:
    """The model without the activation that is nearest to its output: softmax, sigmoid, ReLU,
    tanh, … on or behind its last convolution."""

    def edit(config: Config) -> None:
        for entry in reversed(_path_to_output(config)):
            options = entry["config"]
            if entry["class_name"] in _ACTIVATION_LAYERS:
                entry["class_name"], entry["module"] = "Activation", "keras.layers"
                entry["registered_name"] = None
                entry["config"] = {
                    "name": options["name"],
                    "activation": "linear",
                    "dtype": options.get("dtype"),
                    "trainable": options.get("trainable", True),
                }
                return
            if _activation_name(options.get("activation")) not in ("", "linear"):
                options["activation"] = "linear"
                return
            if entry["class_name"] in _CONVOLUTIONS:
                break
        raise NotExaminedError("no activation was found on the path to the output")

    return rebuilt(model, edit)


def with_activation(model: Any, name: str) -> Any:
    """The model with a softmax or sigmoid behind its output; the weights are shared."""
    keras = keras_of(model)
    # Float32: a softmax in half precision loses the small probabilities.
    activation = keras.layers.Activation(name, dtype="float32", name=f"segdoctor_{name}")
    return keras.Model(model.inputs, activation(model.outputs[0]))


def with_channels(model: Any, channels: int) -> Any:
    """The model with ``channels`` output channels: its last convolution is made anew."""

    def edit(config: Config) -> None:
        for entry in reversed(_path_to_output(config)):
            if entry["class_name"] in _CONVOLUTIONS:
                key = "units" if entry["class_name"] == "Dense" else "filters"
                entry["config"][key] = channels
                entry["config"]["trainable"] = True
                if _activation_name(entry["config"].get("activation")) == "sigmoid":
                    entry["config"]["activation"] = "softmax"
                return
        raise NotExaminedError("no convolution was found on the path to the output")

    return rebuilt(model, edit)


def without_wired_modes(model: Any) -> Any:
    """The model with every ``training=…`` taken out of its graph."""

    def edit(config: Config) -> None:
        for entry in _entries(config):
            for kwargs in _call_kwargs(entry):
                kwargs.pop("training", None)

    return rebuilt(model, edit)


def wired_to_inference(model: Any) -> Iterator[str]:
    """Paths of the layers below a call with ``training=False`` wired into the graph."""
    for prefix, entry in _entries_with_path(model.get_config(), ""):
        if any(kwargs.get("training") is False for kwargs in _call_kwargs(entry)):
            yield prefix
            for inner, _ in _entries_with_path(entry.get("config", {}), f"{prefix}/"):
                yield inner


def batch_norm_feeders(model: Any) -> Iterator[tuple[Any, Any]]:
    """``(BN layer, the convolution whose output it normalises)`` for every such pair."""
    layers = {layer.name: layer for layer in flat_layers(model)}
    for entry in _entries(model.get_config()):
        norm = layers.get(entry.get("name") or entry["config"].get("name"))
        if norm is None or not is_batch_norm(norm):
            continue
        feeding = [layers[name] for name in input_names(entry) if name in layers]
        if len(feeding) == 1 and feeding[0].weights:
            yield norm, feeding[0]


def with_stock_batch_norm(model: Any) -> Any:
    """The model with each subclass of BatchNormalization replaced by the stock layer."""
    stock = keras_of(model).layers.BatchNormalization
    names = {
        layer.name
        for layer in flat_layers(model)
        if isinstance(layer, stock) and type(layer) is not stock
    }

    def edit(config: Config) -> None:
        for entry in _entries(config):
            if entry["config"].get("name") in names:
                entry["class_name"] = "BatchNormalization"
                entry["module"] = "keras.layers"
                entry["registered_name"] = None

    return rebuilt(model, edit) if names else model


def _entries(config: Config) -> Iterator[Config]:
    """Every layer entry of a config, nested models included."""
    for entry in config.get("layers", []):
        yield entry
        yield from _entries(entry.get("config", {}))


def _entries_with_path(config: Config, prefix: str) -> Iterator[tuple[str, Config]]:
    for entry in config.get("layers", []):
        path = f"{prefix}{entry.get('name') or entry['config'].get('name')}"
        yield path, entry
        yield from _entries_with_path(entry.get("config", {}), f"{path}/")


def _path_to_output(config: Config) -> list[Config]:
    """Layer entries in the order of the graph; the last one is the output's layer.

    Only entries that the (first) output depends on are kept, so that a branch to another output
    is not taken for the head.
    """
    entries = {
        entry.get("name") or entry["config"].get("name"): entry for entry in config["layers"]
    }
    if "output_layers" not in config:  # Sequential: one line
        return list(_entries(config))
    outputs = config["output_layers"]
    first = outputs[0] if isinstance(outputs[0], str) else outputs[0][0]
    first = first[0] if isinstance(first, list | tuple) else first
    wanted, queue = set(), [first]
    while queue:
        name = queue.pop()
        if name in wanted or name not in entries:
            continue
        wanted.add(name)
        queue.extend(input_names(entries[name]))
    ordered = [entry for name, entry in entries.items() if name in wanted]
    # Depth first from the output decides what is last: a config is stored in order of depth.
    ordered.sort(key=lambda entry: (entry.get("name") or entry["config"].get("name")) == first)
    flat: list[Config] = []
    for entry in ordered:
        nested = entry.get("config", {})
        flat.extend(_path_to_output(nested) if "layers" in nested else [entry])
    return flat


def input_names(entry: Config) -> list[str]:
    """Names of the layers that an entry takes its inputs from (Keras 2 and 3 notation)."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            history = node.get("config", {}).get("keras_history") if "config" in node else None
            if node.get("class_name") == "__keras_tensor__" and history:
                found.append(str(history[0]))
                return
            for value in node.values():
                walk(value)
        elif isinstance(node, list | tuple):
            if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
                found.append(node[0])
                return
            for value in node:
                walk(value)

    walk(entry.get("inbound_nodes", []))
    return found


def _call_kwargs(entry: Config) -> Iterator[Config]:
    for node in entry.get("inbound_nodes", []):
        if isinstance(node, dict):
            yield node.get("kwargs", {})
        else:
            for tensor in node if isinstance(node, list | tuple) else []:
                if isinstance(tensor, list) and len(tensor) > 3 and isinstance(tensor[3], dict):
                    yield tensor[3]


def _activation_name(value: Any) -> str:
    if isinstance(value, dict):
        inner = value.get("config")
        return inner if isinstance(inner, str) else str(value.get("class_name", "")).lower()
    return str(value or "")


def _functions(layer: Any) -> Iterator[tuple[str, Any]]:
    """A layer's own functions (an activation that is not Keras'), by name."""
    activation = getattr(layer, "activation", None)
    if callable(activation) and hasattr(activation, "__name__"):
        yield activation.__name__, activation
