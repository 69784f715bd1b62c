"""What a model is, as data: layers, calls, weights' statistics, compile settings, code in a file.

The same nouns describe a file that was read without TensorFlow and a live model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call (node) of a layer. ``inputs`` are the full names of the layers it takes from;
    ``kwargs`` are the plain call arguments wired into the graph, such as ``training``."""

    inputs: tuple[str, ...]
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """One layer. ``name`` is the path in nested models (``outer/inner``)."""

    name: str
    class_name: str
    module: str | None = None
    trainable: bool | None = None
    dtype: str | None = None
    activation: str | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    output_shape: Shape | None = None
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The layer graph.

    ``kind`` is ``"Functional"``, ``"Sequential"``, ``"subclassed"`` or ``"weights only"``;
    ``keras_version`` is that of the file or of the live object; ``flavour`` is the Keras under
    which the run is judged: ``"keras3"``, ``"tf_keras"`` (tf.keras 2.x), ``"keras2.1.3-2.3.1"``
    or ``"keras<=2.1.2"``.
    """

    kind: str
    layers: tuple[LayerFacts, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape | None, ...] = ()
    keras_version: str | None = None
    flavour: str = "keras3"
    name: str = ""

    def layer(self, name: str) -> LayerFacts | None:
        return next((layer for layer in self.layers if layer.name == name), None)

    def weighted_leaves(self) -> list[LayerFacts]:
        """The layers with weights of their own, models left out, in the graph's order."""
        models = set()
        for layer in self.layers:
            outer = layer.name
            while outer := outer.rpartition("/")[0]:
                models.add(outer)
        return [layer for layer in self.layers if layer.parameters and layer.name not in models]


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """Statistics of one weight array. ``values`` is not kept; ``std`` is the population's."""

    layer: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    count: int
    not_finite: int
    mean: float
    std: float
    minimum: float
    maximum: float
    zeros: int


@dataclass(frozen=True, slots=True)
class BatchNormFacts:
    """One batch-normalisation layer as it is stored.

    ``wired_training`` is the mode wired into the graph (None: follows the caller). The four
    statistics are None where the layer has no such weight (``scale=False`` and the like) or the
    weights are not at hand. ``feeds_from`` is the layer whose output it normalises.
    """

    layer: str
    class_name: str
    trainable: bool
    wired_training: bool | None
    momentum: float
    epsilon: float
    channels: int | None
    feeds_from: str | None = None
    feeding_trainable: bool | None = None
    gamma: WeightFacts | None = None
    beta: WeightFacts | None = None
    moving_mean: WeightFacts | None = None
    moving_variance: WeightFacts | None = None


@dataclass(frozen=True, slots=True)
class CompileFacts:
    """The compile settings as stored. ``learning_rate`` is None for a schedule, which is then in
    ``schedule``. ``loss`` is the identifier as a user would write it."""

    loss: str | None = None
    from_logits: bool | None = None
    ignore_class: int | None = None
    loss_config: Mapping[str, object] = field(default_factory=dict)
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: Mapping[str, object] = field(default_factory=dict)
    optimizer_config: Mapping[str, object] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeItem:
    """Something in the file that loading it would run or import.

    ``kind``: ``"lambda bytecode"``, ``"custom class"``, ``"custom function"``, ``"module"`` …
    ``recognised`` names the safe layer that replaces it, None if nothing does.
    ``runs`` is True where a loader would execute or import something.
    """

    kind: str
    name: str
    where: str
    recognised: str | None = None
    runs: bool = True


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Everything that was read of a model file without running anything in it."""

    path: str
    format: str
    bytes: int
    graph: GraphFacts
    weights: tuple[WeightFacts, ...] = ()
    batch_norms: tuple[BatchNormFacts, ...] = ()
    compiled: CompileFacts | None = None
    code: tuple[CodeItem, ...] = ()
    not_loadable: tuple[
        str, ...
    ] = ()  # layers and functions named, not stock, code not in the file
    notes: tuple[str, ...] = ()
    read_with: Mapping[str, str] = field(default_factory=dict)  # versions of the libraries

    @property
    def parameters(self) -> int:
        return sum(weight.count for weight in self.weights)
