"""Which stored array belongs to which layer: HDF5 files of Keras 1–3 and ``.keras`` trees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from segdoctor.measures.config_entries import layer_configs, layer_name, model_kind
from segdoctor.sources.model_file.checked_h5 import CheckedH5
from segdoctor.sources.model_file.stored_weight import StoredWeight
from segdoctor.sources.model_file.variable_names import canonical_name, variable_names

_MAX_DEPTH = 50
_MAX_WEIGHTS = 200_000
# Containers of layers in the trees of Keras 3 and of the first .keras files (TF 2.12, 2.13).
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_layers")


def weights_in_h5(
    file: CheckedH5, root: str, config: Any, part: slice
) -> Iterator[list[StoredWeight]]:
    """The weights of an HDF5 file that lists them by layer (``layer_names``, ``weight_names``), of
    each layer in ``part`` of that list.

    Those of a nested model lie in one group; the name of each (``block/conv/kernel:0``) says which
    layer it belongs to. A name that no inner layer has keeps its place: ``outer/name``.
    """
    nested = _nested_paths(config)
    count = 0
    for layer in file.name_list(root, "layer_names")[part]:
        group = f"{root}/{layer}"
        names = file.name_list(group, "weight_names")
        owners = [_owner(layer, name, nested.get(layer, {})) for name in names]
        found = []
        for name, (owner, variable) in zip(names, owners, strict=True):
            if owners.count((owner, variable)) > 1:  # a composite layer: query/kernel, key/kernel
                variable = "/".join([*name.split("/")[:-1], variable])
            found.append(StoredWeight(owner, variable, f"{group}/{name}"))
        count += len(found)
        if count > _MAX_WEIGHTS:
            raise file.refuse(f"more than {_MAX_WEIGHTS} weights")
        yield found


def _owner(layer: str, name: str, inner: Mapping[str, str]) -> tuple[str, str]:
    parts = name.split("/")
    variable = canonical_name(parts[-1], layer)
    if not inner:
        return layer, variable
    for part in reversed(parts[:-1]):
        for candidate in (part, re.sub(r"_\d+$", "", part)):
            if candidate in inner:
                return inner[candidate], variable
    keras1 = re.sub(r"_[A-Za-z]+$", "", parts[-1])
    if keras1 in inner:
        return inner[keras1], canonical_name(parts[-1], keras1)
    return "/".join([layer, *parts[:-1]]), variable


def _nested_paths(config: Any) -> dict[str, dict[str, str]]:
    """For each nested model at the top: name of an inner layer → its full path."""
    found: dict[str, dict[str, str]] = {}
    for entry in layer_configs(config) if isinstance(config, Mapping | list) else []:
        inner = entry.get("config")
        if isinstance(inner, Mapping | list) and model_kind(entry["class_name"], inner) != (
            "subclassed"
        ):
            name = layer_name(entry)
            found[name] = dict(_leaves(inner, name))
    return found


def _leaves(config: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in layer_configs(config):
        path = f"{prefix}/{layer_name(entry)}"
        inner = entry.get("config")
        if isinstance(inner, Mapping | list) and model_kind(entry["class_name"], inner) != (
            "subclassed"
        ):
            yield from _leaves(inner, path)
        else:
            yield layer_name(entry), path


def weights_in_tree(file: CheckedH5, config: Any) -> list[StoredWeight]:
    """The weights of a ``.keras`` tree: ``layers/conv2d_1/vars/0``.

    Groups are named after the class and counted, not after the layer. Without a configuration
    the layer's name is taken from the group's ``name`` attribute, else the group's own is.
    """
    found: list[StoredWeight] = []
    _model(file, "", config, "", found, 0)
    return found


def _model(
    file: CheckedH5, group: str, config: Any, prefix: str, found: list[StoredWeight], depth: int
) -> None:
    container = next((name for name in _CONTAINERS if file.names(f"{group}/{name}")), None)
    if container is None or depth > _MAX_DEPTH:
        return
    base = f"{group}/{container}"
    groups = file.names(base)
    entries = layer_configs(config) if isinstance(config, Mapping | list) else []
    taken = set()
    for entry, member in _matched(entries, groups):
        taken.add(member)
        _layer(file, f"{base}/{member}", entry, prefix, found, depth)
    for member in groups:
        if member not in taken:
            _unknown(file, f"{base}/{member}", member, prefix, found, depth)


def _matched(
    entries: list[Mapping[str, Any]], groups: list[str]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Pair layers with groups: the k-th layer of a class with its k-th group."""
    by_class: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_class.setdefault(snake_case(entry["class_name"]), []).append(entry)
    present = set(groups)
    for base, members in by_class.items():
        numbered = sorted(
            (name for name in groups if re.fullmatch(rf"{re.escape(base)}(_\d+)?", name)),
            key=lambda name, base=base: int(name[len(base) + 1 :] or 0),  # type: ignore[misc]
        )
        if len(numbered) == len(members):
            yield from zip(members, numbered, strict=True)
            continue
        for index, entry in enumerate(members):
            name = f"{base}_{index}" if index else base
            if name in present:
                yield entry, name


