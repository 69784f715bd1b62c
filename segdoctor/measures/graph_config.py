"""A Keras model configuration, of any Keras from 1 to 3, as :class:`GraphFacts`.

It takes what ``model.get_config()`` gives and what model files hold; nothing is built or run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segdoctor.core.model_facts import Call, GraphFacts, LayerFacts, Shape
from segdoctor.measures.batch_norm_facts import batch_norms_from
from segdoctor.measures.config_entries import (
    Config,
    layer_configs,
    layer_name,
    model_kind,
    unwrapped,
)
from segdoctor.measures.graph_nodes import Node, Ref, nodes_of, refs_in
from segdoctor.measures.keras_version import flavour_of
from segdoctor.measures.layer_shapes import output_shape, shape_of_input

__all__ = ["batch_norms_from", "graph_from_config"]

_ACTIVATION_LAYERS = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Softmax": "softmax",
    "relu6": "relu6",
}


def graph_from_config(
    config: Config | list[Any], keras_version: str | None = None, flavour: str | None = None
) -> GraphFacts:
    """The layer graph of a model configuration.

    Parameters
    ----------
    config : ``{"class_name": …, "config": …}`` as files hold it, or what ``model.get_config()``
        of a Functional or Sequential model gives. A configuration without layers is a subclassed
        model, of which only the name is known.
    keras_version : that of the file or of the package, if known.
    flavour : the Keras under which the run is judged; default: told from ``keras_version``.

    Returns
    -------
    GraphFacts
        Layers in the order of the configuration, those of a nested model behind it, named
        ``outer/inner``. ``trainable`` is the effective one: False below a frozen model.
    """
    class_name, inner = unwrapped(config)
    kind = model_kind(class_name, inner)
    name = str(inner.get("name", "")) if isinstance(inner, Mapping) else ""
    walk = _Walk()
    outputs: list[Shape | None] = []
    if kind != "subclassed":
        flag = inner.get("trainable") if isinstance(inner, Mapping) else None
        outputs = walk.model(kind, inner, "", flag is not False, [])
    layers = tuple(walk.layers)
    own = [layer for layer in layers if "/" not in layer.name]
    if kind == "Functional" and isinstance(inner, Mapping):
        inputs = tuple(ref.layer for ref in refs_in(inner.get("input_layers")))
        ends = tuple(ref.layer for ref in refs_in(inner.get("output_layers")))
    else:
        inputs = tuple(layer.name for layer in own[:1])
        ends = tuple(layer.name for layer in own[-1:])
    shapes = {layer.name: layer for layer in own}
    stated = (
        (shape_of_input(shapes[entry].config) or shapes[entry].output_shape)
        for entry in inputs
        if entry in shapes
    )
    return GraphFacts(
        kind=kind,
        layers=layers,
        inputs=inputs,
        outputs=ends,
        input_shapes=tuple(shape for shape in stated if shape is not None),
        output_shapes=tuple(outputs),
        keras_version=keras_version,
        flavour=flavour or flavour_of(keras_version),
        name=name,
    )


class _Walk:
    """Collects the layers of a model and of those nested in it."""

    def __init__(self) -> None:
        self.layers: list[LayerFacts] = []

    def model(
        self,
        kind: str,
        inner: Config | list[Any],
        prefix: str,
        trainable: bool,
        given: list[Shape | None],
    ) -> list[Shape | None]:
        """Append the layers below ``prefix``; the shapes of the model's outputs."""
        entries = layer_configs(inner)
        nodes = _chain(entries) if kind == "Sequential" else {}
        if kind == "Functional":
            nodes = {layer_name(entry): nodes_of(entry.get("inbound_nodes")) for entry in entries}
        shapes: dict[Ref, Shape | None] = {}
        for node in (node for found in nodes.values() for node in found):
            shapes.update(node.shapes)
        blocks: dict[int, list[LayerFacts]] = {}
        waiting = list(given)
        for index in _sources_first(entries, nodes):
            entry = entries[index]
            name = layer_name(entry)
            calls = nodes.get(name, [])
            refs = calls[0].refs if calls else ()
            incoming = [_known(shapes, ref) for ref in refs]
            if not refs and waiting:
                incoming = [waiting.pop(0)]
            before, self.layers = self.layers, []
            results = self._layer(entry, prefix, trainable, calls, incoming)
            blocks[index], self.layers = self.layers, before
            for position, shape in enumerate(results):
                for node_index in range(max(len(calls), 1)):
                    ref = Ref(name, node_index, position)
                    if shapes.get(ref) is None:
                        shapes[ref] = shape
            head = blocks[index][0]
            if results and shapes[Ref(name, 0, 0)] != head.output_shape:
                blocks[index][0] = replace(head, output_shape=shapes[Ref(name, 0, 0)])
        for index in range(len(entries)):
            self.layers.extend(blocks[index])
        if kind == "Functional" and isinstance(inner, Mapping):
            return [_known(shapes, ref) for ref in refs_in(inner.get("output_layers"))]
        return [shapes.get(Ref(layer_name(entries[-1]), 0, 0))] if entries else []

    def _layer(
        self,
        entry: Config,
        prefix: str,
        trainable: bool,
        calls: list[Node],
        incoming: list[Shape | None],
    ) -> list[Shape | None]:
        class_name = entry["class_name"]
        config = entry.get("config", {})
        settings: Config = config if isinstance(config, Mapping) else {}
        name = prefix + layer_name(entry)
        effective = trainable and settings.get("trainable", True) is not False
        kind = model_kind(class_name, config) if isinstance(config, Mapping | list) else ""
        nested = kind in {"Functional", "Sequential"}
        place = len(self.layers)
        if nested:
            outputs = self.model(kind, config, f"{name}/", effective, incoming)
            settings = {key: value for key, value in settings.items() if key != "layers"}
        else:
            outputs = [output_shape(class_name, settings, incoming)]
            wrapped = settings.get("layer")
            if isinstance(wrapped, Mapping) and isinstance(wrapped.get("class_name"), str):
                self._layer(wrapped, f"{name}/", effective, [], [])
        facts = LayerFacts(
            name=name,
            class_name=class_name,
            module=entry.get("module") if isinstance(entry.get("module"), str) else None,
            trainable=effective,
            dtype=_dtype_name(settings.get("dtype")),
            activation=_activation(class_name, settings),
            config=settings,
            calls=tuple(
                Call(tuple(prefix + ref.layer for ref in node.refs), node.plain_kwargs(class_name))
                for node in calls
            ),
            output_shape=outputs[0] if outputs else None,
        )
        self.layers.insert(place, facts)
        return outputs


