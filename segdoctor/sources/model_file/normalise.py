"""A model configuration of any Keras as the one that Keras 3 takes, of stock parts alone.

Nothing is built here. Every object is written anew from allow-listed names and plain values: what
is not understood does not reach Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.measures import stock_names as stock
from segdoctor.measures.config_entries import layer_configs, layer_name, model_kind, unwrapped
from segdoctor.measures.layer_shapes import shape_of_input
from segdoctor.measures.words import words
from segdoctor.sources.model_file.known_code import KNOWN_OPERATIONS, NAMED_LAMBDAS
from segdoctor.sources.model_file.known_lambda import Replacement, lambda_replacement
from segdoctor.sources.model_file.normalise_nodes import (
    OPERATION_LAYERS,
    call_shifts,
    canonical_ends,
    canonical_inbound,
    operation_call,
)
from segdoctor.sources.model_file.old_settings import keras3_settings
from segdoctor.sources.model_file.safe_names import SAFE_PREFIX, TENSOR


class NotRebuiltError(ValueError):
    """A part for which there is no counterpart; the message completes *received …*."""


@dataclass(slots=True)
class Normaliser:
    """Parameters
    ----------
    accepts : names of the settings that a stock layer, initializer … of this name takes.
    given : names of the user's own classes and functions; their configuration is passed on.
    trust : keep Lambda bytecode (it runs when the model is built).
    """

    accepts: Callable[[str, str], frozenset[str]]
    given: frozenset[str] = frozenset()
    trust: bool = False
    notes: list[str] = field(default_factory=list)

    def model(self, config: Any) -> dict[str, Any]:
        """``{"module": …, "class_name": …, "config": …}`` of a whole or nested model."""
        class_name, inner = unwrapped(config)
        kind = model_kind(class_name, inner)
        if kind == "Functional" and isinstance(inner, Mapping):
            return _wrapped("keras.src.models.functional", "Functional", self._functional(inner))
        if kind == "Sequential":
            return _wrapped("keras", "Sequential", self._sequential(inner))
        raise NotRebuiltError(
            f"a model of the class {class_name}, whose graph is in its code and not in the file"
        )

    def _functional(self, inner: Mapping[str, Any]) -> dict[str, Any]:
        entries = layer_configs(inner)
        kinds = {layer_name(entry): _nested_kind(entry) for entry in entries}
        nested = {name for name, kind in kinds.items() if kind}
        functional = {name for name, kind in kinds.items() if kind == "Functional"}
        shifts = call_shifts(entries, inner["output_layers"], nested)
        legacy = not any(
            isinstance(node, Mapping)
            for entry in entries
            for node in entry.get("inbound_nodes") or ()
        )
        layers = []
        for entry in entries:
            layer = self.layer(entry)
            layer["name"] = plain_name(layer_name(entry))
            layer["inbound_nodes"] = canonical_inbound(entry, shifts, self.notes)
            layers.append(layer)
        return {
            "name": plain_name(str(inner.get("name") or "model")),
            "trainable": inner.get("trainable") is not False,
            "layers": layers,
            "input_layers": canonical_ends(inner["input_layers"], legacy, {}, set()),
            "output_layers": canonical_ends(inner["output_layers"], legacy, shifts, functional),
        }

    def _sequential(self, inner: Any) -> dict[str, Any]:
        entries = layer_configs(inner)
        settings = inner if isinstance(inner, Mapping) else {}
        layers = [self.layer(entry) for entry in entries]
        name = plain_name(str(settings.get("name") or "sequential"))
        first = entries[0] if entries else {}
        if first.get("class_name") != "InputLayer":
            shape = shape_of_input(first.get("config") or {})
            built = settings.get("build_input_shape")
            stated = list(shape) if shape else (built if isinstance(built, list) else None)
            if stated is not None:
                head = {"batch_shape": stated, "name": f"{name}_input"}
                layers.insert(0, _wrapped("keras.layers", "InputLayer", head))
        return {"name": name, "layers": layers}

    def layer(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """One layer, without its calls."""
        class_name, settings = entry["class_name"], entry.get("config")
        if _nested_kind(entry):
            nested = self.model(entry)
            nested["config"].setdefault("name", plain_name(layer_name(entry)))
            return nested
        settings = dict(settings) if isinstance(settings, Mapping) else {}
        settings["name"] = plain_name(layer_name(entry))
        plain, registered = stock.base_name(class_name), entry.get("registered_name")
        if class_name in self.given or registered in self.given:
            kept = dict(entry.get("config") or {}) | {"name": settings["name"]}
            return _wrapped(None, class_name, kept, registered or class_name)
        if class_name == "Lambda":
            return self._lambda(settings)
        if class_name in OPERATION_LAYERS:
            return self._tensorflow_operation(entry, settings)
        if plain == "BilinearUpsampling":
            return self._bilinear(settings)
        if plain == "relu6":
            return _wrapped("keras.layers", "ReLU", {"max_value": 6.0, "name": settings["name"]})
        family = stock.operation_family(class_name, entry.get("module"), settings)
        if family is not None:
            kept = {key: value for key, value in settings.items() if _is_plain(value)}
            return _wrapped(f"keras.src.ops.{family}", class_name, kept)
        if plain not in stock.LAYERS and plain not in stock.OLD_LAYER_NAMES:
            raise NotRebuiltError(f"a layer of the class {clean(class_name)}")
        return self._stock(plain, settings)

    def _stock(self, class_name: str, settings: dict[str, Any]) -> dict[str, Any]:
        where = settings["name"]
        try:
            class_name, settings = keras3_settings(class_name, settings)
        except ValueError as error:
            raise NotRebuiltError(f"{clean(where)}: {error}") from None
        known = self.accepts("layers", class_name)
        kept: dict[str, Any] = {}
        for key, value in settings.items():
            if key not in known:
                silent = key in _SILENT or key.endswith(("_initializer", "_constraint"))
                if value not in (None, False, 1, [], {}, "auto") and not silent:
                    self.notes.append(f"setting {clean(key)} of {clean(where)} was dropped")
                continue
            kept[key] = self._setting(key, value, where)
            if kept[key] is _DEFAULT:
                del kept[key]
        return _wrapped("keras.layers", class_name, kept)

    def _setting(self, key: str, value: Any, where: str) -> Any:
        if key.endswith("activation"):
            return self._activation(value, where)
        if key.endswith(("_initializer", "_regularizer", "_constraint")):
            return self._array_setting(key.rpartition("_")[2], value, where)
        if key == "dtype":
            return _dtype(value)
        if key in {"layer", "forward_layer", "backward_layer", "cell"} and isinstance(
            value, Mapping
        ):
            return self.layer(value)
        if not _is_plain(value):
            raise NotRebuiltError(f"the setting {clean(key)} of {clean(where)}, an object")
        return value

    def _activation(self, value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            inner = value.get("config")
            if value.get("class_name") == "function" or isinstance(inner, str):
                value = inner
            else:
                return self.layer(value)
        if value is None or value in stock.ACTIVATIONS or value in self.given:
            return value
        if isinstance(value, str) and value in stock.LAYERS:
            return _wrapped("keras.layers", value, {})
        raise NotRebuiltError(f"the activation {clean(value)} of {clean(where)}")

    def _array_setting(self, kind: str, value: Any, where: str) -> Any:
        """An initializer, regularizer or constraint; the default where it is not stock."""
        module = f"{kind}s"
        names = {
            "initializers": stock.INITIALIZERS,
            "regularizers": stock.REGULARIZERS,
            "constraints": stock.CONSTRAINTS,
        }[module]
        if value is None:
            return None
        if isinstance(value, str):
            full = _SHORT.get(value, value)
            if stock.snake_case_matches(full, names):
                return full
        elif isinstance(value, Mapping):
            name = _OLD_ARRAY_NAMES.get(str(value.get("class_name")), value.get("class_name"))
            inner = value.get("config") or {}
            if name in self.given:
                return dict(value)
            if name in names and isinstance(inner, Mapping):
                known = self.accepts(module, name)
                kept = {k: v for k, v in inner.items() if k in known and _is_plain(v)}
                if kept.get("distribution") == "normal":
                    kept["distribution"] = "truncated_normal"
                return _wrapped(f"keras.{module}", name, kept)
        if kind == "regularizer":
            self.notes.append(f"the regularizer of {clean(where)} is not stock and was dropped")
        return _DEFAULT

    def _tensorflow_operation(
        self, entry: Mapping[str, Any], settings: dict[str, Any]
    ) -> dict[str, Any]:
        if settings.get("function") not in KNOWN_OPERATIONS:
            raise NotRebuiltError(f"the operation {clean(settings.get('function'))}")
        try:
            template, _ = operation_call(entry, {})
        except ValueError as error:
            raise NotRebuiltError(str(error)) from None
        kept = {"name": settings["name"], "function": settings["function"]}
        return _safe("TensorOperation", {**kept, "arguments": template})

    def _lambda(self, settings: dict[str, Any]) -> dict[str, Any]:
        function = settings.get("function")
        if isinstance(function, str) and function in NAMED_LAMBDAS:
            kept = {"activation": function, "name": settings["name"]}
            return _wrapped("keras.layers", "Activation", kept)
        known = lambda_replacement(settings)
        if known is not None:
            self.notes.append(f"the Lambda {clean(settings['name'])} was replaced: {known.words}")
            return self._known_lambda(known, settings["name"])
        if not self.trust:
            raise NotRebuiltError(f"Lambda bytecode in {clean(settings['name'])}")
        if isinstance(function, list):  # Keras 2: [code, defaults, closure]
            code, defaults, closure = (*function, None, None)[:3]
            function = {
                "class_name": "__lambda__",
                "config": {"code": code, "defaults": defaults, "closure": closure},
            }
        return _wrapped("keras.layers", "Lambda", {"name": settings["name"], "function": function})

    def _known_lambda(self, known: Replacement, name: str) -> dict[str, Any]:
        settings = {**known.config, "name": name}
        if known.class_name == "BilinearUpsampling":
            return self._bilinear(settings)
        if known.class_name == "ExpandDims":
            call = [{TENSOR: 0}, {"axis": settings["axis"]}]
            kept = {"name": name, "function": "expand_dims", "arguments": call}
            return _safe("TensorOperation", kept)
        return _wrapped("keras.layers", known.class_name, settings)

    def _bilinear(self, settings: dict[str, Any]) -> dict[str, Any]:
        size = settings.get("output_size")
        factor = settings.get("upsampling") or (2, 2)
        return _safe(
            "BilinearUpsampling",
            {
                "name": settings["name"],
                "align_corners": settings.get("align_corners") is not False,
                "size": list(size) if size else None,
                "factor": list(factor) if isinstance(factor, list | tuple) else [factor, factor],
            },
        )


def _nested_kind(entry: Mapping[str, Any]) -> str:
    inner = entry.get("config")
    kind = model_kind(entry["class_name"], inner) if isinstance(inner, Mapping | list) else ""
    return "" if kind == "subclassed" else kind


class _Default:
    """Stands for: leave the setting out."""


_DEFAULT = _Default()
_SHORT = {"normal": "random_normal", "uniform": "random_uniform", "zero": "zeros", "one": "ones"}
_OLD_ARRAY_NAMES = {"L1L2Regularizer": "L1L2", "Identity": "IdentityInitializer"}
# Settings that say nothing of the result, or that the calls say as well.
_SILENT = words(
    "batch_input_shape input_dtype input_shape input_dim input_length sparse ragged fused "
    "implementation registered_name build_config batch_size is_placeholder query_shape key_shape "
    "value_shape"
)


def plain_name(name: str) -> str:
    """A layer name as Keras 3 allows it: tf.keras took slashes, Keras 3 does not."""
    return name.replace("/", "_")


def _wrapped(
    module: str | None, class_name: str, config: dict[str, Any], registered: str | None = None
) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered,
    }


def _safe(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    return _wrapped(None, class_name, config, f"{SAFE_PREFIX}{class_name}")


def _dtype(value: Any) -> Any:
    """A dtype, or the policy's name (``"mixed_float16"``), as a string."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, Mapping) else None
    return value if isinstance(value, str) and value.isidentifier() else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "class_name" not in value and all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
