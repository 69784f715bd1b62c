"""Do classes and pixels keep their places between the scores and the output? An exact test.

Single marks are set in the scores, one pixel and one class each, and looked for behind the
layers that follow. ``Reshape((C, H·W))`` and ``Permute`` on channels-last scores send one pixel's
classes to neighbouring pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.network_facts import PixelOrder
from segdoctor.core.probe import NotExaminedError
from segdoctor.measures.graph_depth import layer_sources
from segdoctor.measures.head_path import head_path
from segdoctor.recorder.surgery import keras_of

_MOVES = ("Reshape", "Permute", "Flatten", "Lambda", "TFOpLambda", "RepeatVector")
_MARKS = 16
_HIGH = 12.0
_FREE = (6, 10)  # unlike, so that a transposition shows


def pixel_order(model: Any, graph: GraphFacts) -> PixelOrder | None:
    """None where nothing behind the scores moves values about.

    Raises
    ------
    NotExaminedError
        If such layers are there and cannot be cut off to be tested.
    """
    path = head_path(graph)
    if path.scores is None or "/" in path.scores.name:
        return None
    try:
        scores = model.get_layer(path.scores.name)
        tensor = scores.output
    except (ValueError, AttributeError):
        return None
    layers = _behind(model, scores)
    moving = [layer for layer in layers if _moves(layer)]
    if not moving or len(tensor.shape) != 4:
        return None
    if path.scores.config.get("data_format") == "channels_first":
        raise NotExaminedError("the scores have their channels first")
    in_line = _in_line(graph, [scores, *layers])
    try:
        tail = in_line or keras_of(model).Model(tensor, model.outputs[0])
    except Exception as error:
        # The boundary: Keras refuses graphs that it cannot cut, each with an error of its own.
        raise NotExaminedError(
            f"the layers behind {path.scores.name} cannot be cut off ({type(error).__name__})"
        ) from error
    grid = tuple(size or free for size, free in zip(tensor.shape[1:3], _FREE, strict=True))
    first = path.class_axis == 1 and len(model.outputs[0].shape) == 4
    order = (0, 2, 3, 1) if first else ()
    return _tested(tail, (int(grid[0]), int(grid[1])), int(tensor.shape[3]), moving, order)


def _in_line(graph: GraphFacts, layers: list[Any]) -> Any:
    """The layers behind the first one, called one after the other; None where they are no line."""
    sources = layer_sources(graph)
    if any(
        sources.get(behind.name) != (layer.name,) for layer, behind in pairwise(layers)
    ) or graph.outputs != (layers[-1].name,):
        return None

    def tail(x: Any, training: bool) -> Any:
        for layer in layers[1:]:
            x = layer(x, training=training) if layer.weights else layer(x)
        return x

    return tail


def _moves(layer: Any) -> bool:
    kind = type(layer).__name__
    module = type(layer).__module__.partition(".")[0]
    return kind in _MOVES or module not in ("keras", "tf_keras")


def _behind(model: Any, scores: Any) -> list[Any]:
    layers = list(model.layers)
    return layers[layers.index(scores) + 1 :]


def _tested(
    tail: Any,
    grid: tuple[int, int],
    classes: int,
    moving: list[Any],
    order: tuple[int, ...] = (),
) -> PixelOrder:
    """``order``: how the axes of the output are put for the classes to be last."""
    height, width = grid
    random = np.random.default_rng(0)
    marks = [
        (int(random.integers(height)), int(random.integers(width)), place % classes)
        for place in range(_MARKS)
    ]
    x = np.zeros((len(marks) + 1, height, width, classes), np.float32)
    for index, (row, column, label) in enumerate(marks):
        x[index + 1, row, column, label] = _HIGH
    y = np.asarray(tail(x, training=False), dtype=np.float64)
    y = y.transpose(order) if order else y
    y = _on_grid(y, grid)
    moved = y[1:] - y[:1]
    place_right = class_right = told = 0
    for change, (row, column, label) in zip(moved, marks, strict=True):
        if not change.any():  # behind an arg max the first class shows no mark
            continue
        told += 1
        where = np.unravel_index(int(np.abs(change).sum(axis=-1).argmax()), change.shape[:2])
        scale = (change.shape[0] / height, change.shape[1] / width)
        wanted = [(mark + 0.5) * s - 0.5 for mark, s in zip((row, column), scale, strict=True)]
        near = all(
            abs(a - b) <= max(s, 1.0) - 0.4 for a, b, s in zip(where, wanted, scale, strict=True)
        )
        place_right += near
        class_right += int(change[where].argmax()) == label
    if not told:
        raise NotExaminedError("the output does not answer to the scores")
    names = tuple(str(layer.name) for layer in moving)
    return PixelOrder(told, place_right, class_right, names)


def _on_grid(y: NDArray[np.float64], grid: tuple[int, int]) -> NDArray[np.float64]:
    """(N, pixels, C) as (N, H, W, C): the pixels are those of the grid, or of a finer one."""
    if y.ndim == 4:
        return y
    if y.ndim != 3:
        raise NotExaminedError(f"the output of shape {y.shape[1:]} has no pixels")
    finer = round((y.shape[1] / (grid[0] * grid[1])) ** 0.5)
    if grid[0] * grid[1] * finer**2 != y.shape[1]:
        raise NotExaminedError(f"the {y.shape[1]} rows of the output are no grid of pixels")
    return y.reshape(len(y), grid[0] * finer, grid[1] * finer, y.shape[2])
