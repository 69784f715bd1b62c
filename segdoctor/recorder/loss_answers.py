"""Puts the loss questions to a live Keras loss, and answers with value and gradient."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.measured import Answer, HeadFacts, LabelFacts, LossContract
from segdoctor.measures.loss_questions import interview, loss_questions
from segdoctor.measures.loss_sheet import Question, Sheet
from segdoctor.measures.stock_names import is_stock_loss
from segdoctor.recorder.clerk import QUESTION_LIMIT_S, TOTAL_LIMIT_S, Clerk
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit, is_of_keras, single
from segdoctor.recorder.loss_graph import graph_facts

SMALL, LARGE = (4, 6), (33, 40)
"""Pixels of the first interview, and of a second one for losses that look at a neighbourhood."""

_KERAS = ("keras", "tf_keras")

_ASKED: dict[str, LossContract] = {}
"""What Keras' own losses have answered in this process: they answer the same again."""

_MOST_PIXELS = 1 << 18
"""Pixels of a batch up to which a loss that refuses small arrays is asked with arrays like it."""


_FLOATS = ("float32", "float64")


class Layout(NamedTuple):
    """How the run lays its output out: ``pixel_axes`` 2 (H, W) or 1 (H·W), channels last or first;
    ``shape`` of the batch's pixels (B, H, W), where known; ``fed``: layout of the labels;
    ``dtype``: their type, where they are no whole numbers by type."""

    pixel_axes: int = 2
    channels_first: bool = False
    shape: tuple[int, ...] = ()
    fed: str = ""
    dtype: str = ""


def layout_of(head: HeadFacts, labels: LabelFacts | None = None) -> Layout:
    """The layout of a measured head, and of the labels that are fed."""
    axis = head.class_axis % len(head.shape)
    pixels = head.shape[:axis] + head.shape[axis + 1 :]
    fed = dtype = ""
    if labels is not None:
        dtype = labels.dtype if labels.dtype in _FLOATS else ""
        known = {pixels: "BHW", (*pixels, 1): "BHW1"}
        fed = "BHWC" if labels.kind == "onehot" else known.get(labels.shape, "")
    return Layout(len(pixels) - 1, axis == 1 and len(head.shape) > 2, pixels, fed, dtype)


def ask_loss(
    loss: Any,
    channels: int,
    *,
    flavour: str = "keras3",
    head_kind: str | None = None,
    layout: Layout | None = None,
    strays: tuple[int, ...] = (),
    limit_s: float = QUESTION_LIMIT_S,
    total_s: float = TOTAL_LIMIT_S,
) -> LossContract:
    """Find out by experiment what a loss expects.

    It is asked eagerly, and in a ``tf.function`` where it needs one; where it refuses small arrays
    or sees nothing of them, with larger ones, and with arrays of the batch's own shape.

    Parameters
    ----------
    loss : str, function or Loss object, as given to ``compile``
        A list or dict with one entry is taken as that entry.
    channels : int
        Output channels of the model.
    flavour : str
        ``"keras3"``, or another flavour of which every one but Keras 3 is asked by tf_keras.
    head_kind : str, optional
        Kind of the model's output.
    layout : Layout, optional
    strays : tuple of int
        Ids of the labels that are no class of the head, as
        :func:`segdoctor.measures.labels.stray_ids` finds them.
    limit_s, total_s : float
        Seconds for one question, and for all. Then no more are asked. The thread that still
        computes is left behind: Python cannot stop it.

    Returns
    -------
    LossContract
    """
    loss = single(loss)
    layout = layout or Layout()
    name = loss_name(loss)
    key = equal_for(loss, name, channels, flavour, head_kind, layout, strays)
    if key is not None and key in _ASKED:
        return _ASKED[key]
    start = time.perf_counter()
    contract: LossContract | None = None
    drawn: dict[str, Any] = {}
    value_of, holders = _value_of(loss, flavour, layout)
    answer = _answering(loss, value_of)
    for settings in _attempts(layout):
        ask = Clerk(answer, limit_s, total_s - (time.perf_counter() - start))
        questions = loss_questions(
            channels,
            name=name,
            head_kind=head_kind,
            fed=layout.fed,
            strays=strays,
            **settings,
        )
        found = interview(ask, questions)
        ask.dismiss()
        if contract is None or _tells_more(found, contract):
            contract, drawn = found, settings
        if found.forms or ask.stuck:
            break
    assert contract is not None
    seconds = time.perf_counter() - start
    facts = dict(contract.facts) | {"seconds": seconds, "pixel_axes": layout.pixel_axes}
    if hasattr(loss, "update_state") and hasattr(loss, "result"):
        facts["metric_object"] = True
    facts["stock" if is_of_keras(loss) else "home_made"] = True
    if any(holder.only_in_graph for holder in holders.values()):
        facts["only_in_graph"] = True
    if (contract.forms or contract.raises) and not ask.stuck:
        sheet = Sheet.draw(channels, seed=0, **drawn)
        form = str(contract.facts.get("asked_form", layout.fed or sheet.forms()[0]))
        facts |= graph_facts(value_of, sheet, form, any_batch="stock" not in facts)
    contract = replace(contract, facts=facts)
    if key is not None and not ask.stuck:
        _ASKED[key] = contract
    return contract


