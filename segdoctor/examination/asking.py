"""Asks the run's loss and its metrics, and follows void through them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.asked import LossAtShape, MetricContract
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing
from segdoctor.measures.labels import stray_ids
from segdoctor.measures.void_trail import void_trail
from segdoctor.probes.label_values import says_several
from segdoctor.probes.loss_settings import asks_each_channel


def asked_fields(
    run: Run,
    declared: Declared,
    head: HeadFacts,
    labels: LabelFacts,
    output: Any,
    ids: Any,
    scan: ScanFacts | None,
) -> dict[str, object]:
    """``loss_contract, loss_as_run, loss_at_shape, void_trail, metrics`` of the trace.

    Parameters
    ----------
    output : array, what the model gives for the batch in inference mode.
    ids : (B, H, W), the true class ids with void.
    """
    from segdoctor.recorder.layers import package_flavour
    from segdoctor.recorder.loss_answers import ask_loss, layout_of
    from segdoctor.recorder.loss_as_run import measure_loss_as_run

    batch = run.batch
    assert batch is not None
    void = declared.ignore_label
    mark = -1 if void is None or void is False else int(void)
    contract = ask_loss(
        run.loss,
        head.channels,
        flavour=package_flavour(run.model),
        head_kind=head.kind,
        layout=layout_of(head, labels),
        strays=stray_ids(labels.histogram, head.channels) if labels.kind == "ids" else (),
    )
    said = np.asarray(ids)  # -1: no one class is said, be it void or none
    none = void is None and _none_is_an_answer(head, labels, contract)
    if none:
        ids, labels = np.where(said == -1, 0, said), replace(labels, void_rows={})
    trail = void_trail(
        np.asarray(batch.x),
        np.asarray(batch.y),
        np.asarray(ids),
        labels=labels,
        head=head,
        declared=declared,
        sample_weight=batch.sample_weight,
        truth_known=batch.ids is not None,
        scan=scan,
    )
    wanted = None if none else np.where(np.asarray(ids) == mark, -1, ids)
    metrics = _metrics(run, head, labels, output, wanted, mark)
    fields: dict[str, object] = {
        "void_trail": trail or Missing("no ignore label is known", "--ignore-label 255|none"),
        "metrics": metrics,
        "loss_contract": contract,
    }
    if "no answer within" in contract.raises:
        silent = Missing(f"the loss gave {contract.raises.partition(': ')[2] or contract.raises}")
        return fields | {"loss_as_run": silent, "loss_at_shape": silent}
    fields["loss_as_run"] = measure_loss_as_run(
        run.model, run.loss, batch.x, batch.y, batch.sample_weight, np.asarray(ids) == mark
    )
    fields["loss_at_shape"] = _at_shape(run, contract, head, labels, said, mark)
    return fields


def _none_is_an_answer(head: HeadFacts, labels: LabelFacts, contract: LossContract) -> bool:
    """Whether a pixel may be of no class at all, so that a row of zeros is no void: each channel is
    a question of its own."""
    if labels.kind != "onehot" or head.channels < 2 or set(labels.void_rows) != {"zero"}:
        return False
    return head.kind == "sigmoid" or says_several(labels) or asks_each_channel(contract)


def _at_shape(
    run: Run, contract: LossContract, head: HeadFacts, labels: LabelFacts, ids: Any, mark: int
) -> LossAtShape | Missing:
    from segdoctor.recorder.loss import LossAsInFit
    from segdoctor.recorder.loss_at_shape import ask_at_shape

    assert run.batch is not None
    try:
        return ask_at_shape(
            LossAsInFit(run.loss, run.model),
            contract,
            head,
            labels,
            run.batch.y,
            run.batch.sample_weight,
            np.asarray(ids),
            mark,
        )
    except NotExaminedError as why:
        return Missing(str(why))


def _metrics(
    run: Run, head: HeadFacts, labels: LabelFacts, output: Any, ids: Any, mark: int
) -> tuple[MetricContract, ...] | Missing:
    """``ids`` with -1 at void; None where no prediction of ids can be right everywhere."""
    from segdoctor.recorder.layers import package_flavour
    from segdoctor.recorder.metric_answers import ask_metrics

    assert run.batch is not None
    weight = run.batch.sample_weight
    where = np.zeros(0, bool) if ids is None else ids == -1
    weighted = (
        weight is not None
        and np.size(weight) == where.size
        and bool(where.any())
        and not np.asarray(weight).reshape(where.shape)[where].any()
    )
    try:
        return ask_metrics(
            run.metrics,
            head,
            labels,
            flavour=package_flavour(run.model),
            void=mark if where.any() and mark != -1 else None,
            weighted_void=weighted,
            batch=None if ids is None else (run.batch.y, output, weight, ids),
        )
    except NotExaminedError as why:
        return Missing(str(why))


def contract_of(loss: Any, channels: int) -> tuple[LossContract, Any]:
    """What a loss expects, asked by itself, and the Keras that it belongs to."""
    from segdoctor.recorder.loss_answers import ask_loss
    from segdoctor.sources.settings import keras_of

    roots = {kind.__module__.partition(".")[0] for kind in type(loss).__mro__}
    package = "tf_keras" if "tf_keras" in roots else "keras"
    flavour = "tf_keras" if package == "tf_keras" else "keras3"
    return ask_loss(loss, channels, flavour=flavour), keras_of(package)
