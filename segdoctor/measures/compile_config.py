"""Compile settings as stored by any Keras, as :class:`CompileFacts`.

Takes ``training_config`` of HDF5 files, ``compile_config`` of ``.keras`` files and what
``model.get_compile_config()`` gives. Names that no one else needs are brought to Keras 3's.
"""

from __future__ import annotations

from collections.abc import Mapping

from segdoctor.core.model_facts import CompileFacts
from segdoctor.measures.stock_names import base_name, is_stock_loss

# Settings of older optimizers that say nothing of the step, and that Keras 3 does not take.
_DROPPED_OPTIMIZER_KEYS = frozenset({"decay", "jit_compile", "is_legacy_optimizer"})


def compile_facts(settings: object) -> CompileFacts | None:
    """The facts of stored compile settings; None where nothing was compiled.

    ``from_logits`` of a stock loss that does not state it is False, as Keras has it; of a loss
    known only by its name it is None. ``reduction: "auto"`` (tf.keras 2) becomes
    ``"sum_over_batch_size"``, ``lr`` becomes ``learning_rate``, a non-zero ``decay`` the
    schedule ``InverseTimeDecay`` that it is. Several losses (one an output) are listed in
    ``loss_config["per_output"]``, and ``loss`` is None.
    """
    if not isinstance(settings, Mapping) or not settings:
        return None
    loss, loss_config = _loss(settings.get("loss"))
    optimizer, optimizer_config = _named(
        settings.get("optimizer_config", settings.get("optimizer"))
    )
    if optimizer is not None:  # tf_keras registers its own ones: "Custom>Adam"
        optimizer = base_name(optimizer)
    optimizer_config = _optimizer_settings(optimizer_config)
    rate = optimizer_config.get("learning_rate")
    schedule: Mapping[str, object] = rate if isinstance(rate, Mapping) else {}
    stock = loss is not None and is_stock_loss(loss)
    logits = loss_config.get("from_logits", False if stock else None)
    ignored = loss_config.get("ignore_class")
    found = CompileFacts(
        loss=loss,
        from_logits=logits if isinstance(logits, bool) else None,
        ignore_class=ignored if isinstance(ignored, int) else None,
        loss_config=loss_config,
        optimizer=optimizer,
        learning_rate=_rate(rate),
        schedule=schedule,
        optimizer_config=optimizer_config,
        metrics=tuple(_metric_names(settings.get("metrics"))),
    )
    return found if found.loss or found.optimizer or loss_config else None


def _rate(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # an integer that no float can hold
        return None


def _loss(value: object) -> tuple[str | None, dict[str, object]]:
    parts = _leaves(value)
    if len({str(part) for part in parts}) > 1:
        return None, {"per_output": [_named(part)[0] for part in parts]}
    if not parts:
        return None, {}
    name, config = _named(parts[0])
    if name == "LossFunctionWrapper" and "fn" in config:
        name = _named(config["fn"])[0]
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return name, config


def _leaves(value: object) -> list[object]:
    """The losses in what may be one, a list or a mapping by output name."""
    if value is None:
        return []
    if isinstance(value, Mapping) and "class_name" not in value:
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _named(value: object) -> tuple[str | None, dict[str, object]]:
    """``(name, settings)`` of an identifier: a string, or a dict with a class name."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping):
        return None, {}
    name, config = value.get("class_name"), value.get("config")
    if name in ("function", "__lambda__"):
        registered = value.get("registered_name")
        known = config if isinstance(config, str) else registered
        return (known if isinstance(known, str) else "lambda"), {}
    if not isinstance(name, str):
        return None, {}
    registered = value.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        name = registered
    return name, dict(config) if isinstance(config, Mapping) else {}


def _optimizer_settings(config: Mapping[str, object]) -> dict[str, object]:
    kept = {key: value for key, value in config.items() if key not in _DROPPED_OPTIMIZER_KEYS}
    if "lr" in kept:
        kept["learning_rate"] = kept.pop("lr")
    if kept.get("epsilon", 0) is None:
        del kept["epsilon"]  # Keras 2: the backend's default
    rate, decay = kept.get("learning_rate"), config.get("decay")
    if isinstance(decay, int | float) and decay > 0 and isinstance(rate, int | float):
        kept["learning_rate"] = {
            "class_name": "InverseTimeDecay",
            "config": {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay},
        }
    return kept


def _metric_names(value: object) -> list[str]:
    found = []
    for leaf in _leaves(value):
        name, config = _named(leaf)
        if name == "MeanMetricWrapper" and isinstance(config.get("fn"), str | Mapping):
            name = _named(config["fn"])[0]
        if name is not None and name not in found:
            found.append(name)
    return found
