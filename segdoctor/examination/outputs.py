"""A model of several outputs: each is examined by itself, with its own loss, labels and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.clean import clean
from segdoctor.core.finding import Finding
from segdoctor.examination.request import Request
from segdoctor.report.report import Report

BY_OUTPUT = ("OUT", "LOSS", "IGN", "LBL", "MET")
"""Families that are asked of every output; the others are asked of the first one alone, for the
outputs share the layers before them."""


@dataclass(frozen=True, slots=True)
class View:
    """One output as if it were the only one."""

    name: str
    request: Request


def views_of(request: Request) -> tuple[tuple[View, ...], tuple[str, ...]]:
    """``(one view an output, notes)``; no view where the model has one output, or is no graph.

    An output without a loss, or that is no map of pixels, is left out and named in the notes.
    """
    model = request.model
    outputs = _outputs(model)
    if len(outputs) < 2:
        return (), ()
    from segdoctor.recorder.surgery import keras_of

    loss = request.loss if request.loss is not None else getattr(model, "loss", None)
    metrics = request.metrics if request.metrics is not None else _compiled_metrics(model)
    optimizer = request.optimizer if request.optimizer is not None else model.optimizer
    data = _copies(request.data, len(outputs))
    views, aside = [], []
    for place, (name, tensor) in enumerate(outputs.items()):
        own = part_of(loss, place, name)
        if (loss is not None and own is None) or len(tensor.shape) < 3:
            aside.append(clean(name, 40))
            continue
        view = replace(
            request,
            model=keras_of(model).Model(model.inputs, tensor, name=f"{model.name}_{name}"),
            loss=own,
            optimizer=optimizer,
            metrics=part_of(metrics, place, name) or [],
            data=_picked(data[place], place, name),
        )
        views.append(View(clean(name, 40), view))
    if len(views) < 1:
        return (), ()
    said = f"the model has {len(outputs)} outputs; {views[0].name} is examined as the run's"
    if views[1:]:
        said += f", of {', '.join(v.name for v in views[1:])} the head, the loss and the labels"
    if aside:
        said += f"; without a loss or no map of pixels: {', '.join(aside)}"
    return tuple(views), (said,)


def codes(request: Request) -> frozenset[str]:
    """Those of the codes asked for that are asked of every output."""
    wanted = request.chooser()
    return frozenset(
        code for code, entry in CATALOGUE.items() if entry.family in BY_OUTPUT and wanted(code)
    )


def part_of(given: Any, place: int, name: str) -> Any:
    """One output's part of what was given for all: of a dict or list its own, else the whole."""
    if isinstance(given, Mapping):
        return given.get(name)
    if isinstance(given, list | tuple):
        return given[place] if place < len(given) else None
    return given


def merged(first: Report, others: tuple[tuple[str, Report], ...], notes: tuple[str, ...]) -> Report:
    """The first output's report, with what was found of the others, each by its name."""
    findings, tables = list(first.findings), list(first.measured.get("tables", ()))
    settled = True
    for name, report in others:
        named = [_named(finding, name) for finding in report.findings]
        settled = settled and not [f for f in named if f.severity == "error"]
        findings += named
        asked = report.measured.get("tables", ())
        tables += [{**t, "title": f"output {name}: {t['title']}"} for t in asked]
    worst = min((first, *(r for _, r in others)), key=lambda r: _ORDER.index(r.exit_code))
    return replace(
        first,
        findings=tuple(findings),
        exit_code=worst.exit_code,
        diagnosis=first.diagnosis if settled or first.diagnosis else None,
        headline=first.headline if settled or first.diagnosis else "",
        measured={**first.measured, "tables": tables},
        notes=(*notes, *first.notes),
    )


_ORDER = (130, 2, 4, 3, 1, 0)  # what stands above what: CONTRACT, "Exit and output"


def _named(finding: Finding, name: str) -> Finding:
    return replace(finding, message=f"Output {name}: {finding.message}")


def _outputs(model: Any) -> dict[str, Any]:
    """Name → tensor of a functional model's outputs, in the order in which Keras counts them."""
    tensors = getattr(model, "outputs", None)
    if not isinstance(tensors, list | tuple):
        return {}
    struct = getattr(model, "_outputs_struct", None)
    if isinstance(struct, Mapping):
        return {str(name): struct[name] for name in sorted(struct)}
    names = getattr(model, "output_names", None) or [str(i) for i in range(len(tensors))]
    return dict(zip(names, tensors, strict=False))


def _compiled_metrics(model: Any) -> Any:
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

    if isinstance(data, list | tuple):
        return item_of(data)
    if hasattr(data, "element_spec"):
        return data.map(lambda *item: item_of(item))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "dtype"):
        return _Picked(data, item_of)
    if hasattr(data, "__next__"):
        return (item_of(item) for item in data)
    if callable(data):
        return lambda: _each(data(), item_of)
    return data


def _each(items: Any, item_of: Any) -> Iterator[Any]:
    for item in items:
        yield item_of(item)


class _Picked:
    """A PyDataset whose batches hold the labels of one output."""

    def __init__(self, data: Any, item_of: Any) -> None:
        self._data, self._item_of = data, item_of

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        return self._item_of(self._data[index])
