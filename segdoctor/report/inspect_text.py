"""What a model file holds: a table for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from segdoctor.core.clean import clean
from segdoctor.core.model_facts import (
    BatchNormFacts,
    CompileFacts,
    LayerFacts,
    ModelFacts,
    Shape,
)
from segdoctor.report.inspect_plain import facts_to_plain
from segdoctor.report.wording import counted, listed, number

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["facts_to_plain", "inspect_text"]

_ROWS = 60  # layers beyond which blocks are told in one row each
_SHOWN = 40  # rows of blocks that are shown
_CODE = 8
_TITLES = ("layer", "class", "layers", "output", "parameters", "")
_FLAVOURS = {
    "keras3": "Keras 3",
    "tf_keras": "tf.keras 2",
    "keras2.1.3-2.3.1": "Keras 2.1.3 to 2.3.1",
    "keras<=2.1.2": "Keras up to 2.1.2",
}


def inspect_text(facts: ModelFacts, verbose: bool = False) -> RenderableType:
    """The file, its batch normalisation and its layers, to be printed by rich.

    Parameters
    ----------
    facts : of :func:`segdoctor.sources.model_file.read_model_file`.
    verbose : each layer in a row of its own, however many there are.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    head.add_column(style="dim", no_wrap=True)
    head.add_column(overflow="fold")
    for name, value in _header(facts):
        head.add_row(name, Text(value))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    rows = list(_rows(facts.graph.layers, verbose))
    shown = rows if verbose or len(rows) <= _ROWS else [*rows[:_SHOWN], *rows[-5:]]
    used = [place for place in range(len(_TITLES)) if any(row[place] for row in shown)]
    for place in used:
        title = _TITLES[place]
        right = title in ("layers", "parameters")
        table.add_column(
            title,
            overflow="fold",
            no_wrap=right or title == "output",
            justify="right" if right else "left",
        )
    for row in shown:
        table.add_row(*(Text(row[place]) for place in used))
    parts: list[RenderableType] = [head, Text(""), table]
    if not verbose and len(rows) > _ROWS:
        parts.append(Text(f"{len(rows) - _SHOWN - 5} rows left out; --verbose shows them", "dim"))
    elif not verbose and len(facts.graph.layers) > _ROWS:
        parts.append(Text("blocks in one row each; --verbose shows every layer", "dim"))
    for item in facts.code[:_CODE]:
        done = f": replaced by {item.recognised}" if item.recognised else ""
        runs = "would run" if item.runs and not item.recognised else "code"
        parts.append(Text(f"{runs}: {clean(item.kind)} {clean(item.name)} ({item.where}){done}"))
    if len(facts.code) > _CODE:
        parts.append(Text(f"… and {len(facts.code) - _CODE} more"))
    parts.extend(Text(f"note: {clean(note)}", "dim") for note in facts.notes)
    return Group(*parts)


def _header(facts: ModelFacts) -> list[tuple[str, str]]:
    graph = facts.graph
    version = clean(graph.keras_version or "not stated", 40)
    form = {"h5": "HDF5", "keras": "Keras zip"}.get(facts.format, facts.format)
    rows = [
        ("file", f"{clean(facts.path)} ({facts.bytes / 1e6:.1f} MB, {form})"),
        ("Keras", f"{version} (judged as {_FLAVOURS.get(graph.flavour, clean(graph.flavour))})"),
        ("model", f"{clean(graph.kind)}, {counted(len(graph.layers), 'layer')}"),
        ("parameters", f"{facts.parameters:,}"),
    ]
    if graph.input_shapes:
        rows.append(("input", ", ".join(_shape(shape) for shape in graph.input_shapes)))
    if any(graph.output_shapes):
        rows.append(("output", ", ".join(_shape(shape) for shape in graph.output_shapes)))
    rows.append(("compiled", _compiled(facts.compiled)))
    rows.append(("batch norm", _batch_norms(facts.batch_norms)))
    rows.append(("frozen", _frozen(graph.layers)))
    broken = sum(weight.not_finite for weight in facts.weights)
    if broken:
        rows.append(("broken", f"{broken:,} weights are NaN or infinite"))
    return rows


