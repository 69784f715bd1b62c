"""Loss and optimizer of a run from what the user wrote or what the file was compiled with.

Keras is imported inside the functions. Only stock Keras classes are made from names; code comes
in only through ``file.py:name``, which is the user's own and named by the user.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.model_facts import CompileFacts
from segdoctor.measures.stock_names import METRIC_FUNCTIONS

_ALIASES = {
    "bce": "binarycrossentropy",
    "huberloss": "huber",
    "kld": "kldivergence",
    "kullbackleiblerdivergence": "kldivergence",
    "mae": "meanabsoluteerror",
    "mape": "meanabsolutepercentageerror",
    "mse": "meansquarederror",
    "msle": "meansquaredlogarithmicerror",
}
"""Short names of Keras for losses, without underscores, beside those of the classes."""

_WRONG = "expected a Keras name, Name(option=value), or file.py:name"


def loss_from_name(text: str, *, from_logits: bool | None = None, package: str = "keras") -> Any:
    """The loss that ``text`` names: ``sparse_categorical_crossentropy``,
    ``SparseCategoricalCrossentropy(ignore_class=255)`` or ``losses.py:my_dice``."""
    if ".py:" in text:
        return from_file(text)
    name, options = _call(text, "--loss")
    return stock_loss(name, options, from_logits=from_logits, package=package, said=text)


def stock_loss(
    name: str,
    options: Mapping[str, Any],
    *,
    from_logits: bool | None = None,
    package: str = "keras",
    said: str = "",
) -> Any:
    """A loss class of Keras by any of its names, with ``from_logits`` where it takes one."""
    losses = keras_of(package).losses
    wanted = name.replace("_", "").lower()
    wanted = _ALIASES.get(wanted, wanted)
    for candidate in dir(losses):
        found = getattr(losses, candidate)
        if candidate.lower() == wanted and inspect.isclass(found):
            break
    else:
        raise UserError(
            f"loss {clean(said or name)!r} is not one of Keras' losses: {_WRONG} (a loss of your "
            "own), received a name that keras.losses does not have"
        )
    chosen = dict(options)
    accepted = inspect.signature(found.__init__).parameters
    if from_logits is not None:
        if "from_logits" not in accepted:
            raise UserError(f"loss {clean(name)!r} has no from_logits: leave the flag out")
        chosen["from_logits"] = from_logits
    unknown = [option for option in chosen if option not in accepted]
    if unknown:
        raise UserError(
            f"loss {clean(name)!r}: expected options among {', '.join(sorted(accepted)[:12])}, "
            f"received {clean(', '.join(unknown))}"
        )
    return found(**chosen)


def loss_from_compile(
    compiled: CompileFacts, *, from_logits: bool | None = None, package: str = "keras"
) -> Any | None:
    """The stock loss that the file was compiled with; None if it is one of the user's own."""
    if compiled.loss is None:
        return None
    losses = keras_of(package).losses
    names = {name.lower() for name in dir(losses) if inspect.isclass(getattr(losses, name))}
    if compiled.loss.replace("_", "").lower() not in names | set(_ALIASES):
        return None
    options = dict(compiled.loss_config)
    accepted = _accepted(losses, compiled.loss)
    kept = {k: v for k, v in options.items() if k in accepted and k not in ("name", "fn", "dtype")}
    if compiled.from_logits is not None and "from_logits" in accepted:
        kept["from_logits"] = compiled.from_logits
    if compiled.ignore_class is not None and "ignore_class" in accepted:
        kept["ignore_class"] = compiled.ignore_class
    if kept.get("reduction") in ("auto", None):
        kept.pop("reduction", None)
    override = from_logits if "from_logits" in accepted else None
    return stock_loss(compiled.loss, kept, from_logits=override, package=package)


def _accepted(losses: Any, name: str) -> set[str]:
    wanted = name.replace("_", "").lower()
    wanted = _ALIASES.get(wanted, wanted)
    found = next(getattr(losses, n) for n in dir(losses) if n.lower() == wanted)
    return set(inspect.signature(found.__init__).parameters)


