"""From an opened model and the user's settings to the run that is examined, with its batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.core.trace import Missing
from segdoctor.examination import feeding, recording, settling
from segdoctor.examination.opening import Opened
from segdoctor.examination.request import Request
from segdoctor.measures.drawing import VOID
from segdoctor.measures.labels import count_values, stray_ids

STAND_IN_RATE = 1e-3
CLEARLY_BETTER = 0.67


@dataclass(frozen=True, slots=True)
class Prepared:
    """The run, the batch with the means to draw it again, and what is told of them."""

    run: Run
    fed: feeding.Fed | None
    knowledge: recording.Knowledge
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def prepare(
    request: Request,
    opened: Opened,
    settled: settling.Settled,
    scan: ScanFacts | None,
    declared: Declared,
) -> Prepared:
    """Make the model small where it is fed from a folder, draw the batch, fill in stand-ins."""
    facts: dict[str, Any] = {
        "trainable_parameters": _trainable(opened.model),
        **settled.provenance,
    }
    model, notes = _small(request, opened.model, scan)
    fed = _fed(request, model, settled, scan, declared)
    whole = len(fed.batch.x) if fed and fed.batch.source == "dataset" else None
    replicas = opened.replicas
    if fed and scan is None and replicas > 1:
        fed, facts["replicas"] = _share(fed, declared, replicas)
    batch = fed.batch if fed else None
    void, by = feeding.void_of(request, batch, scan, settled.ignores)
    if void is None and batch is not None:
        void, by = _left_out_by(settled.loss, model, batch)
    loss, optimizer = settled.loss, settled.optimizer
    declared = replace(
        declared,
        ignore_label=void,
        ignore_declared_by=by,
        source=batch.source if batch else "none",
        batch_size=declared.batch_size or whole,
        replicas=replicas,
        encoding_declared=batch.declared_encoding if batch else False,
        range_declared=batch.declared_range if batch else False,
        loss_stand_in=loss is None,
        why_no_loss=settled.why_no_loss,
    )
    if loss is None and batch is not None:
        loss, words = _stand_in(model, batch, declared)
        facts["loss"] = f"{words} (a stand-in: {settled.why_no_loss})"
    if optimizer is None:
        optimizer = _adam(model)
        facts["optimizer"] = (
            f"Adam, rate {STAND_IN_RATE:g} (a stand-in: {settled.why_no_optimizer})"
        )
    run = Run(
        model=model,
        batch=batch,
        loss=loss,
        optimizer=optimizer,
        metrics=settled.metrics,
        num_classes=request.num_classes,
        ignore_label=void,
        ignore_declared_by=by,
        epochs=request.epochs,
        steps_per_epoch=request.steps_per_epoch,
        custom_objects=request.custom_objects,
        flavour=declared.flavour,
        provenance=settled.provenance,
        seed=request.seed,
    )
    knowledge = recording.Knowledge(
        declared=declared,
        fields=_known_fields(opened, settled, scan, fed),
        optimizer_known=settled.optimizer is not None,
        why_no_optimizer=settled.why_no_optimizer,
        redraw=fed.redraw if fed else None,
        restore=fed.restore if fed else None,
        draws=fed.draws if fed else None,
        more_images=fed.more_images if fed else None,
    )
    facts |= _batch_facts(opened.model, model, batch, void, by)
    return Prepared(run, fed, knowledge, facts, (*notes, *(fed.notes if fed else ())))


def _share(fed: feeding.Fed, declared: Declared, replicas: int) -> tuple[feeding.Fed, str]:
    """What one of several replicas is fed, and that in words."""
    taken = len(fed.batch.x)
    # Of arrays, fewer than a batch may have been taken.
    whole = declared.batch_size or taken
    share = min(taken, max(-(-whole // replicas), 1))
    draws = fed.draws and replace(fed.draws, draw=_first_of(fed.draws.draw, share))
    words = f"{replicas}, examined as the first of them runs it: {share} of {whole} examples"
    return replace(fed, batch=fed.batch.first(share), draws=draws), words


def _first_of(draw: Callable[[], Batch], count: int) -> Callable[[], Batch]:
    return lambda: draw().first(count)


def _small(request: Request, model: Any, scan: ScanFacts | None) -> tuple[Any, tuple[str, ...]]:
    """The model at the size of the trial's crop, where segdoctor draws the batch itself."""
    from segdoctor.recorder.smaller import smaller

    if scan is None:
        return model, ()
    crop = (request.trial.crop if request.trial else None) or feeding.CROP
    try:
        return smaller(model, crop), ()
    except NotExaminedError as why:
        return model, (f"{why}; it is examined at its own size",)


def _fed(
    request: Request,
    model: Any,
    settled: settling.Settled,
    scan: ScanFacts | None,
    declared: Declared,
) -> feeding.Fed | None:
    from segdoctor.recorder.layers import package_flavour
    from segdoctor.recorder.loss_answers import ask_loss

    if request.data is None:
        return None
    if scan is None:
        return feeding.from_objects(request)
    channels = int(model.output_shape[-1])
    takes = "ids"
    if settled.loss is not None and request.labels is None:
        contract = ask_loss(settled.loss, channels, flavour=package_flavour(model))
        takes = "onehot" if contract.labels == "onehot" else "ids"
    void, _ = feeding.void_of(request, None, scan, settled.ignores)
    return feeding.from_folder(
        request,
        scan,
        model,
        classes=request.num_classes or max(channels, 2),
        takes=takes,
        void=void,
        ranges=lambda inputs: choose_range(model, inputs),
    )