def _layer(
    file: CheckedH5,
    group: str,
    entry: Mapping[str, Any],
    prefix: str,
    found: list[StoredWeight],
    depth: int,
) -> None:
    inner = entry.get("config")
    path = prefix + layer_name(entry)
    if isinstance(inner, Mapping | list) and model_kind(entry["class_name"], inner) != (
        "subclassed"
    ):
        _model(file, group, inner, f"{path}/", found, depth + 1)
        return
    settings = inner if isinstance(inner, Mapping) else {}
    numbers = _variables(file, f"{group}/vars")
    names = variable_names(entry["class_name"], settings)
    for index, number in enumerate(numbers):
        name = names[index] if len(names) == len(numbers) else number
        found.append(StoredWeight(path, name, f"{group}/vars/{number}"))
    wrapped = settings.get("layer")
    for child in file.names(group):
        if child == "vars":
            continue
        if child == "layer" and isinstance(wrapped, Mapping) and "class_name" in wrapped:
            _layer(file, f"{group}/layer", wrapped, f"{path}/", found, depth + 1)
        else:
            _unnamed(file, f"{group}/{child}", path, child, found, depth + 1)


def _unknown(
    file: CheckedH5, group: str, member: str, prefix: str, found: list[StoredWeight], depth: int
) -> None:
    named = file.text(f"{group}/vars", "name")
    path = prefix + (named if isinstance(named, str) else member)
    if any(file.names(f"{group}/{name}") for name in _CONTAINERS):
        _model(file, group, None, f"{path}/", found, depth + 1)
        return
    class_name = _STEMS.get(re.sub(r"_\d+$", "", member), "")
    numbers = _variables(file, f"{group}/vars")
    names = variable_names(class_name, {"use_bias": len(numbers) > _BIASLESS.get(class_name, 1)})
    for index, number in enumerate(numbers):
        name = names[index] if len(names) == len(numbers) else number
        found.append(StoredWeight(path, name, f"{group}/vars/{number}"))
    for child in file.names(group):
        if child != "vars":
            _unnamed(file, f"{group}/{child}", path, child, found, depth + 1)


def _unnamed(
    file: CheckedH5, group: str, path: str, below: str, found: list[StoredWeight], depth: int
) -> None:
    """Parts of composite layers, named by their place: ``query_dense/0``."""
    if depth > _MAX_DEPTH or len(found) > _MAX_WEIGHTS:
        raise file.refuse(f"weights nested deeper than {_MAX_DEPTH} or more than {_MAX_WEIGHTS}")
    if "seed_generator" in below or not file.is_group(group):
        return  # the state of a random generator is no weight
    for number in _variables(file, f"{group}/vars"):
        found.append(StoredWeight(path, f"{below}/{number}", f"{group}/vars/{number}"))
    for child in file.names(group):
        if child != "vars":
            _unnamed(file, f"{group}/{child}", path, f"{below}/{child}", found, depth + 1)


def _variables(file: CheckedH5, group: str) -> list[str]:
    numbers = [name for name in file.names(group) if name.isdecimal()]
    return sorted(numbers, key=lambda name: int(name[:9]))


def snake_case(name: str) -> str:
    """``"DepthwiseConv2D"`` → ``"depthwise_conv2d"``, as Keras names the groups."""
    name = re.sub(r"\W+", "", name.rpartition(">")[2])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


_STEMS = {
    snake_case(name): name
    for name in ("BatchNormalization", "Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D")
}
_STEMS["separable_conv2d"] = "SeparableConv2D"
_BIASLESS = {"SeparableConv2D": 2}
