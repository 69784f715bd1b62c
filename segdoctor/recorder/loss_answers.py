"""Puts the loss questions to a live Keras loss, and answers with value and gradient."""

from __future__ import annotations

import queue
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.measured import Answer, LossContract
from segdoctor.measures.loss_questions import interview, loss_questions
from segdoctor.measures.loss_sheet import Question
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit

QUESTION_LIMIT_S = 5.0
LARGE = (33, 40)
"""Pixels of the second interview, for losses that look at a neighbourhood of each pixel."""

_TELLING = ("Received a label value", "must have the same", "Incompatible shapes", "shapes")


def ask_loss(
    loss: Any,
    channels: int,
    *,
    flavour: str = "keras3",
    head_kind: str | None = None,
    limit_s: float = QUESTION_LIMIT_S,
) -> LossContract:
    """Find out by experiment what a loss expects.

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
    limit_s : float
        Seconds after which a question counts as unanswered; then no more are asked. The thread
        that still computes is left behind: Python cannot stop it.

    Returns
    -------
    LossContract
    """
    loss = _single(loss)
    name = loss_name(loss)
    ask = _Clerk(_answering(loss, flavour), limit_s)
    contract = interview(ask, loss_questions(channels, name=name, head_kind=head_kind))
    if contract.raises and not ask.stuck:
        larger = loss_questions(channels, name=name, head_kind=head_kind, spatial=LARGE)
        again = interview(ask, larger)
        return contract if again.raises else again
    return contract


def loss_name(loss: Any) -> str:
    """The name a user knows a loss by."""
    if isinstance(loss, str):
        return clean(loss, 80)
    inner = getattr(loss, "fn", None)
    if type(loss).__name__ == "LossFunctionWrapper" and inner is not None:
        loss = inner
    return clean(getattr(loss, "__name__", type(loss).__name__), 80)


def error_line(error: BaseException) -> str:
    """An exception as one line: the sentence that says what is wrong, if there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = next((line for line in lines if any(part in line for part in _TELLING)), None)
    line = telling or (lines[0] if lines else "")
    if "Received a label value" in line:
        line = line[line.index("Received a label value") :].partition("  Label values")[0]
    return clean(f"{type(error).__name__}: {line}".rstrip(": "), 300)


def _single(loss: Any) -> Any:
    """The one loss in a list or dict of one."""
    while isinstance(loss, (list, tuple, dict)) and len(loss) == 1:
        loss = next(iter(loss.values())) if isinstance(loss, dict) else loss[0]
    return loss


def _answering(loss: Any, flavour: str) -> Callable[[Question], Answer]:
    """The function that answers one question about ``loss``, eagerly, as ``fit`` calls it."""
    import tensorflow as tf

    if flavour == "keras3":
        import keras
    else:
        import tf_keras as keras
    state = [(variable, variable.numpy()) for variable in getattr(loss, "variables", ())]

    def answer(question: Question) -> Answer:
        y_pred = tf.constant(question.y_pred)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(y_pred)
            # Made anew for each question: Keras fixes some names by the first shapes it sees.
            as_in_fit = LossAsInFit(loss, keras.Sequential())
            value = as_in_fit(tf.constant(question.y_true), Outputs(y_pred, None, None))
            value = tf.reduce_sum(value)
        gradient = tape.gradient(value, y_pred)
        if gradient is not None:
            gradient = np.asarray(tf.convert_to_tensor(gradient))
        for variable, before in state:
            variable.assign(before)
        return Answer(question.name, float(value), gradient)

    return answer


class _Clerk:
    """Asks in a thread of its own, so that a loss that never returns does not hold up the rest."""

    def __init__(self, answer: Callable[[Question], Answer], limit_s: float) -> None:
        self._answer = answer
        self._limit_s = limit_s
        self._asked: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.stuck = False
        threading.Thread(target=self._work, daemon=True, name="segdoctor-loss").start()

    def __call__(self, question: Question) -> Answer:
        if self.stuck:
            return Answer(question.name, None, error="not asked: an earlier question timed out")
        self._asked.put(question)
        try:
            return self._answered.get(timeout=self._limit_s)
        except queue.Empty:
            self.stuck = True
            error = f"no answer within {self._limit_s:g} s"
            return Answer(question.name, None, error=error, seconds=self._limit_s)

    def _work(self) -> None:
        while True:
            question = self._asked.get()
            start = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    answer = self._answer(question)
            except Exception as error:  # noqa: BLE001 - a stranger's loss may raise anything
                answer = Answer(question.name, None, error=error_line(error))
            seconds = time.perf_counter() - start
            self._answered.put(
                Answer(question.name, answer.value, answer.gradient, answer.error, seconds)
            )