def _known(shapes: Mapping[Ref, Shape | None], ref: Ref) -> Shape | None:
    """The shape of a tensor; nested models count their calls from 1 in older files."""
    return shapes.get(ref) or shapes.get(Ref(ref.layer, 0, ref.tensor))


def _chain(entries: list[Config]) -> dict[str, list[Node]]:
    """The calls of a Sequential model: each layer takes from the one before it."""
    names = [layer_name(entry) for entry in entries]
    return {
        name: [Node((Ref(before, 0, 0),)) if before is not None else Node(())]
        for name, before in zip(names, [None, *names], strict=False)
    }


def _sources_first(entries: list[Config], nodes: dict[str, list[Node]]) -> list[int]:
    """Indices of ``entries`` such that a layer comes behind those it takes from at first."""
    position = {layer_name(entry): index for index, entry in enumerate(entries)}
    followers: list[list[int]] = [[] for _ in entries]
    missing = [0] * len(entries)
    for index, entry in enumerate(entries):
        calls = nodes.get(layer_name(entry), [])
        for source in {ref.layer for ref in calls[0].refs} if calls else ():
            if source in position and position[source] != index:
                followers[position[source]].append(index)
                missing[index] += 1
    ready = deque(index for index in range(len(entries)) if not missing[index])
    order: list[int] = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for follower in followers[index]:
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    seen = set(order)
    return order + [index for index in range(len(entries)) if index not in seen]  # a loop: as is


def _dtype_name(value: object) -> str | None:
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, Mapping) else value.get("class_name")
    return value if isinstance(value, str) else None


def _activation(class_name: str, config: Config) -> str | None:
    if class_name in _ACTIVATION_LAYERS:
        if class_name == "ReLU" and config.get("max_value") == 6:
            return "relu6"
        return _ACTIVATION_LAYERS[class_name]
    value = config.get("activation")
    while isinstance(value, Mapping):  # {"class_name": "function", "config": "my_activation"}
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return value if isinstance(value, str) else None
