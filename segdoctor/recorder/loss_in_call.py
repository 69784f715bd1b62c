"""The loss that a subclassed model makes inside its ``call``, from labels that are an input of it.

The call is traced into a graph. What leads from the image to the scores that the call gives, and
what leads from scores and label to the loss, are cut out of it: the second is the loss. It is
traced anew for labels of another rank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from segdoctor.core.error_line import error_line
from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.surgery import keras_of

Inputs = Callable[[Any, Any], Any]
"""``(first, second) ->`` what the model is called with."""


class LossInCall:
    """Which input is the image, and the loss ``(y_true, y_pred)``.

    Parameters
    ----------
    model : a built model of Keras 3.
    given : ``(first, second)`` arrays, one example or more of each input.
    inputs : how the model takes the two.

    Raises
    ------
    NotExaminedError
        The two parts cannot be told apart; the text says why.
    """

    def __init__(self, model: Any, given: tuple[Any, Any], inputs: Inputs) -> None:
        import tensorflow as tf

        if keras_of(model).__name__ != "keras":
            raise NotExaminedError("a subclassed model of tf_keras is not taken apart")
        self._model, self._inputs = model, inputs
        self._specs = [_open_spec(tf.convert_to_tensor(array)) for array in given]
        graph, (scores, loss) = self._traced(self._specs)
        alone = [_cut(graph, [graph.inputs[i]], scores) for i in (0, 1)]
        if (alone[0] is None) == (alone[1] is None):
            raise NotExaminedError("the scores that its call gives depend on both inputs, or none")
        self.image = 0 if alone[1] is None else 1
        label = graph.inputs[1 - self.image]
        self._dtype = label.dtype
        if _loss_of(scores, label, loss, graph) is None:
            raise NotExaminedError("its loss looks at more than the label and what its call gives")
        # Now, and not when it is asked: a pass that is being recorded looks at every layer's call.
        pixels = [None] * (scores.shape.rank - 1)
        shapes = (pixels, [*pixels, 1], [*pixels, scores.shape[-1]])
        self._made = {(len(s), s[-1]): self._of_labels(s) for s in shapes}

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        import tensorflow as tf

        made = self._made.get((y_true.shape.rank, y_true.shape[-1])) or self._made.get(
            (y_true.shape.rank, None)
        )
        if made is None:
            raise ValueError(f"the loss of the call takes no labels of shape {y_true.shape}")
        return tf.cast(made(y_pred, tf.cast(y_true, self._dtype)), y_pred.dtype)

    def _of_labels(self, shape: list[Any]) -> Any:
        """The loss of labels of this shape; None where the call takes none."""
        import tensorflow as tf

        specs = list(self._specs)
        specs[1 - self.image] = tf.TensorSpec(shape, self._dtype)
        try:
            graph, (scores, loss) = self._traced(specs)
        except NotExaminedError:
            return None
        return _loss_of(scores, graph.inputs[1 - self.image], loss, graph)

    def _traced(self, specs: list[Any]) -> tuple[Any, tuple[Any, Any]]:
        import tensorflow as tf

        def whole(first: Any, second: Any) -> tuple[Any, Any]:
            scores = self._model(self._inputs(first, second), training=True)
            layers = (self._model, *self._model._flatten_layers(include_self=False))
            added = [loss for layer in layers for loss in layer._losses]
            self._model._clear_losses()
            if not added:
                raise ValueError("its call adds no loss")
            total = tf.add_n([tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in added])
            return tf.identity(scores), total

        try:
            graph = tf.compat.v1.wrap_function(whole, specs)
        except Exception as error:
            raise NotExaminedError(f"its call cannot be traced: {error_line(error)}") from error
        finally:
            self._model._clear_losses()
        scores, loss = graph.outputs
        if scores.shape.rank is None or scores.shape.rank < 3:
            raise NotExaminedError("what its call gives is no map of pixels")
        return graph, (scores.op.inputs[0], loss)


def from_image(model: Any, image: int, label: Any, inputs: Inputs) -> Any:
    """A built model from the image alone to the scores, with the layers and weights of ``model``;
    ``label`` is one example's array."""
    import tensorflow as tf

    keras, shape, dtype = keras_of(model), label.shape, tf.as_dtype(label.dtype)

    class FromImage(keras.Model):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__(name=model.name)
            self.net = model

        def call(self, image_: Any, training: Any = None) -> Any:
            nothing = tf.zeros((tf.shape(image_)[0], *shape), dtype)
            both = (image_, nothing) if image == 0 else (nothing, image_)
            scores = self.net(inputs(*both), training=training)
            self.net._clear_losses()
            return scores

    return FromImage()


def _open_spec(tensor: Any) -> Any:
    """Any batch and any height and width; channels, and labels of rank 2, as they are."""
    import tensorflow as tf

    shape = list(tensor.shape)
    free = [None] * len(shape)
    if len(shape) > 3:
        free[-1] = shape[-1]
    return tf.TensorSpec(free, tensor.dtype)


def _loss_of(scores: Any, label: Any, loss: Any, graph: Any) -> Any:
    """``(scores, label) -> loss``; None where it is made of anything else. Keras reaches back
    behind a softmax: then the scores before it are had of the probabilities again."""
    import tensorflow as tf

    made = _cut(graph, [scores, label], loss)
    if made is not None or scores.op.type not in ("Softmax", "Sigmoid"):
        return made
    behind = _cut(graph, [scores.op.inputs[0], label], loss)
    if behind is None:
        return None
    one = scores.op.type == "Sigmoid"

    def of_probabilities(p: Any, y: Any) -> Any:
        p = tf.clip_by_value(p, 1e-7, 1 - 1e-7)
        return behind(tf.math.log(p) - tf.math.log1p(-p) if one else tf.math.log(p), y)

    return of_probabilities


def _cut(graph: Any, feeds: list[Any], fetch: Any) -> Any:
    """The part of the graph from ``feeds`` to ``fetch``; None where something else leads there."""
    try:
        return graph.prune(feeds, fetch)
    except Exception:  # noqa: BLE001 - TensorFlow's UnliftableError is not public
        return None
