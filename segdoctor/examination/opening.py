"""From a path or a live object to a model that runs, with the facts read on the way."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.model_facts import CompileFacts, GraphFacts, ModelFacts
from segdoctor.examination.request import Request

GPU_BUDGET_S = 30.0  # of a trial where none is given: its steps take less of it there


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that runs, or the reason why it does not.

    ``refused``: the file carries code and needs ``--trust``. ``not_loadable``: what the file
    names and is not at hand. ``unusable`` says why there is no model; ``broken`` that more input
    from the user would not help.
    """

    model: Any = None
    facts: ModelFacts | None = None
    graph: GraphFacts | None = None
    compiled: CompileFacts | None = None
    live: bool = False
    replicas: int = 1  # copies of a live model among which a batch is shared out
    refused: bool = False
    not_loadable: tuple[str, ...] = ()
    unusable: str = ""
    broken: bool = False
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()  # of a file's model that has several; one of them is opened
    run: Mapping[str, Any] = field(default_factory=dict)


def need_tensorflow() -> None:
    """Import TensorFlow, without the lines that its native code writes while it starts, and let
    it take of a GPU's memory only what is needed.

    Raises
    ------
    UserError
        If no TensorFlow is installed: one line that says what to install.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            "no TensorFlow is installed, and running a model needs one: "
            "pip install 'segdoctor[tensorflow]' (or tensorflow-cpu, or the GPU build you use); "
            "`segdoctor inspect` and `segdoctor scan` work without"
        )
    if "tensorflow" in sys.modules:
        return
    with _quiet_stderr():
        share_gpus(importlib.import_module("tensorflow"))


def share_gpus(tf: Any) -> None:
    """A training that holds the GPU goes on beside the examination."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError, ValueError):  # in use already: then it stays as it is
            tf.config.experimental.set_memory_growth(gpu, True)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """File descriptor 2 into nothing: what native code prints cannot be caught in Python."""
    try:
        held = os.dup(2)
    except OSError:
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(held, 2)
        os.close(held)
        os.close(nothing)


def on_device(device: str) -> AbstractContextManager[Any]:
    """The device that the examination runs on; ``auto`` leaves the choice to TensorFlow, which
    takes a GPU where there is one."""
    if device == "auto":
        return nullcontext()
    import tensorflow as tf

    kind, _, index = device.partition(":")
    known = {"cpu": "CPU", "gpu": "GPU"}.get(kind.lower())
    present = tf.config.list_physical_devices(known) if known else []
    if not known or int(index or 0) >= len(present):
        names = ", ".join(
            d.name.partition(":")[2].lower() for d in tf.config.list_physical_devices()
        )
        raise UserError(f"device {clean(device)!r}: expected auto or one of {names}")
    return tf.device(f"/{known}:{index or 0}")  # type: ignore[no-any-return]


def on_gpu(device: str) -> bool:
    """Whether the examination runs on a GPU."""
    import tensorflow as tf

    named = device.lower().startswith("gpu")
    return bool(tf.config.list_physical_devices("GPU")) and (device == "auto" or named)


def open_model(request: Request) -> Opened:
    """Open what ``request.model`` is: a path to a file, or a live model."""
    if isinstance(request.model, str | os.PathLike):
        return _open_file(request, os.fspath(request.model))
    return _open_live(request)


def _open_live(request: Request) -> Opened:
    from segdoctor.recorder.replicas import replicas_of

    model = request.model
    if not (callable(model) and hasattr(model, "trainable_variables")):
        raise UserError(
            "model: expected a Keras model or a path to a .h5 / .keras file, received "
            f"{clean(type(model).__name__)}"
        )
    if not getattr(model, "built", True) or not getattr(model, "weights", True):
        raise UserError(
            f"model {clean(getattr(model, 'name', '?'))!r}: expected a built model; call it once, "
            "or give it an Input, so that its weights exist"
        )
    told = {"model": clean(model.name), "source": "live object"}
    return Opened(model=model, live=True, replicas=replicas_of(model), run=told)


def _open_file(request: Request, path: str) -> Opened:
    from segdoctor.sources.model_file import open_model_file
    from segdoctor.sources.model_file.vet import vet

    request.say("reading the model file", None, None)
    opened = open_model_file(path)
    facts = opened.facts
    run: dict[str, Any] = {
        "model": clean(path),
        "source": facts.format,
        "bytes": facts.bytes,
        "keras_version": facts.graph.keras_version,
        "kind": facts.graph.kind,
        "parameters": facts.parameters,
    }
    graph = facts.graph
    if request.keras and graph.keras_version is None:
        from segdoctor.measures.keras_version import flavour_of

        graph = replace(graph, flavour=flavour_of(request.keras))
    found = Opened(facts=facts, graph=graph, compiled=facts.compiled, run=run, notes=facts.notes)
    if request.trust:
        run["trusted_sha256"] = _digest(path)
    custom = custom_objects_of(request)
    if not request.trust and vet(opened.config, opened.compiled, custom).runs:
        return replace(found, refused=True)
    if opened.config is None:
        return _weights_only(request, opened, found)
    need_tensorflow()
    request.say("rebuilding the model", None, None)
    return _rebuilt(request, opened, found, custom)