def optimizer_from_name(
    text: str, *, learning_rate: float | None = None, package: str = "keras"
) -> Any:
    """The optimizer that ``text`` names: ``adadelta``, ``Adam(clipnorm=1.0)``, ``opt.py:make``."""
    if ".py:" in text:
        made = from_file(text)
        return made() if callable(made) and not hasattr(made, "apply_gradients") else made
    name, options = _call(text, "--optimizer")
    if learning_rate is not None:
        options["learning_rate"] = learning_rate
    optimizers = keras_of(package).optimizers
    for candidate in dir(optimizers):
        found = getattr(optimizers, candidate)
        if candidate.lower() == name.replace("_", "").lower() and inspect.isclass(found):
            try:
                return found(**options)
            except (TypeError, ValueError) as error:
                raise UserError(f"optimizer {clean(text)!r}: {clean(error)}") from None
    raise UserError(f"optimizer {clean(text)!r} is not one of Keras' optimizers: {_WRONG}")


def optimizer_from_compile(
    compiled: CompileFacts, *, learning_rate: float | None = None, package: str = "keras"
) -> Any | None:
    """The stock optimizer that the file was compiled with; None if it is unknown."""
    if compiled.optimizer is None:
        return None
    optimizers = keras_of(package).optimizers
    config = {
        k: v
        for k, v in compiled.optimizer_config.items()
        if k not in ("name", "is_legacy_optimizer")
    }
    rate = learning_rate if learning_rate is not None else compiled.learning_rate
    if rate is not None:
        config["learning_rate"] = rate
    try:
        made = optimizers.deserialize({"class_name": compiled.optimizer, "config": config})
    except (TypeError, ValueError, KeyError):
        # Options of another Keras (lr, decay, amsgrad …) that this one does not take.
        try:
            plain = {} if rate is None else {"learning_rate": rate}
            made = optimizers.deserialize({"class_name": compiled.optimizer, "config": plain})
        except (TypeError, ValueError, KeyError):
            return None
    return made if hasattr(made, "get_config") else None  # Keras hands a name back as it is


def metric_from_name(text: str, *, package: str = "keras") -> Any:
    """The metric that ``text`` names: ``accuracy``, ``MeanIoU(num_classes=21)``, ``m.py:iou``."""
    if ".py:" in text:
        made = from_file(text)
        return made() if inspect.isclass(made) else made
    name, options = _call(text, "--metric")
    metrics = keras_of(package).metrics
    if not options and name in METRIC_FUNCTIONS:
        return name  # as in compile: the labels decide which accuracy it is
    for candidate in dir(metrics):
        found = getattr(metrics, candidate)
        wanted = name.replace("_", "").lower()
        if candidate.lower() == _ALIASES.get(wanted, wanted) and inspect.isclass(found):
            try:
                return found(**options)
            except (TypeError, ValueError) as error:
                raise UserError(f"metric {clean(text)!r}: {clean(error)}") from None
    raise UserError(f"metric {clean(text)!r} is not one of Keras' metrics: {_WRONG}")


def metrics_from_compile(compiled: CompileFacts) -> tuple[str, ...]:
    """Of the metrics that the file was compiled with, those that a name alone makes."""
    return tuple(name for name in compiled.metrics if name in METRIC_FUNCTIONS)


def keras_of(package: str) -> Any:
    """The Keras that runs the model: ``"keras"``, or ``"tf_keras"`` for a live tf_keras model."""
    return importlib.import_module(package)


def from_file(text: str) -> Any:
    """The object that ``file.py:name`` names. The file is the user's own, and it is run."""
    path, _, name = text.rpartition(":")
    file = Path(path)
    try:
        known = file.is_file()
    except (OSError, ValueError) as error:  # a folder that is closed, a name too long
        reason = clean(getattr(error, "strerror", None) or error, 80)
        raise UserError(f"{clean(path)}: {reason}; expected file.py:name") from error
    if not known:
        raise UserError(f"{clean(path)}: no such file; expected file.py:name")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{clean(path)}: not a Python file; expected file.py:name")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"{clean(path)}: importing it failed with {type(error).__name__}: {clean(error)}"
        ) from error
    if name == "*":
        return vars(module)
    if not hasattr(module, name):
        raise UserError(f"{clean(path)}: defines no {clean(name)!r}; expected file.py:name")
    return getattr(module, name)


def _call(text: str, flag: str) -> tuple[str, dict[str, Any]]:
    """Name and literal options of ``Name`` or ``Name(option=value, …)``; nothing is evaluated."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            return tree.func.id, {
                keyword.arg: ast.literal_eval(keyword.value)
                for keyword in tree.keywords
                if keyword.arg is not None
            }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise UserError(f"{flag} {clean(text)!r}: {_WRONG}")
