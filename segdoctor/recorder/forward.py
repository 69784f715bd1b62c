"""One traced forward pass that serves every loss, label and optimizer.

Only the network is traced. The loss is evaluated outside, eagerly, so that exchanging the loss or
the optimizer costs no new trace; what Keras would find by reaching back behind the last softmax
or sigmoid *inside* the graph of ``fit`` is handed out beside the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from segdoctor.recorder.layers import is_tf_keras, tf_variable

Reach = Literal["", "attribute", "Softmax", "Sigmoid"]

# Keras' losses that look for these operations behind the output they are given.
_OPERATIONS: tuple[Reach, ...] = ("Softmax", "Sigmoid")


class Outputs(NamedTuple):
    """What one pass gave.

    ``y_pred`` : tensor (B, H, W, C), or the model's structure of tensors. Where the last layer
    left Keras' way back to the logits, it stands at ``y_pred._keras_logits``, as in ``fit``.
    ``keras_logits`` : that tensor (of a structure: a list, None where there is none), or None.
    ``regularisation`` : scalar, the sum of ``model.losses``.
    """

    y_pred: Any
    keras_logits: Any
    regularisation: Any


@contextmanager
def quick_tracing() -> Iterator[None]:
    """Grappler's meta-optimizer off: a first call takes half the time, a step a tenth more.

    Wrap the forward *and* the gradient call in it; the setting is part of what TensorFlow caches.
    """
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


class TracedForward:
    """``x -> Outputs`` of a model in one mode, traced once per input shape.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    training : bool or None
        The mode in which ``fit`` (True) or ``predict`` (False) calls the model; None: none is
        given, as in ``model(x)``.
    eager : bool
        No trace: cheaper below about five calls.
    keeps : bool
        What the call makes of the state (moving statistics, seeds) is kept. With False Keras 3
        leaves it as it was.
    reads : dict
        ``id`` of a variable → the tensor that was read of it, shared by the passes of one trace:
        TensorFlow computes only once what two of them have in common. Keras 3 only.

    Notes
    -----
    Gradients stop at the input and, under Keras 3, at variables that are frozen when the trace is
    made, so that a frozen backbone costs no backward pass. Make a new object after changing
    ``trainable``.
    """

    def __init__(
        self,
        model: Any,
        training: bool | None,
        *,
        eager: bool = False,
        keeps: bool = True,
        reads: dict[int, Any] | None = None,
    ) -> None:
        self.model = model
        self.training = training
        self.eager = eager
        self._keeps = keeps
        self._reads = reads
        self.reach: Reach = ""
        self._traced: Any = None

    def __call__(self, x: Any) -> Outputs:
        import tensorflow as tf

        x = tf.nest.map_structure(tf.convert_to_tensor, x)
        if self.eager:
            y_pred, logits, regularisation = self.parts(x)
        else:
            with quick_tracing():
                y_pred, logits, regularisation = self._call_traced(x)
        flat = tf.nest.flatten(y_pred)
        for output, behind in zip(flat, logits, strict=True):
            if behind is not None and self.reach == "attribute":
                output._keras_logits = behind
        if not any(behind is not None for behind in logits):
            return Outputs(y_pred, None, regularisation)
        return Outputs(y_pred, logits[0] if len(logits) == 1 else logits, regularisation)

    def trainable_variables(self) -> list[Any]:
        """The ``tf.Variable`` objects that ``fit`` would train, in Keras' order."""
        return [tf_variable(variable) for variable in self.model.trainable_variables]

    def _call_traced(self, x: Any) -> Any:
        import tensorflow as tf

        if self._traced is None:
            self._traced = tf.function(self.parts, autograph=False, reduce_retracing=True)
            try:
                return self._traced(x)
            except tf.errors.OperatorNotAllowedInGraphError:
                # A layer written with Python's `if` over tensors: only autograph can trace it.
                self._traced = tf.function(self.parts, autograph=True, reduce_retracing=True)
        return self._traced(x)

    def parts(self, x: Any) -> tuple[Any, list[Any], Any]:
        """``(y_pred, logits of each output or None, regularisation)`` for tensors, in the graph
        that is being made or eagerly."""
        import tensorflow as tf

        if is_tf_keras(self.model):
            y_pred, losses = self._plain_call(x)
        else:
            y_pred, losses = self._stopped_call(x)
        regularisation = tf.constant(0.0)
        for loss in losses:
            regularisation += tf.cast(tf.reduce_sum(tf.convert_to_tensor(loss)), tf.float32)
        return y_pred, [self._behind(output) for output in tf.nest.flatten(y_pred)], regularisation

    def _plain_call(self, x: Any) -> tuple[Any, list[Any]]:
        y_pred = self._called(x)
        return y_pred, list(self.model.losses)

    def _called(self, x: Any) -> Any:
        return self.model(x) if self.training is None else self.model(x, training=self.training)

    def _stopped_call(self, x: Any) -> tuple[Any, list[Any]]:
        """Keras 3: the call with gradients stopped at whatever ``fit`` does not train."""
        import tensorflow as tf
        from keras import StatelessScope

        x = tf.nest.map_structure(tf.stop_gradient, x)
        trained = {id(variable) for variable in self.model.trainable_variables}
        variables = self.model.variables
        reads = {} if self._reads is None else self._reads
        held = []
        for variable in variables:
            value = reads.get(id(variable))
            if value is None:
                value = reads[id(variable)] = tf.convert_to_tensor(tf_variable(variable))
            held.append((variable, value if id(variable) in trained else tf.stop_gradient(value)))
        before = {id(variable): value for variable, value in held}
        takes_mode = getattr(self.model, "_call_has_training_arg", True)
        with StatelessScope(state_mapping=held, collect_losses=True) as scope:
            y_pred = self._called(x) if takes_mode else self.model(x)
            losses = list(self.model.losses)
        for variable in variables if self._keeps else ():
            value = scope.get_current_value(variable)
            if value is not None and value is not before.get(id(variable)):
                tf_variable(variable).assign(tf.cast(value, variable.dtype))
        return y_pred, losses

    def _behind(self, output: Any) -> Any:
        """What a Keras loss inside the graph of ``fit`` would take for the logits, or None."""
        import tensorflow as tf

        logits = getattr(output, "_keras_logits", None)
        if logits is not None:
            self.reach = "attribute"
            return logits
        if isinstance(output, tf.__internal__.EagerTensor) or not hasattr(output, "op"):
            return None
        for kind in _OPERATIONS:
            if output.op.type == kind and len(output.op.inputs) == 1:
                self.reach = kind
                return output.op.inputs[0]
        return None