def _digest(path: str) -> str:
    """The sha256 of the file whose code may run."""
    import hashlib

    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def custom_objects_of(request: Request) -> dict[str, Any]:
    """The user's own layers and functions: of ``custom_objects`` and of the file of ``objects``."""
    custom = dict(request.custom_objects)
    if request.objects:
        from segdoctor.sources.settings import from_file

        loaded = from_file(f"{request.objects}:*")
        custom |= {name: value for name, value in dict(loaded).items() if callable(value)}
    return custom


def _weights_only(request: Request, opened: Any, found: Opened) -> Opened:
    from segdoctor.sources.model_file.known_family import family_of, model_of_family

    arch = request.arch or family_of(opened)
    if arch is None:
        return replace(
            found,
            unusable="the file holds weights and no architecture "
            "(--arch names one: deeplabv3plus-xception, deeplabv3plus-mobilenetv2)",
        )
    need_tensorflow()
    request.say("rebuilding the model", None, None)
    model, notes = model_of_family(opened, arch)
    return replace(found, model=model, notes=(*found.notes, *notes))


def _rebuilt(request: Request, opened: Any, found: Opened, custom: Mapping[str, Any]) -> Opened:
    from segdoctor.sources.model_file import ModelFileError
    from segdoctor.sources.model_file.rebuild import rebuild

    try:
        model, notes = rebuild(opened, custom_objects=custom, trust=request.trust)
    except ModelFileError as error:
        if error.reason == "needs trust":
            return replace(found, refused=True)
        if error.reason == "not at hand":
            return replace(
                found, not_loadable=opened.facts.not_loadable or (str(error),), unusable=str(error)
            )
        return replace(found, unusable=str(error), broken=True)
    return _one_output(request, opened, replace(found, model=model, notes=(*found.notes, *notes)))


def _one_output(request: Request, opened: Any, found: Opened) -> Opened:
    """Of a model with several outputs the one that is asked for, with its own compile settings."""
    from segdoctor.examination.outputs import outputs_of_graph, part_of
    from segdoctor.measures.compile_config import compile_facts

    outputs = outputs_of_graph(found.model)
    if len(outputs) < 2 or request.output >= len(outputs):
        return found
    from segdoctor.recorder.surgery import keras_of

    model, name = found.model, list(outputs)[request.output]
    compiled = found.compiled
    if isinstance(opened.compiled, Mapping):
        own = {
            key: part_of(opened.compiled[key], request.output, name)
            for key in ("loss", "metrics")
            if key in opened.compiled
        }
        compiled = compile_facts({**opened.compiled, **own})
    return replace(
        found,
        model=keras_of(model).Model(model.inputs, outputs[name], name=f"{model.name}_{name}"),
        compiled=compiled,
        outputs=tuple(outputs),
    )


def freeze(model: Any, what: int | str | None) -> str:
    """Set ``trainable`` as ``--freeze`` says; returns what was done, in words.

    An integer freezes the first N layers; ``"bn"`` every batch normalisation; a layer's name all
    layers up to and including it; the beginning of names all layers that begin so.
    """
    if what is None:
        return ""
    layers = list(model.layers)
    text = str(what)
    if text.lstrip("-").isdigit():
        count = int(text)
        chosen = layers[:count]
        done = f"the first {len(chosen)} of {len(layers)} layers"
    elif text.lower() == "bn":
        from segdoctor.recorder.layers import batch_norm_layers

        chosen = [layer for _, layer in batch_norm_layers(model)]
        done = f"{len(chosen)} batch-normalisation layers"
    else:
        names = [layer.name for layer in layers]
        if text in names:
            chosen = layers[: names.index(text) + 1]
        else:
            chosen = [layer for layer in layers if layer.name.startswith(text)]
        if not chosen:
            raise UserError(
                f"--freeze {clean(text)!r}: expected a number, bn, a layer's name or the beginning "
                f"of one; the model has {len(names)} layers, among them {clean(names[-1])}"
            )
        done = f"{len(chosen)} layers, the last of them {clean(chosen[-1].name)}"
    for layer in chosen:
        layer.trainable = False
    return done
