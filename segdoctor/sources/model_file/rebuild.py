"""A live model of a file, built of stock layers alone; ``load_model`` is never called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from segdoctor.sources.model_file.copy_weights import (
    WeightsDoNotFitError,
    copy_weights,
    plan_weights,
)
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.normalise import Normaliser, NotRebuiltError
from segdoctor.sources.model_file.opened import OpenedModel
from segdoctor.sources.model_file.safe_layers import safe_layers
from segdoctor.sources.model_file.vet import vet


def rebuild(
    opened: OpenedModel, custom_objects: Mapping[str, Any] | None = None, trust: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """Build the model of a file and copy its weights.

    Parameters
    ----------
    opened : of :func:`~segdoctor.sources.model_file.open_model_file`.
    custom_objects : the user's own layers and functions, by the names that the file uses.
    trust : run the Lambda bytecode that the file carries. Nothing else is run in any case.

    Returns
    -------
    model : keras.Model, not compiled.
    notes : what was replaced or dropped.

    Raises
    ------
    ModelFileError
        With ``reason`` ``"needs trust"``, ``"not at hand"`` or ``"not rebuilt"``.
    """
    given = dict(custom_objects or {})
    _refuse(opened, given, trust)
    import keras

    normaliser = Normaliser(_accepted(keras), frozenset(given), trust)
    try:
        config = normaliser.model(opened.config)
    except NotRebuiltError as error:
        raise _not_rebuilt(opened, str(error)) from None
    try:
        with keras.saving.custom_object_scope({**safe_layers(), **given}), _unallocated(keras):
            model = _from_config(keras, config, trust)
            plan = plan_weights(model, opened.stored, opened.facts.weights)
    except WeightsDoNotFitError as error:
        raise _not_rebuilt(opened, str(error)) from None
    except Exception as error:  # the boundary to Keras, which raises anything
        reason = str(error).strip().splitlines()
        raise _not_rebuilt(
            opened, f"a graph that Keras does not build ({reason[0] if reason else error!r})"
        ) from error
    with opened.weights() as read:
        copy_weights(plan, read)
    notes = [*normaliser.notes]
    if not opened.facts.weights:
        notes.append("the file has no weights: the model is freshly initialised")
    return model, tuple(dict.fromkeys(notes))


def _refuse(opened: OpenedModel, given: Mapping[str, Any], trust: bool) -> None:
    if opened.config is None:
        raise _not_rebuilt(opened, "weights alone, without an architecture")
    vetted = vet(opened.config, None, given)
    if vetted.runs and not trust:
        item = vetted.runs[0]
        raise ModelFileError(
            opened.path,
            f"{item.kind} ({item.name}{' in ' + item.where if item.where else ''}), which would"
            " have to run",
            "--trust runs it",
            "a model of stock layers",
            "needs trust",
        )
    if vetted.not_at_hand:
        raise ModelFileError(
            opened.path,
            f"{', '.join(vetted.not_at_hand[:5])}, whose code is not in the file",
            "pass it with custom_objects= or --objects file.py",
            "stock layers, or custom ones at hand",
            "not at hand",
        )


def _not_rebuilt(opened: OpenedModel, received: str) -> ModelFileError:
    return ModelFileError(opened.path, received, "", "a model that can be rebuilt", "not rebuilt")


def _from_config(keras: Any, config: dict[str, Any], trust: bool) -> Any:
    cls = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    if not trust:
        return cls.from_config(config["config"])
    from keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(False):
        return cls.from_config(config["config"])


@contextmanager
def _unallocated(keras: Any) -> Iterator[None]:
    """Build without memory for the variables: they are created when the scope is left.

    A configuration can claim any size (2^33 filters in 27 KB). What it claims is compared with
    what is stored first; if an error leaves the scope, nothing is ever created.
    """
    scope = keras.StatelessScope()
    scope.initialize_variables = False
    try:
        with scope:
            yield
    except BaseException:
        from keras.src.backend.common import global_state

        global_state.set_global_attribute("uninitialized_variables", [])
        raise
    with keras.StatelessScope():
        pass  # leaving an outermost scope creates what is pending


def _accepted(keras: Any) -> Any:
    import inspect
    from functools import cache

    base = frozenset({"name", "trainable", "dtype", "activity_regularizer"})

    @cache
    def accepts(module: str, name: str) -> frozenset[str]:
        cls = getattr(getattr(keras, module), name)
        found: set[str] = set()
        for level in cls.__mro__:
            if level.__module__.startswith("keras.") and "__init__" in vars(level):
                parameters = inspect.signature(level.__init__).parameters.values()
                found.update(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
                if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                    break
        found.discard("self")
        return frozenset(found) | (base if module == "layers" else frozenset())

    return accepts
