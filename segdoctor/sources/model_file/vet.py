"""What in a configuration would run or import something: an allow list that fails closed.

Every dict with a class name and every named function is looked at. Stock Keras objects pass
(:mod:`segdoctor.measures.stock_names`); all else is code (:class:`CodeItem`), or a name whose code
is not in the file.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import CodeItem
from segdoctor.measures import stock_names as stock
from segdoctor.measures.words import words
from segdoctor.sources.model_file.known_code import (
    KNOWN_CLASSES,
    KNOWN_FUNCTIONS,
    KNOWN_OPERATIONS,
    known_lambda,
)

_CLASSES = frozenset().union(
    *(stock.LAYERS, stock.OLD_LAYER_NAMES, stock.MODELS, stock.INITIALIZERS, stock.REGULARIZERS),
    *(stock.CONSTRAINTS, stock.LOSSES, stock.METRICS, stock.OPTIMIZERS, stock.SCHEDULES),
    stock.DTYPE_POLICIES,
)
_FUNCTIONS = stock.ACTIVATIONS | stock.LOSS_FUNCTIONS | stock.METRIC_FUNCTIONS
# Stock classes that run code or open files named in the configuration, in files without modules.
_DANGEROUS = words(
    "FlaxLayer Hashing IntegerLookup JaxLayer StringLookup TFSMLayer TextVectorization "
    "TorchModuleWrapper"
)
_OWN_PACKAGES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
_MERELY_NAMED = (None, "", "__main__", "builtins")
_COMPILE_KEYS = frozenset(
    {"compile_config", "optimizer", "optimizer_config", "loss", "metrics", "weighted_metrics"}
)
_ARRAY_SETTERS = ("_initializer", "_constraint")  # of no matter once the weights are loaded
_NAMING = ("activation", *_ARRAY_SETTERS)


@dataclass(slots=True)
class Vetted:
    """``code``: what a loader would run or import, and custom names; ``not_at_hand``: names of
    the architecture that nothing here can stand in for."""

    code: tuple[CodeItem, ...] = ()
    not_at_hand: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[CodeItem, ...]:
        """The items for which the file is refused without trust."""
        return tuple(item for item in self.code if item.runs and item.recognised is None)


def vet(config: Any, compiled: Any = None, at_hand: Iterable[str] = ()) -> Vetted:
    """Walk a model configuration and its compile settings.

    Parameters
    ----------
    config, compiled : parsed JSON of the file.
    at_hand : names of classes and functions that the user gave; they need no code of the file.
    """
    walk = _Walk(frozenset(at_hand), config)
    walk.value(config, "", False)
    walk.value(compiled, "compile settings", True)
    return Vetted(
        tuple(dict.fromkeys(walk.code)),
        tuple(dict.fromkeys(walk.not_at_hand)),
        tuple(dict.fromkeys(walk.notes)),
    )


@dataclass(slots=True)
class _Walk:
    given: frozenset[str]
    model: Any
    code: list[CodeItem] = field(default_factory=list)
    not_at_hand: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def value(self, value: Any, where: str, compiling: bool) -> None:
        if isinstance(value, list):
            for item in value:
                if isinstance(item, dict | list):
                    self.value(item, where, compiling)
        elif isinstance(value, Mapping):
            if "class_name" in value:
                where = _place(where, value) if value is not self.model else ""
                if not self._object(value, where, compiling):
                    return
            self._entries(value, where, compiling)

    def _entries(self, value: Mapping[str, Any], where: str, compiling: bool) -> None:
        for key, item in value.items():
            if item.__class__ is str and key.endswith("_type") and item in ("lambda", "raw_lambda"):
                self._add("lambda bytecode", key.removesuffix("_type"), where)
            if isinstance(item, str):
                if key.endswith(_NAMING):
                    self._named(key, item, where, compiling)
            elif isinstance(item, dict | list):
                place = "compile settings" if key == "compile_config" else where
                self.value(item, place, compiling or key in _COMPILE_KEYS)

    def _object(self, value: Mapping[str, Any], where: str, compiling: bool) -> bool:
        """Judge one object; True if what is in it is to be walked as well."""
        name, module = value["class_name"], value.get("module")
        if not isinstance(name, str) or not isinstance(module, str | None):
            self._add("malformed object", str(name), where)
            return True
        if name in self.given or value.get("registered_name") in self.given:
            return True
        if name in stock.VALUES:
            return name != "__keras_tensor__"
        if name == "function":
            self._function(value, where, compiling)
            return False
        if name == "Lambda" and _foreign(module) is None:
            self._lambda(value, where)
            return False
        if name in {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod"}:
            self._operation(name, value, where)
            return True
        family = stock.operation_family(name, module, value.get("config"))
        if family is None:
            self._class(name, module, value.get("registered_name"), where, compiling)
        return True

    def _class(
        self, name: str, module: str | None, registered: Any, where: str, compiling: bool
    ) -> None:
        plain = stock.base_name(name)
        custom = (isinstance(registered, str) and ">" in registered) or ">" in name
        if foreign := _foreign(module):
            self._add("module", f"{foreign}.{name}", where)
        elif name.startswith("__") or plain in _DANGEROUS or hasattr(builtins, plain):
            self._add("stock class that runs code or opens files", name, where)
        elif plain in KNOWN_CLASSES:
            self._add("custom class", name, where, KNOWN_CLASSES[plain], runs=False)
        elif not custom and name in _CLASSES:
            return
        elif module not in _MERELY_NAMED:
            self._add("class that is not on the list of stock classes", f"{module}.{name}", where)
        else:
            self._missing("custom class", str(registered or name), where, compiling)

    def _function(self, value: Mapping[str, Any], where: str, compiling: bool) -> None:
        name, module = value.get("config"), value.get("module")
        if not isinstance(name, str):
            self._add("malformed object", "function", where)
        elif name in self.given or stock.base_name(name) in self.given:
            return
        elif foreign := _foreign(module):
            self._add("module", f"{foreign}.{name}", where)
        elif name in _FUNCTIONS or stock.snake_case_matches(name, stock.INITIALIZERS):
            return
        elif name in KNOWN_FUNCTIONS:
            self._add("custom function", name, where, KNOWN_FUNCTIONS[name], runs=False)
        elif hasattr(builtins, name) or module not in _MERELY_NAMED:
            self._add("function", f"{module}.{name}", where)
        else:
            self._missing("custom function", name, where, compiling)

    def _lambda(self, value: Mapping[str, Any], where: str) -> None:
        settings = value.get("config")
        settings = settings if isinstance(settings, Mapping) else {}
        found = known_lambda(settings)
        function = settings.get("function")
        if isinstance(function, Mapping) and function.get("class_name") == "function":
            self._function(function, where, False)
        elif isinstance(function, str) and settings.get("function_type") != "lambda":
            if found is not None:
                self._add("named function", function, where, found, runs=False)
            elif function not in self.given:
                self._missing("custom function", function, where, False)
        else:
            self._add("lambda bytecode", "Lambda", where, found)
        rest = {key: item for key, item in settings.items() if key != "function"}
        rest.pop("function_type", None)
        self._entries(rest, where, False)

    def _operation(self, name: str, value: Mapping[str, Any], where: str) -> None:
        settings = value.get("config")
        function = settings.get("function") if isinstance(settings, Mapping) else None
        if function not in KNOWN_OPERATIONS:
            self._add("TensorFlow operation", str(function or name), where)

    def _named(self, key: str, name: str, where: str, compiling: bool) -> None:
        """A string that names a function: an activation, a loss, an initializer."""
        if key.endswith("activation"):
            if name in KNOWN_FUNCTIONS and name not in stock.ACTIVATIONS:
                self._add("custom function", name, where, KNOWN_FUNCTIONS[name], runs=False)
            elif name not in _FUNCTIONS and name not in self.given and not _is_layer(name):
                self._missing("custom function", name, where, compiling)
        elif key.endswith(_ARRAY_SETTERS):
            known = stock.INITIALIZERS | stock.CONSTRAINTS
            if not stock.snake_case_matches(name, known) and name not in _SHORT_INITIALIZERS:
                self.notes.append(
                    f"{clean(key)} {clean(name)!r} of {clean(where)} is not stock; the weights are"
                    " stored, so the default stands in for it"
                )

    def _missing(self, kind: str, name: str, where: str, compiling: bool) -> None:
        """A name without code. In compile settings it is an unknown loss, not a lost layer."""
        self._add(kind, name, where, runs=False)
        if not compiling:
            self.not_at_hand.append(clean(name))

    def _add(
        self, kind: str, name: str, where: str, recognised: str | None = None, runs: bool = True
    ) -> None:
        self.code.append(CodeItem(kind, clean(name), clean(where), recognised, runs))


_SHORT_INITIALIZERS = frozenset({"normal", "uniform", "zero", "one"})


def _place(where: str, value: Mapping[str, Any]) -> str:
    inner = value.get("config")
    name = value.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    if not isinstance(name, str) or where.endswith(name):
        return where
    return f"{where}/{name}" if where else name


def _foreign(module: Any) -> str | None:
    """The module, if finding the object would import something that is not Keras."""
    if module in _MERELY_NAMED:
        return None
    if isinstance(module, str) and any(
        module == own or module.startswith(f"{own}.") for own in _OWN_PACKAGES
    ):
        return None
    return str(module)


def _is_layer(name: str) -> bool:
    """Keras 2 takes a layer's class name as an activation (``"LeakyReLU"``)."""
    return name in stock.LAYERS
