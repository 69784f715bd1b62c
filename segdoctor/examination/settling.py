"""Loss and optimizer of the run: what the user said, else what the model was compiled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import CompileFacts
from segdoctor.examination.opening import Opened
from segdoctor.examination.request import Request
from segdoctor.sources import settings

NO_SETTINGS = "the file has no compile settings"


@dataclass(frozen=True, slots=True)
class Settled:
    """``loss`` or ``optimizer`` is None where none is known; ``why`` then says so. ``metrics`` are
    pairs (metric, whether it gets the sample weights). ``provenance`` tells where each came from.
    """

    loss: Any = None
    optimizer: Any = None
    why_no_loss: str = ""
    why_no_optimizer: str = ""
    ignores: int | None = None
    metrics: tuple[tuple[Any, bool], ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


def settle(request: Request, opened: Opened) -> Settled:
    """
    Raises
    ------
    UserError
        If the user named a loss, an optimizer or a metric that does not exist.
    """
    package = _package(opened.model)
    settled = _loss(request, opened, package)
    settled = replace(settled, ignores=_ignore_class(settled.loss))
    settled = replace(settled, metrics=tuple(_metrics(request, opened, package)))
    return _optimizer(request, opened, package, settled)


def _loss(request: Request, opened: Opened, package: str) -> Settled:
    given = request.loss
    if request.why_no_loss:
        return Settled(why_no_loss=request.why_no_loss)
    if isinstance(given, str):
        loss = settings.loss_from_name(given, from_logits=request.from_logits, package=package)
        return Settled(loss=loss, provenance={"loss": f"user: {clean(given)}"})
    if given is not None:
        return Settled(loss=given, provenance={"loss": f"{request.said_by}: {loss_name(given)}"})
    if opened.live:
        loss = compiled_loss(opened.model)
        if loss is None and getattr(opened.model, "losses", None):
            why = "the model brings its loss along (add_loss), which no question can be put to"
            return Settled(why_no_loss=why)
        if loss is None:
            return Settled(why_no_loss="the model is not compiled and no loss was given")
        return Settled(loss=loss, provenance={"loss": f"compiled: {loss_name(loss)}"})
    compiled = opened.compiled
    if compiled is None or compiled.loss is None:
        return Settled(why_no_loss=NO_SETTINGS)
    loss = settings.loss_from_compile(compiled, from_logits=request.from_logits, package=package)
    if loss is None:
        return Settled(
            why_no_loss=f"of the loss {clean(compiled.loss)!r} the file has only the name"
        )
    return Settled(loss=loss, provenance={"loss": f"file: {loss_name(loss)}"})


def compiled_loss(model: Any) -> Any:
    """What a live model was compiled with; None for none, which tf_keras writes as ``{}``."""
    loss = getattr(model, "loss", None)
    return None if isinstance(loss, Mapping | list | tuple) and not loss else loss


def optimizer_of(model: Any) -> Any:
    """What a live model was compiled with; None before that."""
    return getattr(model, "optimizer", None)


def _metrics(request: Request, opened: Opened, package: str) -> Iterator[tuple[Any, bool]]:
    """What the user gave, else what the live model or the file was compiled with."""
    given = request.metrics
    if given is not None:
        for metric in _listed(given):
            named = isinstance(metric, str)
            made = settings.metric_from_name(metric, package=package) if named else metric
            yield made, False
    elif opened.live:
        held = getattr(opened.model, "_compile_metrics", None)  # Keras 3
        if held is None or not hasattr(held, "_user_metrics"):
            held = getattr(opened.model, "compiled_metrics", None)  # tf_keras
        for name, weighted in (("_user_metrics", False), ("_user_weighted_metrics", True)):
            for metric in _listed(getattr(held, name, None)):
                yield metric, weighted
    elif opened.compiled is not None:
        for name in settings.metrics_from_compile(opened.compiled):
            yield name, False


def _listed(value: Any) -> list[Any]:
    """The metrics of one output, whatever they were given as."""
    if value is None:
        return []
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return [value]
    return [leaf for item in value for leaf in _listed(item)]


def _optimizer(request: Request, opened: Opened, package: str, settled: Settled) -> Settled:
    given, rate = request.optimizer, request.learning_rate
    said = dict(settled.provenance)
    if isinstance(given, str):
        made = settings.optimizer_from_name(given, learning_rate=rate, package=package)
        return replace(
            settled, optimizer=made, provenance=said | {"optimizer": f"user: {clean(given)}"}
        )
    if given is not None:
        return replace(
            settled,
            optimizer=given,
            provenance=said | {"optimizer": f"{request.said_by}: {_kind(given)}"},
        )
    compiled = opened.compiled
    held = getattr(opened.model, "optimizer", None) if opened.live else None
    origin = "compiled"
    if held is None and compiled is not None:
        held = settings.optimizer_from_compile(compiled, learning_rate=rate, package=package)
        origin = "file"
    if held is not None and rate is not None and origin == "compiled":
        held = type(held).from_config({**held.get_config(), "learning_rate": rate})
    if held is None:
        why = NO_SETTINGS if not opened.live else "the model is not compiled"
        if compiled is not None and compiled.optimizer:
            why = f"the optimizer {clean(compiled.optimizer)!r} is not one of Keras'"
        return replace(settled, why_no_optimizer=why)
    return replace(
        settled, optimizer=held, provenance=said | {"optimizer": f"{origin}: {_kind(held)}"}
    )


def loss_name(loss: Any) -> str:
    """A loss as a user would write it, with the options that matter here."""
    if isinstance(loss, str):
        return clean(loss)
    if isinstance(loss, list | tuple | dict):
        return clean(type(loss).__name__)
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    told = ", ".join(
        f"{name}={config[name]}"
        for name in ("from_logits", "ignore_class", "label_smoothing")
        if config.get(name) not in (None, 0, 0.0) or (name == "from_logits" and name in config)
    )
    name = clean(getattr(loss, "__name__", "") or type(loss).__name__)
    return f"{name}({told})" if told else name


def rate_of(optimizer: Any) -> float | None:
    """The learning rate now; None for a schedule that cannot be asked."""
    try:
        return float(optimizer.learning_rate)
    except (AttributeError, TypeError, ValueError):
        return None


def _kind(optimizer: Any) -> str:
    rate = rate_of(optimizer)
    name = clean(type(optimizer).__name__)
    return name if rate is None else f"{name}, rate {rate:g}"


def _ignore_class(loss: Any) -> int | None:
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    value = config.get("ignore_class")
    return None if value is None else int(value)


def _package(model: Any) -> str:
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return "tf_keras" if "tf_keras" in roots else "keras"


def compile_facts(settled: Settled) -> CompileFacts | None:
    """The settings of a live run, in the form in which a file's are read."""
    if settled.loss is None and settled.optimizer is None:
        return None
    config = settled.loss.get_config() if hasattr(settled.loss, "get_config") else {}
    return CompileFacts(
        loss=None if settled.loss is None else loss_name(settled.loss).partition("(")[0],
        from_logits=config.get("from_logits"),
        ignore_class=config.get("ignore_class"),
        optimizer=None if settled.optimizer is None else type(settled.optimizer).__name__,
        learning_rate=None if settled.optimizer is None else rate_of(settled.optimizer),
        optimizer_config=_plain_settings(settled.optimizer),
    )


def _plain_settings(optimizer: Any) -> dict[str, object]:
    """The numbers and flags of an optimizer's config; {} where it has none."""
    try:
        config = optimizer.get_config()
    except Exception:  # noqa: BLE001 - the boundary: an optimizer of the user's own
        return {}
    return {k: v for k, v in config.items() if isinstance(v, int | float | str)}
