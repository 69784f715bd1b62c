"""From a run to the trace of it: calls the recorder, and says why where a field is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.measured import Declared, HeadFacts, InputRange, LabelFacts
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Draws, Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination.asking import asked_fields
from segdoctor.examination.closer_look import closer_fields
from segdoctor.examination.request import Say, silent
from segdoctor.measures.decoding import label_ids
from segdoctor.measures.labels import label_facts
from segdoctor.measures.weighed import weighed_classes

NO_DATA = Missing("no data was given", "--data")
_FROM_DATA = (
    *("labels", "head", "loss_as_run", "gradients", "bn_observed", "modes", "updates"),
    *(
        "input_range",
        "input_front",
        "channel_order",
        "loss_contract",
        "y_train",
        "y_infer",
        "penalties",
    ),
    *("loss_at_shape", "void_trail", "metrics"),
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What does not change between the run and its treated twins."""

    declared: Declared
    fields: Mapping[str, object] = field(default_factory=dict)
    optimizer_known: bool = False
    why_no_optimizer: str = ""
    redraw: Callable[[str], Batch] | None = None
    restore: Any = None  # draws the same examples with void for rings of a class
    draws: Draws | None = None  # the user's own batches, drawn anew
    more_images: Callable[[], Any] | None = None  # more images as fed than the batch holds


def record(run: Run, known: Knowledge, say: Say = silent) -> Trace:
    """Measure everything that the probes may ask for; the run is as before afterwards."""
    from segdoctor.recorder.network import record_network

    trace = Trace({**known.fields, "declared": known.declared})
    if run.batch is None:
        trace = trace.having(**dict.fromkeys(_FROM_DATA, NO_DATA), **_graph_alone(run))
        return trace.having(**_optimisation(run, known, trace))
    batch = run.batch
    say("measuring the network", None, None)
    network = record_network(
        run.model,
        run.loss,
        batch.x,
        batch.y,
        batch.sample_weight,
        optimizer=run.optimizer if known.optimizer_known else None,
        flavour=run.flavour,
        planned_steps=planned_steps(known.declared),
    )
    if not known.optimizer_known:
        network["updates"] = Missing(known.why_no_optimizer, "--optimizer … --learning-rate")
    output = _an_output(network)
    labels = labels_as_fed(batch.y, known.declared, output)
    weighed = weighed_classes(batch.y, labels, batch.sample_weight)
    labels = replace(labels, weighed=weighed)
    trace = trace.having(**network, labels=labels)
    trace = trace.having(**_optimisation(run, known, trace))
    if output is None:
        why = network.get("y_infer") or Missing("the model does not run on the batch")
        return trace.having(head=why, loss_as_run=why)
    say("asking the loss", None, None)
    return _with_loss(run, known, trace, output, labels)


def _graph_alone(run: Run) -> dict[str, object]:
    """What the model says without a batch."""
    from segdoctor.recorder.live_graph import live_facts

    graph, weights, batch_norms = live_facts(run.model, run.flavour)
    return {"graph": graph, "weights": weights, "batch_norms": batch_norms}


def _optimisation(run: Run, known: Knowledge, trace: Trace) -> dict[str, object]:
    from segdoctor.examination.optimising import optimisation_fields

    return optimisation_fields(run, trace, known.fields, optimizer_known=known.optimizer_known)


def planned_steps(declared: Declared) -> int | None:
    """Epochs × steps of the run, where both are known."""
    if declared.epochs is None or declared.steps_per_epoch is None:
        return None
    return declared.epochs * declared.steps_per_epoch


def _with_loss(run: Run, known: Knowledge, trace: Trace, output: Any, labels: LabelFacts) -> Trace:
    from segdoctor.recorder.head import measure_head

    assert run.batch is not None
    graph = trace.get("graph")
    try:
        facts = graph if isinstance(graph, GraphFacts) else None
        head = measure_head(run.model, output, facts, run.batch.x)
    except NotExaminedError as why:
        return trace.having(head=Missing(str(why)), loss_as_run=Missing(str(why)))
    trace = trace.having(head=head, **_input_fields(run, known))
    ids = true_ids(run.batch, head, labels, known.declared.ignore_label)
    scan = known.fields.get("scan")
    scan = scan if isinstance(scan, ScanFacts) else None
    mark = void_value(known.declared.ignore_label)
    trace = trace.having(**closer_fields(run, trace, head, ids, None if mark == -1 else mark))
    return trace.having(**asked_fields(run, known.declared, head, labels, output, ids, scan))


