"""The same model with other layers behind its scores, or without regularisation."""

from __future__ import annotations

from typing import Any

from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.head_path import head_path
from segdoctor.recorder.layers import is_tf_keras, walk
from segdoctor.recorder.live_graph import live_graph
from segdoctor.recorder.surgery import copied, keras_of


def with_resize(model: Any, height: int, width: int) -> Any:
    """The output resized bilinearly to ``height`` × ``width``."""
    made = copied(model)
    layers = keras_of(model).layers
    resize = layers.Resizing(height, width, interpolation="bilinear", name="segdoctor_resize")
    return keras_of(model).Model(made.inputs, resize(_only_output(made)))


def with_plain_tail(model: Any) -> Any:
    """The scores as they are, resized to the input and flattened if the output was.

    Raises
    ------
    NotExaminedError
        If the layer that makes the scores is not known.
    """
    made = copied(model)
    keras = keras_of(model)
    path = head_path(live_graph(made, "tf_keras" if is_tf_keras(made) else "keras3"))
    if path.scores is None or "/" in path.scores.name:
        raise NotExaminedError("the layer that makes the scores is not known")
    output = _only_output(made)
    tensor = made.get_layer(path.scores.name).output
    height, width = made.inputs[0].shape[1:3]
    if height and width and tuple(tensor.shape[1:3]) != (height, width):
        tensor = keras.layers.Resizing(height, width, interpolation="bilinear")(tensor)
    if len(output.shape) == 3:
        tensor = keras.layers.Reshape((-1, int(tensor.shape[-1])))(tensor)
    for activation in path.activations:
        tensor = keras.layers.Activation(activation.activation)(tensor)
    return keras.Model(made.inputs, tensor)


def without_regularisation(model: Any) -> Any:
    """No L1/L2 losses; the weights are the same.

    Raises
    ------
    NotExaminedError
        Of tf_keras models, whose losses are fixed when a layer is built.
    """
    if is_tf_keras(model):
        raise NotExaminedError("tf_keras fixes the regularisation when a layer is built")
    made = copied(model)
    for _, layer in walk(made):
        for name in ("kernel_regularizer", "bias_regularizer", "depthwise_regularizer"):
            if hasattr(layer, name):
                setattr(layer, name, None)
    for variable in made.trainable_variables:
        variable.regularizer = None
    return made


def _only_output(model: Any) -> Any:
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1:
        raise NotExaminedError(f"the model has {len(outputs)} outputs, not one")
    return outputs[0]
