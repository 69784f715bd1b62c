"""The last stretch of a layer graph: which activations lead to the output, and what stands behind.

Walked backwards from the output, through layers without weights, to the layer that makes the
scores (as a rule a convolution). It needs no TensorFlow: the graph is plain data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.measured import HeadActivation
from segdoctor.core.model_facts import GraphFacts, LayerFacts
from segdoctor.measures.graph_nodes import refs_in
from segdoctor.measures.stock_names import LAYERS, OLD_LAYER_NAMES

NORMALISING = ("softmax", "sigmoid", "log_softmax", "hard_sigmoid")
"""Activations that make probabilities."""

_PASSED = {
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU", "relu6"),
    *("Resizing", "UpSampling1D", "UpSampling2D", "BilinearUpsampling", "Rescaling", "Lambda"),
    *("CenterCrop", "Cropping2D", "Flatten", "Permute", "RepeatVector", "Reshape"),
    *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"),
    *("AveragePooling2D", "MaxPooling2D"),
    *("ActivityRegularization", "Identity", "Masking", "ZeroPadding2D"),
}
"""Layers without weights of their own (PReLU's aside) that hand on one tensor."""

_OPERATIONS = {
    "clip": "clip",
    "clip_by_value": "clip",
    "logsoftmax": "log_softmax",
    "log_softmax": "log_softmax",
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "tanh": "tanh",
}
"""Operations called without a layer: the class of Keras 3's, the function's name of TensorFlow's"""

_MERGES = {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}
"""What these give are scores only where all that goes into them is."""

_MOST_MERGES = 4  # one behind the other, that are looked into

_CHANGES_NOTHING = frozenset({"Identity", "ActivityRegularization", "Masking"})


@dataclass(frozen=True, slots=True)
class HeadPath:
    """``activations`` from the features to the output; ``layers_behind`` the last softmax or
    sigmoid; ``scores`` the layer with weights that the walk ended at; ``complete`` is False where
    the graph is unknown, an unknown layer ended the walk or a Lambda lies on it. ``permuted``:
    the ``dims`` of the Permute layers between the scores and the output, None where one of them,
    or a Reshape among them, does not tell."""

    activations: tuple[HeadActivation, ...] = ()
    layers_behind: tuple[str, ...] = ()
    scores: LayerFacts | None = None
    complete: bool = False
    permuted: tuple[tuple[int, ...], ...] | None = ()

    @property
    def class_axis(self) -> int:
        """Where the classes of the scores stand in the output: 1 or −1."""
        axis = -1
        if self.scores is not None and self.scores.config.get("data_format") == "channels_first":
            axis = 1
        for dims in self.permuted or ():
            place = len(dims) if axis == -1 else axis
            axis = dims.index(place) + 1
            axis = -1 if axis == len(dims) else axis
        return axis if axis in (1, -1) else -1


def head_path(graph: GraphFacts | None) -> HeadPath:
    """Walk ``graph`` backwards from its first output."""
    if graph is None or not graph.outputs or graph.kind in ("subclassed", "weights only"):
        return HeadPath()
    return _path_from(graph, graph.outputs[0])


def _path_from(graph: GraphFacts, end: str, merges: int = 0) -> HeadPath:
    activations: list[HeadActivation] = []
    behind: list[str] = []
    normalised = opaque = False
    moves: list[LayerFacts] = []
    for layer in _backwards(graph, end):
        activation = _activation(layer)
        if activation is not None:
            activations.insert(0, activation)
            normalised = normalised or activation.activation in NORMALISING
        opaque = opaque or layer.class_name == "Lambda"
        if layer.class_name in ("Permute", "Reshape", "Flatten"):
            moves.insert(0, layer)
        passed = layer.class_name in _PASSED or _operation(layer) is not None
        if not passed:
            known = _is_stock(layer) and _all_scores(graph, layer, merges)
            return HeadPath(
                tuple(activations),
                tuple(behind) if normalised else (),
                layer,
                complete=known and not opaque,
                permuted=_permuted(moves),
            )
        linear = layer.class_name == "Activation" and activation is None
        if not (normalised or linear or layer.class_name in _CHANGES_NOTHING):
            behind.insert(0, layer.name)
    return HeadPath(tuple(activations), tuple(behind) if normalised else ())


def _is_stock(layer: LayerFacts) -> bool:
    """Whether a layer is Keras' own. Keras writes no module for a stranger's, and old files for
    none."""
    if layer.module is not None:
        return layer.module.split(".")[0] in ("keras", "tf_keras")
    return layer.class_name in LAYERS or layer.class_name in OLD_LAYER_NAMES


def _all_scores(graph: GraphFacts, layer: LayerFacts, merges: int) -> bool:
    """Whether a layer makes scores: of one that merges, no branch may end in probabilities."""
    if layer.class_name not in _MERGES:
        return True
    inputs = set(layer.calls[0].inputs) if layer.calls else set()
    if not inputs or merges >= _MOST_MERGES:
        return False
    paths = [_path_from(graph, name, merges + 1) for name in inputs]
    return all(
        path.complete and not any(a.activation in NORMALISING for a in path.activations)
        for path in paths
    )


def _permuted(moves: list[LayerFacts]) -> tuple[tuple[int, ...], ...] | None:
    """The dims of Permute layers alone; a Reshape among them leaves open what is moved where."""
    if not any(layer.class_name == "Permute" for layer in moves):
        return ()
    found = []
    for layer in moves:
        dims = layer.config.get("dims")
        if not isinstance(dims, list | tuple) or sorted(dims) != [*range(1, len(dims) + 1)]:
            return None
        found.append(tuple(int(axis) for axis in dims))
    return tuple(found)


def _backwards(graph: GraphFacts, name: str) -> Iterator[LayerFacts]:
    """The layers before ``name``, it first, into nested models and out of them again, as long as
    each takes from one layer."""
    layers = {layer.name: layer for layer in graph.layers}
    seen: set[str] = set()
    current: str | None = name
    while current is not None and current not in seen:
        seen.add(current)
        layer = layers.get(current)
        if layer is None:
            return
        inner = _output_of(layer, layers)
        if inner is not None:
            current = inner
            continue
        if layer.class_name != "InputLayer":
            yield layer
        current = _source(layer, layers)


def _source(layer: LayerFacts, layers: dict[str, LayerFacts]) -> str | None:
    """The one layer that ``layer`` takes from; at the entry of a nested model, what that takes."""
    inputs = layer.calls[0].inputs if layer.calls else ()
    name = layer.name
    while not inputs and "/" in name:
        name = name.rpartition("/")[0]
        outer = layers.get(name)
        inputs = outer.calls[0].inputs if outer is not None and outer.calls else ()
    return inputs[0] if len(set(inputs)) == 1 else None


def _output_of(layer: LayerFacts, layers: dict[str, LayerFacts]) -> str | None:
    """The last layer inside a nested model, None for a plain layer."""
    if layer.class_name == "TimeDistributed" or layer.class_name in _PASSED:
        return None
    prefix = f"{layer.name}/"
    inside = [name for name in layers if name.startswith(prefix) and "/" not in name[len(prefix) :]]
    if not inside:
        return None
    ends = refs_in(layer.config.get("output_layers"))
    named = [prefix + ref.layer for ref in ends if prefix + ref.layer in layers]
    return named[0] if named else inside[-1]


def _activation(layer: LayerFacts) -> HeadActivation | None:
    name = layer.activation or _operation(layer)
    if name in (None, "linear"):
        return None
    axis = layer.config.get("axis", -1)
    axis = axis if isinstance(axis, int) else -1
    size = None
    if layer.output_shape is not None and -len(layer.output_shape) <= axis < len(
        layer.output_shape
    ):
        size = layer.output_shape[axis]
    return HeadActivation(layer.name, str(name), axis, size)


def _operation(layer: LayerFacts) -> str | None:
    """The activation that an operation without a layer is, None for other things."""
    if layer.class_name in ("TFOpLambda", "SlicingOpLambda"):
        function = str(layer.config.get("function", "")).rpartition(".")[2]
        return _OPERATIONS.get(function)
    if (layer.module or "").startswith(("keras.src.ops", "keras.ops")):
        return _OPERATIONS.get(layer.class_name.lower())
    return None