def _an_output(network: Mapping[str, object]) -> Any:
    # In inference mode: dropout behind a sigmoid scales the output of training past 1.
    for name in ("y_infer", "y_train"):
        value = network.get(name)
        if value is not None and not isinstance(value, Missing):
            return np.asarray(value, np.float32)
    return None


def labels_as_fed(y: Any, declared: Declared, output: Any = None) -> LabelFacts:
    """The labels measured; flattened ones (B, H*W, C) are told by the output of their shape."""
    classes = declared.num_classes
    if classes is None and output is not None and np.shape(y)[1:] == output.shape[1:]:
        classes = output.shape[-1]
        if output.ndim == 4 and output.shape[1] > 1 and _first(y) > _first(np.moveaxis(y, -1, 1)):
            classes = output.shape[1]  # the labels have their classes first
    return label_facts(y, classes, declared.ignore_label)


def _first(y: Any) -> float:
    """Share of the pixels whose row over axis 1 sums to one."""
    return float((np.abs(np.asarray(y, np.float32).sum(axis=1) - 1) < 1e-2).mean())


def void_value(ignore_label: int | bool | None) -> int:
    """The id that stands for void in :func:`true_ids`; −1 where no label is void."""
    return -1 if ignore_label is None or ignore_label is False else int(ignore_label)


def true_ids(
    batch: Batch, head: HeadFacts, labels: LabelFacts, ignore_label: int | bool | None
) -> Any:
    """Class ids (B, H, W) with void of the batch: the folder's, else what the labels say."""
    if batch.ids is not None:
        return np.asarray(batch.ids)
    y = np.asarray(batch.y)
    onehot = labels.kind == "onehot"
    if onehot and labels.sums_to_one_over is not None:
        y = np.moveaxis(y, labels.sums_to_one_over, -1)
    if set(labels.histogram) == {-1.0, 1.0}:  # the two classes of a hinge loss: -1 is no void
        y = (np.asarray(y, np.float32) > 0).astype(np.int32)
    if labels.factor is not None:
        y = np.asarray(y, np.float32) / labels.factor
    return label_ids(
        y,
        _spatial(y.shape[:-1] if onehot else y.shape, np.shape(batch.x)),
        onehot=onehot,
        void=None if void_value(ignore_label) == -1 else void_value(ignore_label),
        sample_weight=batch.sample_weight,
    )


def _spatial(labels: tuple[int, ...], inputs: tuple[int, ...]) -> tuple[int, int]:
    """(H, W) of label ids: their own; where they are flattened, the input's if it fits."""
    if len(labels) >= 3 and labels[2] > 1:
        return (labels[1], math.prod(labels[2:]))
    pixels = math.prod(labels[1:])
    if len(inputs) >= 3 and inputs[1] * inputs[2] == pixels:
        return (inputs[1], inputs[2])
    return (1, pixels)


def _input_fields(run: Run, known: Knowledge) -> dict[str, object]:
    """``input_range``, ``input_front`` and ``channel_order``, each or why it is missing."""
    from segdoctor.recorder.input_range import channel_order, input_front

    assert run.batch is not None
    order: object
    front: object
    try:
        front = input_front(run.model, run.batch.x)
    except NotExaminedError as why:
        front = Missing(str(why))
    try:
        images = known.more_images() if known.more_images is not None else run.batch.x
        order = channel_order(run.model, images)
    except NotExaminedError as why:
        order = Missing(str(why))
    return {
        "input_range": _input_range(run, known),
        "input_front": front,
        "channel_order": order,
    }


def _input_range(run: Run, known: Knowledge) -> InputRange | Missing:
    from segdoctor.measures.input_range import in_each_range, range_name
    from segdoctor.recorder.input_range import range_gaps

    assert run.batch is not None
    x = np.asarray(run.batch.x)
    if known.redraw is not None and known.declared.range_declared:
        fed = run.batch.preprocess
        inputs = {name: known.redraw(name).x for name in ("tf", "unit", "none", "torch", "caffe")}
    else:
        fed = range_name(x)
        inputs = in_each_range(x)
    if x.shape[-1] != 3:
        return Missing("the usual input ranges are those of three channels")
    try:
        gaps = range_gaps(run.model, {**inputs, fed: x})
    except NotExaminedError as why:
        return Missing(str(why))
    return InputRange(fed=fed, gaps=gaps, minimum=float(x.min()), maximum=float(x.max()))
