"""One step of an optimizer on a model's weights, outside the trace of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from segdoctor.recorder.layers import is_tf_keras, tf_variable

# They step each element by itself, with nothing of its variable or its neighbours.
_ELEMENTWISE = frozenset(
    ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD")
)
_SMALL = 1 << 14  # elements; copying more of them costs a step more than it saves the trace
_STOCK = ("keras.src.optimizers", "tf_keras.src.optimizers")


class OptimizerStep:
    """``gradients -> None``: one step of ``optimizer`` on the variables that have a gradient.

    It is traced once. An optimizer that steps each element by itself is given all small variables
    as one long vector: the same numbers from a few operations, where variable by variable there
    are thousands, whose trace takes as long as the network's.

    Parameters
    ----------
    optimizer : of Keras or tf_keras, with no slots yet.
    model : whose trainable variables are stepped.

    Raises
    ------
    ValueError
        Of a call: no variable has a gradient.
    """

    def __init__(self, optimizer: Any, model: Any) -> None:
        self._optimizer, self._apart = optimizer, is_tf_keras(model)
        self._variables = list(model.trainable_variables)
        self._step: Any = None

    def __call__(self, gradients: list[Any]) -> None:
        given = [gradient for gradient in gradients if gradient is not None]
        if self._step is None:
            pairs = zip(gradients, self._variables, strict=True)
            held = [variable for gradient, variable in pairs if gradient is not None]
            if not held:
                raise ValueError("no trainable variable has a gradient: there is nothing to train")
            if _elementwise(self._optimizer) and _alike(held, given):
                self._step = _Bundled(self._optimizer, held, self._apart)
            else:
                self._step = _traced(self._optimizer, self._variables, held)
        self._step(given)


def _elementwise(optimizer: Any) -> bool:
    kind = type(optimizer)
    return (
        kind.__name__ in _ELEMENTWISE
        and kind.__module__.startswith(_STOCK)
        and ".legacy" not in kind.__module__
        # The norm of each variable by itself.
        and getattr(optimizer, "clipnorm", None) is None
    )


def _alike(variables: list[Any], gradients: list[Any]) -> bool:
    """Dense, of one type, and with nothing that is done to one variable alone."""
    import tensorflow as tf

    return all(
        isinstance(gradient, tf.Tensor)
        and gradient.dtype == tf_variable(variable).dtype == tf_variable(variables[0]).dtype
        and getattr(variable, "constraint", None) is None
        and not getattr(variable, "overwrite_with_gradient", False)
        and not isinstance(tf_variable(variable), tf.distribute.DistributedValues)
        for variable, gradient in zip(variables, gradients, strict=True)
    )


class _Bundled:
    """Large variables as they are, the small ones end to end."""

    def __init__(self, optimizer: Any, variables: list[Any], apart: bool) -> None:
        import tensorflow as tf

        self._optimizer = optimizer
        sizes = [int(np.prod(variable.shape)) for variable in variables]
        self._large = [place for place, size in enumerate(sizes) if size > _SMALL]
        self._small = [place for place, size in enumerate(sizes) if size <= _SMALL]
        self._sizes = [sizes[place] for place in self._small]
        self._held = [tf_variable(variables[place]) for place in self._small]
        self._stepped = [variables[place] for place in self._large]
        if self._small:
            self._stepped.append(_variable(_end_to_end(self._held), apart))
        optimizer.build(self._stepped)
        self._traced = tf.function(self._apply, autograph=False)

    def __call__(self, gradients: list[Any]) -> None:
        self._traced(gradients)

    def _apply(self, gradients: list[Any]) -> None:
        import tensorflow as tf

        given = [gradients[place] for place in self._large]
        if self._small:
            given.append(_end_to_end([gradients[place] for place in self._small]))
        self._optimizer.apply_gradients(list(zip(given, self._stepped, strict=True)))
        if self._small:
            parts = tf.split(tf_variable(self._stepped[-1]), self._sizes)
            for variable, part in zip(self._held, parts, strict=True):
                variable.assign(tf.reshape(part, variable.shape))


def _end_to_end(tensors: list[Any]) -> Any:
    import tensorflow as tf

    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)


def _variable(values: Any, apart: bool) -> Any:
    import tensorflow as tf

    if apart:
        return tf.Variable(values)
    import keras

    return keras.Variable(values, dtype=values.dtype.name)


def _traced(optimizer: Any, variables: list[Any], held: list[Any]) -> Any:
    import tensorflow as tf

    if hasattr(optimizer, "build"):  # tf_keras' legacy optimizers make their slots as they go
        optimizer.build(variables)

    def apply(gradients: list[Any]) -> None:
        # Through `apply_gradients`, which Keras 3 and tf_keras both have. Variables without a
        # gradient are left out, as `fit` leaves them out.
        optimizer.apply_gradients(list(zip(gradients, held, strict=True)))

    return tf.function(apply, autograph=False)
