"""Puts the metric questions to live Keras metrics, and answers as ``fit`` would compute them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.asked import MetricContract
from segdoctor.core.clean import clean
from segdoctor.core.error_line import error_line
from segdoctor.core.measured import Answer, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.metric_questions import Fed, Question, hold, metric_questions
from segdoctor.recorder.clerk import Clerk

QUESTION_LIMIT_S, TOTAL_LIMIT_S = 5.0, 15.0
_ROWS = {"zero": "zero", "255": "255", "one channel 255": "255"}


def ask_metrics(
    metrics: Iterable[tuple[Any, bool]],
    head: HeadFacts,
    labels: LabelFacts,
    *,
    flavour: str = "keras3",
    void: int | None = None,
    weighted_void: bool = False,
    batch: tuple[Any, Any, Any, Any] | None = None,
) -> tuple[MetricContract, ...]:
    """Find out what each metric of the run gives for predictions of known quality.

    Parameters
    ----------
    metrics : (metric, weighted) pairs
        As given to ``compile(metrics=…)``, or to ``weighted_metrics`` where ``weighted``. Their
        state is afterwards what it was.
    void : int, optional
        The ignore label; ``weighted_void``: its pixels have sample weights of 0.
    batch : (y, y_pred, sample_weight, ids), optional
        The real batch, its output, and its true ids with −1 at void.

    Raises
    ------
    NotExaminedError
        The labels are of a kind that no question is made for.
    """
    fed = fed_as(head, labels, void, weighted_void)
    dtype = labels.dtype if labels.dtype.startswith("float") else ""  # as the metric gets them
    return tuple(
        _ask(metric, weighted, head, fed, flavour, batch, dtype) for metric, weighted in metrics
    )


def fed_as(head: HeadFacts, labels: LabelFacts, void: int | None, weighted_void: bool) -> Fed:
    """How the run feeds its metrics."""
    kind = head.kind if head.kind in ("logits", "softmax", "sigmoid") else "softmax"
    if head.channels == 1:
        form = "BHW1" if labels.shape[-1:] == (1,) else "BHW"
        kind = "logits" if kind == "logits" else "sigmoid"
    elif labels.kind == "onehot":
        form = "BHWC"
    elif labels.kind in ("ids", "binary"):
        form = "BHW1" if labels.shape[-1:] == (1,) else "BHW"
    else:
        raise NotExaminedError("the labels are neither ids nor one-hot")
    way = ""
    if weighted_void:
        way = "weight"
    elif form != "BHWC":
        way = "id" if void is not None and float(void) in labels.histogram else ""
    elif labels.void_rows:
        most = max(labels.void_rows, key=lambda name: labels.void_rows[name])
        way = _ROWS.get(most, "")
    return Fed(kind, form, way, 255 if void is None else void, flat=len(head.shape) == 3)


def metric_name(metric: Any) -> str:
    """The name a user knows a metric by."""
    if isinstance(metric, str):
        return clean(metric, 80)
    if hasattr(metric, "update_state"):
        inner = getattr(metric, "_fn", None)
        wrapped = type(metric).__name__ == "MeanMetricWrapper" and inner is not None
        return clean(getattr(inner, "__name__", "") if wrapped else type(metric).__name__, 80)
    return clean(getattr(metric, "__name__", type(metric).__name__), 80)


def _ask(
    metric: Any,
    weighted: bool,
    head: HeadFacts,
    fed: Fed,
    flavour: str,
    batch: tuple[Any, Any, Any, Any] | None,
    dtype: str,
) -> MetricContract:
    start = time.perf_counter()
    name = metric_name(metric)
    state = [(v, v.numpy()) for v in getattr(metric, "variables", ())]
    try:
        first = _channels_first(head)
        answer = _answering(metric, weighted, flavour, channels_first=first, dtype=dtype)
    except Exception as error:  # noqa: BLE001 - a stranger's metric may raise anything
        return MetricContract(name, raises=error_line(error))
    ask: Clerk[Question] = Clerk(answer, QUESTION_LIMIT_S, TOTAL_LIMIT_S)
    contract = hold(ask, metric_questions(head.channels, fed, name=name))
    if ask.stuck:
        contract = MetricContract(name, facts={"unasked": True})
    elif batch is not None:
        contract = replace(contract, on_batch=_on_batch(ask, head, fed, batch))
    ask.dismiss()
    for variable, before in state:
        variable.assign(before)
    facts = {**contract.facts, "weighted": weighted, "stateful": hasattr(metric, "update_state")}
    known = getattr(metric, "num_classes", None)
    if isinstance(known, int) and not hasattr(metric, "threshold") and known < head.channels:
        facts["classes_it_knows"] = float(known)
    return replace(contract, facts=facts, seconds=time.perf_counter() - start)


def _on_batch(
    ask: Clerk[Question], head: HeadFacts, fed: Fed, batch: tuple[Any, Any, Any, Any]
) -> dict[str, float | None]:
    """The real labels with a perfect prediction, with the most frequent class everywhere, and with
    what the model says."""
    y, y_pred, weight, ids = batch
    ids = np.asarray(ids).reshape(-1)
    valid = ids >= 0
    if ids.size * head.channels != int(np.prod(head.shape)) or not valid.any():
        return {}
    most = int(np.bincount(ids[valid]).argmax())
    found: dict[str, float | None] = {"background_class": float(most)}
    made = {"right": np.where(valid, ids, most), "background": np.full_like(ids, most)}
    for name, said in made.items():
        rows = _sure(said, head, fed.kind)
        rows = rows.reshape(*_pixels(head), head.channels)
        found[name] = ask(Question(name, ((_last(y, head), rows, weight),))).value
    y, y_pred = _last(y, head), _last(y_pred, head)
    found["now"] = ask(Question("now", ((y, np.asarray(y_pred, np.float32), weight),))).value
    return found


def _channels_first(head: HeadFacts) -> bool:
    return head.class_axis % len(head.shape) != len(head.shape) - 1


def _pixels(head: HeadFacts) -> tuple[int, ...]:
    axis = head.class_axis % len(head.shape)
    return head.shape[:axis] + head.shape[axis + 1 :]


def _last(array: Any, head: HeadFacts) -> Any:
    """Labels or output with the classes last, as all questions have them."""
    array = np.asarray(array)
    if not _channels_first(head) or array.ndim != len(head.shape) or array.shape[1:2] == (1,):
        return array
    return np.moveaxis(array, 1, -1)


def _sure(ids: Any, head: HeadFacts, kind: str) -> Any:
    low, high = (-12.0, 12.0) if kind == "logits" else (0.0, 1.0)
    if head.channels == 1:
        return np.where(ids == 1, high, low).astype(np.float32)[:, None]
    rows = np.full((ids.size, head.channels), low, np.float32)
    rows[np.arange(ids.size), np.clip(ids, 0, head.channels - 1)] = high
    return rows


def _answering(
    metric: Any, weighted: bool, flavour: str, *, channels_first: bool = False, dtype: str = ""
) -> Callable[[Question], Answer]:
    """``channels_first``: what has classes is handed over as the run has it, classes on axis 1;
    ``dtype`` of the labels, "" where they are asked as they come."""
    import tensorflow as tf

    if flavour == "keras3":
        import keras
    else:
        import tf_keras as keras

    def compiled() -> Any:
        holder = keras.Sequential(name="metric_as_in_fit")
        kind = "weighted_metrics" if weighted else "metrics"
        holder.compile(optimizer="sgd", loss="mse", **{kind: [metric]})
        return holder

    compiled()  # an unknown name is told at once
    made: dict[tuple[Any, ...], Any] = {}

    def answer(question: Question) -> Answer:
        first = [np.shape(array) for array in question.batches[0][:2]]
        shapes = (len(first[0]), len(first[1]), first[0][-1] == first[1][-1])
        if shapes not in made:
            made[shapes] = compiled()
        holder = made[shapes]
        holder.reset_metrics()
        if hasattr(metric, "reset_state"):
            metric.reset_state()  # a holder that was never asked knows no metric yet
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for y_true, y_pred, weight in question.batches:
                if channels_first:
                    y_true, y_pred = _to_first(y_true, y_pred)
                results = holder.compute_metrics(
                    None,
                    tf.constant(y_true, dtype or None),
                    tf.constant(y_pred),
                    None if weight is None else tf.constant(weight),
                )
        values = [v for key, v in results.items() if key != "loss"]
        value = float(np.mean(np.asarray(values[0]))) if values else None
        return Answer(question.name, value)

    return answer


def _to_first(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    if np.ndim(y_true) == np.ndim(y_pred):
        y_true = np.moveaxis(y_true, -1, 1)
    return y_true, np.moveaxis(y_pred, -1, 1) if np.ndim(y_pred) > 3 else y_pred
