"""A model of several outputs: each is examined by itself, with its own loss, labels and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, tee
from typing import Any

import numpy as np

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.clean import clean
from segdoctor.core.explain import importance
from segdoctor.core.finding import Finding
from segdoctor.examination.feeding import is_folder
from segdoctor.examination.mapped import mapped
from segdoctor.examination.request import Request
from segdoctor.examination.settling import compiled_loss, optimizer_of
from segdoctor.examination.training import training_of
from segdoctor.examination.verdict import headline_of
from segdoctor.report.report import Report
from segdoctor.sources.batches import opened

BY_OUTPUT = ("OUT", "LOSS", "IGN", "LBL", "MET")
"""Families that are asked of every output; the others are asked of the first one alone, for the
outputs share the layers before them."""


@dataclass(frozen=True, slots=True)
class View:
    """One output as if it were the only one."""

    name: str
    request: Request


def views_of(request: Request) -> tuple[tuple[View, ...], tuple[str, ...], Request]:
    """``(one view an output, notes, the request)``; no view where the model has one output, or is
    a file.

    An output without a loss, or that is no map of pixels, is left out and named in the notes. A
    subclassed model's outputs are known once it has seen an example: the request that comes back
    hands the batch out again that was read of a generator.
    """
    model = request.model
    outputs, example = outputs_of_graph(model), None
    subclassed = not outputs and hasattr(model, "train_step") and getattr(model, "built", False)
    if subclassed and model.weights and request.data is not None:
        outputs, example, request = _given(request)
    if len(outputs) < 2:
        return (), (), request
    from segdoctor.recorder.one_output import one_output
    from segdoctor.recorder.surgery import keras_of

    def alone(name: str, tensor: Any) -> Any:
        if example is not None:
            return one_output(model, name, example)
        return keras_of(model).Model(model.inputs, tensor, name=f"{model.name}_{name}")

    loss = request.loss if request.loss is not None else compiled_loss(model)
    metrics = request.metrics if request.metrics is not None else compiled_metrics(model)
    optimizer = request.optimizer if request.optimizer is not None else optimizer_of(model)
    data = _copies(request.data, len(outputs))
    whole = training_of(request, model)
    views, aside = [], []
    # A number of classes that is declared is that of the outputs that have as many channels.
    fitting = [name for name, tensor in outputs.items() if tensor.shape[-1] == request.num_classes]
    for place, (name, tensor) in enumerate(outputs.items()):
        own = part_of(loss, place, name)
        if (loss is not None and own is None) or len(tensor.shape) < 3:
            aside.append(clean(name, 40))
            continue
        view = replace(
            request,
            model=alone(name, tensor),
            loss=own,
            optimizer=optimizer,
            training=whole,
            num_classes=None if fitting and name not in fitting else request.num_classes,
            metrics=part_of(metrics, place, name) or [],
            data=_picked(data[place], place, name),
        )
        views.append(View(clean(name, 40), view))
    if len(views) < 1:
        return (), (), request
    return tuple(views), (_said([view.name for view in views], aside),), request


def _said(names: list[str], aside: list[str]) -> str:
    said = f"the model has {len(names) + len(aside)} outputs; {names[0]} is examined as the run's"
    if names[1:]:
        said += f", of {', '.join(names[1:])} the head, the loss and the labels"
    if aside:
        said += f"; without a loss or no map of pixels: {', '.join(aside)}"
    return said


def others_of_file(request: Request, names: tuple[str, ...]) -> tuple[tuple[View, ...], str]:
    """``(the outputs of a file's model behind the first one, a note)``."""
    loss = request.loss
    left_out = [n for i, n in enumerate(names) if loss is not None and part_of(loss, i, n) is None]
    views = tuple(
        View(clean(name, 40), replace(request, output=place))
        for place, name in enumerate(names)
        if place and name not in left_out
    )
    note = _said(
        [clean(n, 40) for n in names if n not in left_out or n == names[0]],
        [clean(n, 40) for n in left_out if n != names[0]],
    )
    return views, note


def for_one(request: Request, names: tuple[str, ...]) -> Request:
    """The request with the loss, metrics and labels of the output that it asks for."""
    place, name = request.output, names[request.output]
    return replace(
        request,
        loss=part_of(request.loss, place, name),
        metrics=part_of(request.metrics, place, name),
        data=request.data if is_folder(request.data) else _picked(request.data, place, name),
    )


def codes(request: Request) -> frozenset[str]:
    """Those of the codes asked for that are asked of every output."""
    wanted = request.chooser()
    return frozenset(
        code for code, entry in CATALOGUE.items() if entry.family in BY_OUTPUT and wanted(code)
    )


def part_of(given: Any, place: int, name: str) -> Any:
    """One output's part of what was given for all: of a dict or list its own, else the whole. A
    loss as it is stored in a file is a dict as well, of ``class_name`` and ``config``."""
    if isinstance(given, Mapping) and "class_name" not in given:
        return given.get(name)
    if isinstance(given, list | tuple):
        return given[place] if place < len(given) else None
    return given


def merged(first: Report, others: tuple[tuple[str, Report], ...], notes: tuple[str, ...]) -> Report:
    """The first output's report, with what was found of the others, each by its name."""
    findings, tables = list(first.findings), list(first.measured.get("tables", ()))
    outcomes, trail = first.outcomes, list(first.measured.get("void_trail", ()))
    settled = True
    for name, report in others:
        named = [_named(finding, name) for finding in report.findings]
        settled = settled and not [f for f in named if f.severity == "error"]
        findings += named
        asked = report.measured.get("tables", ())
        tables += [{**t, "title": f"output {name}: {t['title']}"} for t in asked]
        fired = {outcome.code: outcome for outcome in report.outcomes if outcome.status == "fired"}
        outcomes = tuple(
            fired[o.code] if o.code in fired and o.status != "fired" else o for o in outcomes
        )
        ways_out = [s for s in report.measured.get("void_trail", ()) if s["apart"]]
        trail += [{**s, "name": f"{name}: {s['name']}"} for s in ways_out]
    worst = min((first, *(r for _, r in others)), key=lambda r: _ORDER.index(r.exit_code))
    findings.sort(key=importance)
    diagnosis = first.diagnosis if settled or first.diagnosis else None
    headline = first.headline
    if not settled and not first.diagnosis:
        headline = headline_of(findings, diagnosis, first.trials, "run")
    return replace(
        first,
        findings=tuple(findings),
        outcomes=outcomes,
        exit_code=worst.exit_code,
        diagnosis=diagnosis,
        headline=headline,
        measured={
            **first.measured,
            "tables": tables,
            **({"void_trail": trail} if trail else {}),
        },
        notes=(*notes, *first.notes),
    )


_ORDER = (130, 2, 4, 3, 1, 0)  # what stands above what: CONTRACT, "Exit and output"


def _named(finding: Finding, name: str) -> Finding:
    return replace(finding, message=f"Output {name}: {finding.message}")


def outputs_of_graph(model: Any) -> dict[str, Any]:
    """Name → tensor of a functional model's outputs, in the order in which Keras counts them."""
    tensors = getattr(model, "outputs", None)
    if not isinstance(tensors, list | tuple):
        return {}
    struct = getattr(model, "_outputs_struct", None)
    if isinstance(struct, Mapping):
        return {str(name): struct[name] for name in sorted(struct)}
    names = getattr(model, "output_names", None) or [str(i) for i in range(len(tensors))]
    return dict(zip(names, tensors, strict=False))


def _given(request: Request) -> tuple[dict[str, Any], Any, Request]:
    """``(outputs of a model that is no graph, the example that showed them, the request)``; a
    generator that was read gives its first batch again."""
    from segdoctor.recorder.one_output import outputs_of

    data = request.data
    if is_folder(data):
        return {}, None, request
    first: Any = data
    if not isinstance(data, list | tuple):
        _, source, _ = opened(data)
        first = next(source, None)
        if hasattr(data, "__next__") and first is not None:
            request = replace(request, data=chain([first], source))
    if not isinstance(first, list | tuple) or not hasattr(first[0], "shape"):
        return {}, None, request
    example = np.asarray(first[0])[:1]
    return outputs_of(request.model, example), example, request


def compiled_metrics(model: Any) -> Any:
    """The metrics as they were given to ``compile``."""
    held = getattr(model, "_compile_metrics", None) or getattr(model, "compiled_metrics", None)
    return getattr(held, "_user_metrics", None)


def _copies(data: Any, count: int) -> tuple[Any, ...]:
    """The data once for each output; a generator, which can be read once only, is shared."""
    return tee(data, count) if hasattr(data, "__next__") else (data,) * count


def _picked(data: Any, place: int, name: str) -> Any:
    """The data with the labels and weights of one output."""

    def item_of(item: Any) -> Any:
        if not isinstance(item, list | tuple) or len(item) < 2:
            return item
        return (item[0], *(part_of(part, place, name) for part in item[1:]))

    return mapped(data, item_of)
