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
from segdoctor.measures import config_edits
from segdoctor.measures.config_edits import Config
from segdoctor.recorder.layers import is_batch_norm


def keras_of(model: Any) -> Any:
    """The Keras package that the model is an object of: ``keras`` or ``tf_keras``."""
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return importlib.import_module("tf_keras" if "tf_keras" in roots else "keras")


def rebuilt(model: Any, edit: Callable[[Config], object]) -> Any:
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
    """The model without the activation that is nearest to its output."""
    return rebuilt(model, config_edits.remove_last_activation)


def with_activation(model: Any, name: str) -> Any:
    """The model with a softmax or sigmoid behind its output; the weights are shared."""
    keras = keras_of(model)
    # Float32: a softmax in half precision loses the small probabilities.
    activation = keras.layers.Activation(name, dtype="float32", name=f"segdoctor_{name}")
    return keras.Model(model.inputs, activation(model.outputs[0]))


def with_channels(model: Any, channels: int) -> Any:
    """The model with ``channels`` output channels: its last convolution is made anew."""
    return rebuilt(model, lambda config: config_edits.set_channels(config, channels))


def without_wired_modes(model: Any) -> Any:
    """The model with every ``training=…`` taken out of its graph."""
    return rebuilt(model, config_edits.remove_wired_modes)


def wired_to_inference(model: Any) -> Iterator[str]:
    """Paths of the layers below a call with ``training=False`` wired into the graph."""
    return config_edits.wired_to_inference(model.get_config())


def batch_norm_feeders(model: Any) -> Iterator[tuple[Any, Any]]:
    """``(BN layer, the convolution whose output it normalises)`` for every such pair."""
    layers = {layer.name: layer for layer in flat_layers(model)}
    for entry in config_edits.entries(model.get_config()):
        norm = layers.get(config_edits.name_of(entry))
        if norm is None or not is_batch_norm(norm):
            continue
        feeding = [layers[name] for name in config_edits.input_names(entry) if name in layers]
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
        for entry in config_edits.entries(config):
            if entry["config"].get("name") in names:
                entry["class_name"] = "BatchNormalization"
                entry["module"] = "keras.layers"
                entry["registered_name"] = None

    return rebuilt(model, edit) if names else model


def _functions(layer: Any) -> Iterator[tuple[str, Any]]:
    """A layer's own functions (an activation that is not Keras'), by name."""
    activation = getattr(layer, "activation", None)
    if callable(activation) and hasattr(activation, "__name__"):
        yield activation.__name__, activation
