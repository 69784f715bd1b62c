"""Lambdas that are recognised by what their bytecode says, and the layers that stand in for them.

The bytecode is parsed as data (:mod:`.marshal_data`), read as an expression (:mod:`.expression`)
and compared with a short list: a resize, ``expand_dims``, a scale, an activation. A function that
contains another one, or anything beyond the list, is not recognised.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from segdoctor.sources.model_file.expression import Applied, Constant, Path, Tensor, expressions
from segdoctor.sources.model_file.marshal_data import MAX_BYTES, Code, codes_in

_LARGEST_SIDE = 1 << 16
_ALIASES = frozenset({"tf", "tensorflow", "keras", "K", "backend", "ktf", "activations", "ops"})


@dataclass(frozen=True, slots=True)
class Replacement:
    """The safe layer: its class, its settings without the name, and both in words."""

    class_name: str
    config: Mapping[str, Any]
    words: str


def lambda_replacement(settings: Mapping[str, Any]) -> Replacement | None:
    """What stands in for a Lambda whose settings carry bytecode; None if it is not known."""
    parts = _parts(settings)
    if parts is None:
        return None
    text, defaults, closure, given = parts
    found = []
    for code in codes_in(_bytes_of(text)):
        if _holds_code(code.constants):
            return None
        if len(closure) != len(code.free) or len(defaults) > max(code.arguments - 1, 0):
            continue
        last = code.variables[code.arguments - len(defaults) : code.arguments]
        if len(last) != len(defaults):  # bytes that count more arguments than they name
            continue
        bound = dict(zip(last, defaults, strict=True)) | given
        bound |= zip(code.free, closure, strict=True)
        layers = (_layer(expression) for expression in expressions(code, bound))
        found += [layer for layer in layers if layer is not None]
    # Read as another Python's, the same bytes may say something else: then nothing is known.
    return found[0] if found and all(item == found[0] for item in found) else None


def _holds_code(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_holds_code(item) for item in value)
    return isinstance(value, Code)


def with_known_lambdas(value: Any) -> Any:
    """A configuration in which the layers stand that replace the known Lambdas."""
    if isinstance(value, list):
        return [with_known_lambdas(item) if isinstance(item, dict | list) else item
                for item in value]  # fmt: skip
    if not isinstance(value, Mapping):
        return value
    settings = value.get("config")
    if value.get("class_name") == "Lambda" and isinstance(settings, Mapping):
        known = lambda_replacement(settings)
        if known is None:
            return value
        kept = {key: settings[key] for key in _KEPT if key in settings}
        return {**value, "class_name": known.class_name, "config": {**kept, **known.config}}
    return {key: with_known_lambdas(item) if isinstance(item, dict | list) else item
            for key, item in value.items()}  # fmt: skip


_KEPT = ("name", "trainable", "dtype", "batch_input_shape", "batch_shape")


def _parts(
    settings: Mapping[str, Any],
) -> tuple[str, list[Any], list[Any], dict[str, Any]] | None:
    """``(code, defaults, closure, arguments)``; None where the settings carry other code as well,
    or no bytecode at all."""
    function: Any = settings.get("function")
    if isinstance(function, Mapping):
        inner = function.get("config")
        if function.get("class_name") == "__lambda__" and isinstance(inner, Mapping):
            function = [inner.get("code"), inner.get("defaults"), inner.get("closure")]
        elif function.get("class_name") == "__tuple__":
            function = function.get("items")
    if not isinstance(function, list) or len(function) != 3 or not isinstance(function[0], str):
        return None
    if settings.get("output_shape_type") not in (None, "raw") or settings.get("mask") is not None:
        return None
    given, defaults, closure = (
        _plain(settings.get("arguments") or {}),
        _plain(function[1] or []),
        _plain(function[2] or []),
    )
    if not isinstance(given, dict) or not isinstance(defaults, list):
        return None
    if not isinstance(closure, list) or _plain(settings.get("output_shape")) is _NOT_PLAIN:
        return None
    return function[0], defaults, closure, given


_NOT_PLAIN = object()


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and dicts of them; tuples and shapes as Keras wraps them."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__tuple__", "TensorShape"):
            inner = value.get("config")
            items = value.get("items", inner.get("items") if isinstance(inner, Mapping) else None)
            return _plain(items)
        if "class_name" in value:
            return _NOT_PLAIN
        found = {key: _plain(item) for key, item in value.items()}
        return _NOT_PLAIN if any(item is _NOT_PLAIN for item in found.values()) else found
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        return _NOT_PLAIN if any(item is _NOT_PLAIN for item in items) else items
    return value


def _bytes_of(text: str) -> bytes:
    """Base64 as Keras writes it from 2.0.7 on, else the bytes themselves as characters."""
    if len(text) > 2 * MAX_BYTES:
        return b""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        return text.encode("raw_unicode_escape")
    except UnicodeEncodeError:
        return b""


def _layer(expression: Any) -> Replacement | None:
    if not isinstance(expression, Applied):
        return None
    if expression.path in _OPERATORS:
        return _rescaling(expression)
    parts = expression.path.split(".")
    while len(parts) > 1 and parts[0] in _ALIASES:
        parts.pop(0)
    maker = _FUNCTIONS.get(".".join(parts))
    try:
        return None if maker is None else maker(expression)
    except (KeyError, TypeError, ValueError):
        return None


def _bound(call: Applied, *names: str) -> dict[str, Any]:
    """The call's arguments by name, as plain values; the first one must be the layer's input.

    Raises
    ------
    ValueError
        If there are others, or one is not stated in the file.
    """
    if len(call.arguments) > len(names):
        raise ValueError("more arguments than the function has")
    given = dict(zip(names, call.arguments, strict=False))
    for name, value in call.named.items():
        if name not in names or name in given:
            raise ValueError(f"the argument {name}")
        given[name] = value
    if not isinstance(given.pop(names[0]), Tensor):
        raise ValueError("not a function of the input")
    found = {}
    for name, value in given.items():
        if isinstance(value, Path):
            found[name] = value.text.rpartition(".")[2]
        elif isinstance(value, Constant):
            found[name] = value.value
        else:
            raise ValueError(f"the argument {name}")
    return {name: value for name, value in found.items() if value is not None and name != "name"}


# -- resizes ---------------------------------------------------------------------------------

_METHODS = {"bilinear": "bilinear", "BILINEAR": "bilinear", 0: "bilinear",
            "nearest": "nearest", "NEAREST_NEIGHBOR": "nearest", 1: "nearest"}  # fmt: skip


def _resize_1(call: Applied) -> Replacement | None:
    """``tf.compat.v1.image.resize`` and ``resize_images``: corners aligned, or top left fixed."""
    given = _bound(call, *_V1)
    if given.get("preserve_aspect_ratio") or _METHODS[given.get("method", 0)] != "bilinear":
        return None
    return _bilinear(given["size"], bool(given.get("align_corners", False)))


def _resize_2(call: Applied) -> Replacement | None:
    """``tf.image.resize``: half-pixel centres, unless TensorFlow 1's arguments are used."""
    if "align_corners" in call.named:
        return _resize_1(call)
    given = _bound(call, "images", "size", "method", "preserve_aspect_ratio", "antialias", "name")
    if given.get("preserve_aspect_ratio") or given.get("antialias"):
        return None
    height, width = _size(given["size"])
    method = _METHODS[given.get("method", "bilinear")]
    return Replacement(
        "Resizing",
        {"height": height, "width": width, "interpolation": method},
        f"Resizing({height}, {width}, {method!r})",
    )