def equal_for(loss: Any, *asked: Any) -> str | None:
    """The same for losses that answer ``asked`` alike: Keras' own, by name and settings. None for
    any other, which may remember or read what another one does not."""
    if isinstance(loss, str):  # it may also be a name that the user has registered
        return repr((loss, asked)) if is_stock_loss(loss) else None
    if not is_of_keras(loss) or type(loss).__module__.partition(".")[0] not in _KERAS:
        return None  # a function, or a class of the user's own around one of Keras'
    if "call" in vars(loss) or "__call__" in vars(loss):
        return None
    # Not all settings are in the configuration: the axis of a CosineSimilarity is not.
    plain = {name: v for name, v in vars(loss).items() if isinstance(v, str | int | float | tuple)}
    kwargs = getattr(loss, "_fn_kwargs", None)
    return repr((type(loss), loss.get_config(), plain, kwargs, asked))


def _tells_more(found: LossContract, before: LossContract) -> bool:
    """Whether a further interview ran where the one before failed, or was understood where that
    one was not: a loss that crops, or looks at edges, sees nothing of small arrays."""
    return (bool(before.raises) and not found.raises) or (bool(found.forms) and not before.forms)


def _attempts(layout: Layout) -> list[dict[str, Any]]:
    """Settings of the interview, in the order in which they are tried."""
    flat = layout.pixel_axes == 1
    small = {"spatial": (SMALL[0] * SMALL[1],) if flat else SMALL}
    large = {"spatial": (LARGE[0] * LARGE[1],) if flat else LARGE}
    attempts: list[dict[str, Any]] = [small, large]
    if layout.shape and int(np.prod(layout.shape)) <= _MOST_PIXELS:
        own = {"batch": layout.shape[0], "spatial": layout.shape[1:], "exact": True}
        attempts.append(own)
    return attempts


def loss_name(loss: Any) -> str:
    """The name a user knows a loss by."""
    if isinstance(loss, str):
        return clean(loss, 80)
    inner = getattr(loss, "fn", None)
    if type(loss).__name__ == "LossFunctionWrapper" and inner is not None:
        loss = inner
    return clean(getattr(loss, "__name__", type(loss).__name__), 80)


def _value_of(
    loss: Any, flavour: str, layout: Layout
) -> tuple[Callable[[Any, Any, Any], Any], dict[tuple[Any, ...], LossAsInFit]]:
    """``(y_true, y_pred, sample_weight) -> scalar tensor`` as ``fit`` has it, channels moved to
    where the run has them; and the losses that it makes of ``loss`` meanwhile."""
    import tensorflow as tf

    if flavour == "keras3":
        import keras
    else:
        import tf_keras as keras

    made: dict[tuple[Any, ...], LossAsInFit] = {}

    def as_in_fit(y_true: Any, y_pred: Any) -> LossAsInFit:
        # One for each kind of shapes: Keras fixes some names by the first shapes it sees.
        kind = (y_true.shape.rank, y_true.shape[-1] == y_pred.shape[-1], y_pred.shape.rank)
        if kind not in made:
            with tf.init_scope():  # it has variables, which no graph may make
                made[kind] = LossAsInFit(loss, keras.Sequential())
        return made[kind]

    def value(y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        if layout.dtype:
            y_true = tf.cast(y_true, layout.dtype)
        if layout.channels_first:
            if y_true.shape.rank == y_pred.shape.rank and y_true.shape[-1] == y_pred.shape[-1]:
                y_true = _channels_first(y_true)
            y_pred = _channels_first(y_pred)
        holder = as_in_fit(y_true, y_pred)
        return tf.reduce_sum(holder(y_true, Outputs(y_pred, None, None), sample_weight))

    return value, made


def _channels_first(tensor: Any) -> Any:
    import tensorflow as tf

    axes = list(range(tensor.shape.rank))
    return tf.transpose(tensor, [0, axes[-1], *axes[1:-1]])


def _answering(loss: Any, value_of: Callable[[Any, Any, Any], Any]) -> Callable[[Question], Answer]:
    """The function that answers one question about ``loss``, as ``fit`` calls it."""
    import tensorflow as tf

    state = [(variable, variable.numpy()) for variable in getattr(loss, "variables", ())]

    def asked(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(y_pred)
            value = value_of(y_true, y_pred, sample_weight)
        return value, tape.gradient(value, y_pred)

    def answer(question: Question) -> Answer:
        weight = question.sample_weight
        weight = None if weight is None else tf.constant(weight)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, gradient = asked(
                tf.constant(question.y_true), tf.constant(question.y_pred), weight
            )
        if gradient is not None:
            gradient = np.asarray(tf.convert_to_tensor(gradient))
        for variable, before in state:
            variable.assign(before)
        return Answer(question.name, float(value), gradient)

    return answer