def _left_out_by(loss: Any, model: Any, batch: Batch) -> tuple[int | None, str]:
    """The value of the labels that is no class and to which a loss of the user's own gives no
    gradient: a usual void value, else one that it leaves out on purpose."""
    from segdoctor.recorder.layers import package_flavour
    from segdoctor.recorder.loss import is_of_keras
    from segdoctor.recorder.loss_answers import ask_loss

    y = np.asarray(batch.y)
    if loss is None or is_of_keras(loss) or y.dtype.kind not in "biuf":
        return None, ""
    if not (y.max(initial=0) > 1 or y.min(initial=0) < 0):
        return None, ""
    channels = _channels(model, batch)
    if channels is None or channels > VOID or y.shape[-1] == channels:
        return None, ""
    strays = stray_ids(count_values(y)[0], channels)
    if not strays:
        return None, ""
    contract = ask_loss(loss, channels, flavour=package_flavour(model), strays=strays)
    usual = [void for void in (VOID, -1) if (y == void).any() and void in contract.ignores]
    left_out = [*usual, *(int(value) for value in str(contract.facts.get("masked", "")).split())]
    return (left_out[0], "loss") if left_out else (None, "")


def _channels(model: Any, batch: Batch) -> int | None:
    """Output channels of a net of one output; of a subclassed one by a forward pass."""
    from segdoctor.recorder.forward import TracedForward

    try:
        channels = model.output_shape[-1]
    except (AttributeError, RuntimeError):  # a subclassed net has none
        outputs = TracedForward(model, False, eager=True)(batch.x[:1])
        channels = getattr(outputs.y_pred, "shape", (None,))[-1]
    return channels if isinstance(channels, int) else None


def _stand_in(model: Any, batch: Batch, declared: Declared) -> tuple[Any, str]:
    """A right loss for the head and the labels, where the run has none that is known."""
    from segdoctor.recorder.forward import TracedForward
    from segdoctor.recorder.head import measure_head
    from segdoctor.recorder.layers import package_flavour
    from segdoctor.recorder.live_graph import live_graph
    from segdoctor.recorder.modes import first_output
    from segdoctor.recorder.stand_in import right_loss

    output = first_output(TracedForward(model, False, eager=True)(batch.x[:1]).y_pred)
    head = measure_head(model, np.asarray(output), live_graph(model, declared.flavour), batch.x)
    labels = recording.labels_as_fed(batch.y, declared, np.asarray(output))
    return right_loss(head, labels, declared.ignore_label, package_flavour(model))


def _adam(model: Any) -> Any:
    from segdoctor.recorder.surgery import keras_of

    return keras_of(model).optimizers.Adam(STAND_IN_RATE)


def _known_fields(
    opened: Opened, settled: settling.Settled, scan: ScanFacts | None, fed: feeding.Fed | None
) -> dict[str, object]:
    compiled = opened.compiled or settling.compile_facts(settled)
    held: dict[str, object] = {
        "code": opened.facts.code if opened.facts is not None else (),
        "not_loadable": (),
        "compiled": compiled or Missing(settling.NO_SETTINGS, "--loss, --optimizer"),
        "stream": (fed and fed.stream) or Missing(feeding.NO_STREAM, "data= with batches"),
        "against_files": (fed and fed.against) or Missing(feeding.NO_OWN_DATA, "data=, files="),
        "fed": (fed and fed.examples) or Missing(feeding.NO_OWN_DATA, "data="),
    }
    return held | {"scan": scan or Missing(feeding.NO_FOLDER)}


def _batch_facts(
    whole: Any, model: Any, batch: Batch | None, void: int | bool | None, by: str
) -> dict[str, Any]:
    if batch is None:
        return {"batch": "none: no data was given (--data)"}
    shape = " × ".join(str(n) for n in np.asarray(batch.x).shape)
    small = ""
    if whole is not model:
        old = " × ".join(str(n) for n in whole.input_shape[1:3])
        small = f", the model made smaller from {old}"
    told = "none" if void is False else "unknown" if void is None else f"{void} (from the {by})"
    return {
        "batch": f"{shape}{small}",
        "preprocess": batch.preprocess,
        "encoding": batch.encoding,
        "ignore_label": told,
    }


def choose_range(model: Any, inputs: Mapping[str, Any]) -> tuple[str, str]:
    """The preprocessing that the first BN's statistics describe best, and why."""
    from segdoctor.recorder.input_range import range_gaps

    front = [type(layer).__name__ for layer in model.layers[:4]]
    if "Rescaling" in front or "Normalization" in front:
        return "none", "the model scales its input itself"
    try:
        gaps = range_gaps(model, inputs)
    except NotExaminedError:
        return "tf", "the usual one; nothing in the model tells"
    best = min(gaps, key=lambda name: gaps[name])
    if gaps[best] > CLEARLY_BETTER * gaps["tf"]:
        return "tf", "the usual one; no other fits the first batch normalisation clearly better"
    return best, f"the first batch normalisation's statistics fit it best, gap {gaps[best]:.2f}"


def _trainable(model: Any) -> int:
    return int(sum(int(np.prod(tuple(v.shape))) for v in model.trainable_variables))