def _compiled(compiled: CompileFacts | None) -> str:
    if compiled is None:
        return "no settings in the file"
    loss = clean(compiled.loss or "several losses" if compiled.loss_config else compiled.loss)
    if compiled.from_logits is not None:
        loss += f", from_logits={compiled.from_logits}"
    if compiled.ignore_class is not None:
        loss += f", ignore_class={compiled.ignore_class}"
    rate = "a schedule" if compiled.schedule else number(compiled.learning_rate)
    metrics = ", ".join(clean(name, 40) for name in compiled.metrics) or "none"
    return f"{loss}; {clean(compiled.optimizer or 'no optimizer')} at {rate}; metrics: {metrics}"


def _batch_norms(layers: tuple[BatchNormFacts, ...]) -> str:
    if not layers:
        return "none"
    told = [f"{counted(len(layers), 'layer')}, {sum(bn.trainable for bn in layers)} trainable"]
    for mode in (True, False):
        wired = sum(bn.wired_training is mode for bn in layers)
        if wired:
            told.append(f"{wired} with training={mode} wired in")
    default = sum(at_default(bn) for bn in layers)
    told.append(f"{default} at default statistics (mean 0, variance 1)")
    settings = {(bn.momentum, bn.epsilon) for bn in layers}
    told.append(listed([f"momentum {number(m)} eps {number(e)}" for m, e in sorted(settings)[:3]]))
    return "; ".join(told)


def at_default(layer: BatchNormFacts) -> bool:
    """True if the moving statistics are those of a layer that was never loaded or updated."""
    mean, variance = layer.moving_mean, layer.moving_variance
    if mean is None or variance is None or not mean.count:
        return False
    return mean.minimum == mean.maximum == 0 and variance.minimum == variance.maximum == 1


def _frozen(layers: tuple[LayerFacts, ...]) -> str:
    own = [layer for layer in layers if layer.parameters and not _is_model(layer)]
    frozen = [layer for layer in own if layer.trainable is False]
    if not frozen:
        return "nothing"
    count = sum(layer.parameters or 0 for layer in frozen)
    total = sum(layer.parameters or 0 for layer in own)
    return (
        f"{len(frozen)} of {counted(len(own), 'layer')} with weights, {count:,} of {total:,}"
        f" parameters; the last is {clean(frozen[-1].name)}"
    )


def _is_model(layer: LayerFacts) -> bool:
    return layer.class_name in {"Functional", "Model", "Sequential"}


def _rows(layers: tuple[LayerFacts, ...], verbose: bool) -> Iterable[tuple[str, ...]]:
    if verbose or len(layers) <= _ROWS:
        for layer in layers:
            yield (
                clean(layer.name),
                clean(layer.class_name, 60),
                "",
                _shape(layer.output_shape),
                f"{layer.parameters:,}" if layer.parameters else "",
                _remarks(layer),
            )
        return
    for (name, _), found in groupby(layers, key=lambda layer: (_block(layer.name), _state(layer))):
        block = list(found)
        sizes: dict[str, int] = {}
        for layer in block:
            if layer.parameters and not _is_model(layer):
                sizes[layer.class_name] = sizes.get(layer.class_name, 0) + layer.parameters
        largest = max(sizes, key=lambda name: sizes[name], default=block[-1].class_name)
        count = sum(sizes.values())
        yield (
            clean(name if len(block) > 1 else block[0].name),
            clean(largest, 60) + (", …" if len(sizes) > 1 else ""),
            str(len(block)) if len(block) > 1 else "",
            _shape(block[-1].output_shape),
            f"{count:,}" if count else "",
            _state(block[0]),
        )


def _block(name: str) -> str:
    """The part of a layer's name that its block shares: up to the first number or slash."""
    if "/" in name:
        return name.split("/")[0]
    found = re.match(r"(.+?_?\d+)(?=_)", name)
    return found.group(1) if found else re.sub(r"(_BN|_relu\d?|_pad|_add|_\d+)+$", "", name)


def _state(layer: LayerFacts) -> str:
    return "frozen" if layer.trainable is False else ""


def _remarks(layer: LayerFacts) -> str:
    told = [_state(layer)] if layer.parameters else []
    if layer.activation not in (None, "linear"):
        told.append(clean(layer.activation, 40))
    for call in layer.calls:
        told.extend(
            f"{clean(key, 40)}={clean(value, 40)}"
            for key, value in call.kwargs.items()
            if isinstance(value, bool | int | float | str)
        )
    if layer.dtype not in (None, "float32"):
        told.append(clean(layer.dtype, 40))
    return ", ".join(part for part in dict.fromkeys(told) if part)


def _shape(shape: Shape | None) -> str:
    if shape is None:
        return "?"
    return "×".join("·" if size is None else str(size) for size in shape[1:]) or "scalar"
