"""Changes to a model's configuration as a plain dictionary: of a live model or of a file.

A configuration is the inner one, which holds ``layers``; Keras 2's and Keras 3's notation of nodes
are both understood. Each edit changes it in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segdoctor.core.probe import NotExaminedError

Config = dict[str, Any]

_ACTIVATION_LAYERS = ("Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU")
_CONVOLUTIONS = ("Conv2D", "Dense", "Conv2DTranspose", "SeparableConv2D")


def remove_last_activation(config: Config) -> str:
    """Take off the activation that is nearest to the output: softmax, sigmoid, ReLU, tanh, … on
    or behind the last convolution; returns the layer's name.

    Raises
    ------
    NotExaminedError
        If there is none.
    """
    for entry in reversed(path_to_output(config)):
        options = entry["config"]
        if entry["class_name"] in _ACTIVATION_LAYERS:
            entry["class_name"] = "Activation"
            if "module" in entry:
                entry["module"], entry["registered_name"] = "keras.layers", None
            kept = {k: options[k] for k in ("name", "dtype", "trainable") if k in options}
            entry["config"] = {**kept, "activation": "linear"}
            for kwargs in call_kwargs(entry):
                kwargs.pop("mask", None)  # a Softmax takes one, an Activation does not
            return name_of(entry)
        if activation_name(options.get("activation")) not in ("", "linear"):
            options["activation"] = "linear"
            return name_of(entry)
        if entry["class_name"] in _CONVOLUTIONS:
            break
    raise NotExaminedError("no activation was found on the path to the output")


def set_last_activation(config: Config, name: str) -> str:
    """Give the output's own layer, which has none, the activation ``name``.

    Raises
    ------
    NotExaminedError
        If the output's layer takes no activation, or computes in half precision.
    """
    entry = path_to_output(config)[-1]
    options = entry["config"]
    if entry["class_name"] not in (*_CONVOLUTIONS, "Activation"):
        raise NotExaminedError(f"the output's layer is a {entry['class_name']}, which takes none")
    if activation_name(options.get("activation")) not in ("", "linear"):
        raise NotExaminedError("the output's layer has an activation already")
    if "16" in str(options.get("dtype")):
        raise NotExaminedError("the output is in half precision, too coarse for a softmax")
    options["activation"] = name
    return name_of(entry)


def set_channels(config: Config, channels: int) -> str:
    """Give the last convolution ``channels`` outputs; its kernel must be made anew.

    Raises
    ------
    NotExaminedError
        If there is no convolution on the path to the output.
    """
    for entry in reversed(path_to_output(config)):
        if entry["class_name"] in _CONVOLUTIONS:
            key = "units" if entry["class_name"] == "Dense" else "filters"
            entry["config"][key] = channels
            entry["config"]["trainable"] = True
            if activation_name(entry["config"].get("activation")) == "sigmoid":
                entry["config"]["activation"] = "softmax"
            return name_of(entry)
    raise NotExaminedError("no convolution was found on the path to the output")


def remove_wired_modes(config: Config) -> int:
    """Take every ``training=…`` out of the graph; returns how many there were."""
    found = 0
    for entry in entries(config):
        for kwargs in call_kwargs(entry):
            found += kwargs.pop("training", None) is not None
    return found


def wired_to_inference(config: Config) -> Iterator[str]:
    """Paths of the layers below a call with ``training=False`` wired into the graph."""
    for prefix, entry in entries_with_path(config):
        if any(kwargs.get("training") is False for kwargs in call_kwargs(entry)):
            yield prefix
            for inner, _ in entries_with_path(entry.get("config", {}), f"{prefix}/"):
                yield inner


def name_of(entry: Config) -> str:
    return str(entry.get("name") or entry["config"].get("name"))


def entries(config: Config) -> Iterator[Config]:
    """Every layer entry of a config, nested models included."""
    for entry in config.get("layers", []):
        yield entry
        yield from entries(entry.get("config", {}))


def entries_with_path(config: Config, prefix: str = "") -> Iterator[tuple[str, Config]]:
    for entry in config.get("layers", []):
        path = f"{prefix}{name_of(entry)}"
        yield path, entry
        yield from entries_with_path(entry.get("config", {}), f"{path}/")


def path_to_output(config: Config) -> list[Config]:
    """Layer entries in the order of the graph; the last one is the output's layer.

    Only entries that the (first) output depends on are kept, so that a branch to another output
    is not taken for the head.
    """
    named = {name_of(entry): entry for entry in config["layers"]}
    if "output_layers" not in config:  # Sequential: one line
        return list(entries(config))
    outputs = config["output_layers"]
    first = outputs[0] if isinstance(outputs[0], str) else outputs[0][0]
    first = first[0] if isinstance(first, list | tuple) else first
    wanted, queue = set(), [first]
    while queue:
        name = queue.pop()
        if name in wanted or name not in named:
            continue
        wanted.add(name)
        queue.extend(input_names(named[name]))
    ordered = [entry for name, entry in named.items() if name in wanted]
    # Depth first from the output decides what is last: a config is stored in order of depth.
    ordered.sort(key=lambda entry: name_of(entry) == first)
    flat: list[Config] = []
    for entry in ordered:
        nested = entry.get("config", {})
        flat.extend(path_to_output(nested) if "layers" in nested else [entry])
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


def call_kwargs(entry: Config) -> Iterator[Config]:
    for node in entry.get("inbound_nodes", []):
        if isinstance(node, dict):
            yield node.get("kwargs", {})
        else:
            for tensor in node if isinstance(node, list | tuple) else []:
                if isinstance(tensor, list) and len(tensor) > 3 and isinstance(tensor[3], dict):
                    yield tensor[3]


def activation_name(value: Any) -> str:
    if isinstance(value, dict):
        inner = value.get("config")
        return inner if isinstance(inner, str) else str(value.get("class_name", "")).lower()
    return str(value or "")


def train_head(config: Config) -> str:
    """Let the last convolution train, and every model that it lies in; returns its name, "" where
    all of it trains already."""
    for entry in reversed(path_to_output(config)):
        if entry["class_name"] in _CONVOLUTIONS:
            frozen = [held for held in _around(config, entry) if held.get("trainable") is False]
            for held in frozen:
                held["trainable"] = True
            return name_of(entry) if frozen else ""
    return ""


def _around(config: Config, entry: Config) -> Iterator[Config]:
    """The settings of ``entry`` and of the models around it, from the outermost on."""
    if any(inner is entry for inner in entries(config)):
        yield config
        for outer in config["layers"]:
            if outer is entry:
                yield entry["config"]
            elif isinstance(outer["config"], dict):
                yield from _around(outer["config"], entry)


def thaw(config: Config, *, whole: bool) -> int:
    """Let every layer train, or with ``whole=False`` each batch normalisation if the convolution
    that it normalises does; returns how many were changed."""
    if whole:
        held = [config, *(entry["config"] for entry in entries(config))]
        frozen = [one for one in held if isinstance(one, dict) and one.get("trainable") is False]
        for one in frozen:
            one["trainable"] = True
        return len(frozen)
    found = 0
    named = {name_of(entry): entry for entry in entries(config)}
    for entry in named.values():
        feeding = [named[name] for name in input_names(entry) if name in named]
        if not is_batch_norm(entry) or len(feeding) != 1:
            continue
        if feeding[0]["class_name"] not in (*_CONVOLUTIONS, "DepthwiseConv2D"):
            continue
        wanted = feeding[0]["config"].get("trainable", True)
        found += entry["config"].get("trainable", True) != wanted
        entry["config"]["trainable"] = wanted
    return found


def freeze_batch_norm(config: Config) -> int:
    """Freeze every batch normalisation; returns how many trained."""
    found = 0
    for entry in entries(config):
        if is_batch_norm(entry):
            found += bool(entry["config"].get("trainable", True))
            entry["config"]["trainable"] = False
    return found


def unwire(config: Config) -> int:
    """Take wired modes out; where inference was meant, batch normalisation is frozen instead."""
    wired = set(wired_to_inference(config))
    for path, entry in entries_with_path(config):
        if path in wired and is_batch_norm(entry):
            entry["config"]["trainable"] = False
    return remove_wired_modes(config)


def is_batch_norm(entry: Config) -> bool:
    return str(entry["class_name"]).endswith("BatchNormalization")