def _resize_bilinear(call: Applied) -> Replacement | None:
    given = _bound(call, "images", "size", "align_corners", "name", "half_pixel_centers")
    if given.get("half_pixel_centers"):
        return None
    return _bilinear(given["size"], bool(given.get("align_corners", False)))


_V1 = ("images", "size", "method", "align_corners", "preserve_aspect_ratio", "name")


def _bilinear(size: Any, aligned: bool) -> Replacement:
    height, width = _size(size)
    config = {"output_size": [height, width]} | ({} if aligned else {"align_corners": False})
    words = f"Resize({height}×{width}, bilinear, align_corners={aligned})"
    return Replacement("BilinearUpsampling", config, words)


def _size(size: Any) -> tuple[int, int]:
    height, width = size
    if not all(type(side) is int and 0 < side <= _LARGEST_SIDE for side in (height, width)):
        raise ValueError("a size that is not stated")
    return height, width


# -- everything else -------------------------------------------------------------------------


def _expand_dims(call: Applied) -> Replacement | None:
    given = _bound(call, "input", "axis", "name")
    axis = given.get("axis", -1)
    if type(axis) is not int or not -8 < axis < 8:
        return None
    return Replacement("ExpandDims", {"axis": axis}, f"ExpandDims({axis})")


def _relu(call: Applied) -> Replacement | None:
    given = _bound(call, "x", "alpha", "max_value", "threshold", "name")
    most = given.pop("max_value", None)
    if any(value != 0 for value in given.values()) or not isinstance(most, int | float | None):
        return None
    return Replacement("ReLU", {"max_value": most}, "ReLU()" if most is None else f"ReLU({most:g})")


