"""The run's loss, evaluated outside the graph as ``fit`` evaluates it inside."""

from __future__ import annotations

from typing import Any

from segdoctor.core.time_limit import TimeIsUpError, time_limit
from segdoctor.recorder.forward import Outputs, Reach
from segdoctor.recorder.graph_locks import release_locks
from segdoctor.recorder.layers import is_tf_keras

LIMIT_S = 15.0
"""Seconds that one evaluation of the loss on a batch may take, as far as Python can end it."""


class LossAsInFit:
    """``(y, outputs, sample_weight) -> scalar``: what ``compile(loss=loss)`` would make of it.

    Names, functions, loss objects, lists and dicts are taken as Keras takes them, with its
    reduction and sample weights. The model's own regularisation is not in it: see
    :meth:`total`.

    Parameters
    ----------
    loss : what a user passes to ``compile``.
    model : keras.Model or tf_keras.Model
        Decides by which Keras the loss is read.

    Raises
    ------
    TimeIsUpError
        Of a call: the loss took longer than :data:`LIMIT_S`; it is not asked again.
    """

    def __init__(self, loss: Any, model: Any) -> None:
        if is_tf_keras(model):
            import tf_keras as keras
        else:
            import keras
        self._behind: dict[tuple[Reach, str], Any] = {}
        self._stuck = ""  # why it is not asked any more
        # Whether a graph helps where it fails eagerly; None: not tried yet. Keras' own need none.
        self._in_graph_too = False if is_of_keras(single(loss)) else None
        self._loss = loss
        self._holder = keras.Sequential(name="loss_as_in_fit")
        self._holder.compile(loss=single(loss))

    @property
    def only_in_graph(self) -> bool:
        """Whether it failed eagerly and ran in a graph."""
        return bool(self._in_graph_too)

    def __call__(
        self, y: Any, outputs: Outputs, sample_weight: Any = None, reach: Reach = ""
    ) -> Any:
        """The loss of the output alone.

        ``reach`` is :attr:`TracedForward.reach`: for ``"Softmax"`` and ``"Sigmoid"`` the last
        operation is made again in a small graph, where the loss can find it.
        """
        if reach in ("Softmax", "Sigmoid") and outputs.keras_logits is not None:
            return self._in_graph(y, outputs.keras_logits, sample_weight, reach)
        return self.compute(y, outputs.y_pred, sample_weight)

    def total(self, y: Any, outputs: Outputs, sample_weight: Any = None, reach: Reach = "") -> Any:
        """The loss and the model's regularisation losses: what ``fit`` minimises."""
        import tensorflow as tf

        value = self(y, outputs, sample_weight, reach)
        return value + tf.cast(outputs.regularisation, value.dtype)

    def compute(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of ``y_pred`` as it is, in the graph that is being made or eagerly; in a graph
        of its own where it fails eagerly, for ``fit`` runs it in one."""
        import tensorflow as tf

        if self._stuck:
            raise TimeIsUpError(self._stuck)

        y = tf.nest.map_structure(tf.convert_to_tensor, y)
        if sample_weight is not None:
            sample_weight = tf.nest.map_structure(tf.convert_to_tensor, sample_weight)
        given = (y, y_pred, sample_weight)
        try:
            with time_limit(LIMIT_S):
                if self._in_graph_too and tf.executing_eagerly():
                    return tf.function(self._value, autograph=False)(*given)
                try:
                    return self._value(*given)
                except Exception as error:  # noqa: BLE001 - a stranger's loss
                    return self._once_more(error, given)
        except TimeIsUpError as why:
            self._stuck = str(why)
            raise

    def _value(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        try:
            return self._holder.compute_loss(
                x=None, y=y, y_pred=y_pred, sample_weight=sample_weight
            )
        except Exception:
            release_locks(self._loss)
            raise

    def _once_more(self, error: Exception, given: tuple[Any, ...]) -> Any:
        """In a graph, if that was not tried yet; the first error stands where that fails too."""
        import tensorflow as tf

        if self._in_graph_too is not None or not tf.executing_eagerly():
            raise error
        self._in_graph_too = False
        if isinstance(error, TimeIsUpError):
            raise error
        try:
            found = tf.function(self._value, autograph=False)(*given)
        except TimeIsUpError:
            raise
        except Exception:  # noqa: BLE001 - a stranger's loss
            raise error from None
        self._in_graph_too = True
        return found

    def _in_graph(self, y: Any, logits: Any, sample_weight: Any, reach: Reach) -> Any:
        import tensorflow as tf

        operation = tf.nn.softmax if reach == "Softmax" else tf.nn.sigmoid

        def value(y: Any, logits: Any, sample_weight: Any) -> Any:
            return self.compute(y, operation(logits), sample_weight)

        # `fit` traces it once as well; a trace for each shape.
        given = (y, logits, sample_weight)
        shapes = [getattr(part, "shape", None) for part in tf.nest.flatten(given)]
        traced = self._behind.setdefault((reach, str(shapes)), tf.function(value, autograph=False))
        return traced(*given)


def single(loss: Any) -> Any:
    """The one loss in a list or dict of one."""
    while isinstance(loss, (list, tuple, dict)) and len(loss) == 1:
        loss = next(iter(loss.values())) if isinstance(loss, dict) else loss[0]
    return loss


def is_of_keras(loss: Any) -> bool:
    """Whether the loss is one of Keras' own: a name, a function, an object."""
    if isinstance(loss, str):
        return True
    inner = getattr(loss, "fn", loss)
    module = getattr(inner, "__module__", "") or type(inner).__module__
    return module.partition(".")[0] in ("keras", "tf_keras")