def _relu6(call: Applied) -> Replacement | None:
    _bound(call, "features", "name")
    return Replacement("ReLU", {"max_value": 6.0}, "ReLU(6)")


def _named(activation: str) -> Callable[[Applied], Replacement | None]:
    def maker(call: Applied) -> Replacement | None:
        given = _bound(call, "x", "axis", "name")
        return _activation(activation) if given.get("axis", -1) == -1 else None

    return maker


def _activation(name: str) -> Replacement:
    return Replacement("Activation", {"activation": name}, f"Activation({name!r})")


_OPERATORS = frozenset("+-*/")


def _rescaling(expression: Applied) -> Replacement | None:
    try:
        scale, offset = _affine(expression)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    words = f"Rescaling(x · {scale:.6g} + {offset:.6g})"
    return Replacement("Rescaling", {"scale": scale, "offset": offset}, words)


def _affine(expression: Any) -> tuple[float, float]:
    """``(a, b)`` of an expression that is ``a · x + b``."""
    if isinstance(expression, Tensor):
        return 1.0, 0.0
    if not isinstance(expression, Applied) or expression.path not in _OPERATORS:
        raise ValueError("not a scale")
    left, right = expression.arguments
    if isinstance(left, Constant):
        number, (a, b) = _number(left), _affine(right)
        match expression.path:
            case "+":
                return a, b + number
            case "-":
                return -a, number - b
            case "*":
                return a * number, b * number
        raise ValueError("a division by the input")
    (a, b), number = _affine(left), _number(right)
    match expression.path:
        case "+":
            return a, b + number
        case "-":
            return a, b - number
        case "*":
            return a * number, b * number
    return a / number, b / number


def _number(item: Any) -> float:
    if not isinstance(item, Constant) or type(item.value) not in (int, float):
        raise ValueError("not a number")
    return float(item.value)


_FUNCTIONS: dict[str, Callable[[Applied], Replacement | None]] = {
    **dict.fromkeys(("image.resize", "image.resize_v2"), _resize_2),
    **dict.fromkeys(
        ("image.resize_images", "compat.v1.image.resize", "compat.v1.image.resize_images"),
        _resize_1,
    ),
    **dict.fromkeys(("image.resize_bilinear", "compat.v1.image.resize_bilinear"), _resize_bilinear),
    "expand_dims": _expand_dims,
    "relu": _relu,
    "nn.relu": _relu,
    "nn.relu6": _relu6,
    **{
        f"{room}{name}": _named(name)
        for name in ("softmax", "sigmoid", "tanh")
        for room in ("", "nn.", "math.")
    },
}
