"""What to change in the user's script, as a unified diff where the place is plain."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_LOSSES = {
    "SparseCategoricalCrossentropy": ("from_logits", "ignore_class"),
    "CategoricalCrossentropy": ("from_logits",),
    "BinaryCrossentropy": ("from_logits",),
}
_BY_NAME = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
}
_OPTIMIZERS = (
    *("Adam", "AdamW", "SGD", "RMSprop", "Adadelta", "Adagrad", "Adamax", "Nadam", "Ftrl"),
    *("Lion", "Adafactor"),
)
_HEADS = ("softmax", "sigmoid", "relu", "tanh")
Edit = tuple[int, int, str]  # from, to (in characters), and what stands there then


def diff_of(path: str | Path, patch: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """``(a unified diff, the names of the patch that it covers)``; "" where nothing is plain.

    An entry is covered only if there is exactly one place in the file that it can mean.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return "", ()
    source = _Source(text, tree)
    edits: list[Edit] = []
    covered = []
    for names, find in (
        (("loss.from_logits", "loss.ignore_class"), source.loss),
        (("optimizer.name", "optimizer.learning_rate"), source.optimizer),
        (("head.activation",), source.activation),
    ):
        asked = {name: patch[name] for name in names if name in patch}
        found = find(asked) if asked else None
        if found:
            edits += found
            covered += list(asked)
    new = text
    for start, end, words in sorted(edits, reverse=True):
        new = new[:start] + words + new[end:]
    lines = difflib.unified_diff(
        text.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines), tuple(covered)


class _Source:
    """A script, and where its calls stand."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self._text = text
        starts = [0]
        self._lines = text.splitlines(keepends=True)
        for line in self._lines:
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self._keras = next(_keras_names(tree), "keras")

    def loss(self, asked: Mapping[str, Any]) -> list[Edit] | None:
        options = {name.partition(".")[2]: value for name, value in asked.items()}
        call = _only(c for c in self._calls if _last(c.func) in _LOSSES)
        if call is not None:
            if set(options) - set(_LOSSES[_last(call.func)]) or call.args:
                return None
            return [self._keyword(call, name, repr(value)) for name, value in options.items()]
        named = _only(self._compiled("loss", 1))
        if named is None or not isinstance(named, ast.Constant):
            return None
        known = _BY_NAME.get(str(named.value), "")
        if not known or set(options) - set(_LOSSES[known]):
            return None
        told = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return [(*self._span(named), f"{self._keras}.losses.{known}({told})")]

    def optimizer(self, asked: Mapping[str, Any]) -> list[Edit] | None:
        rate, name = asked.get("optimizer.learning_rate"), asked.get("optimizer.name")
        call = _only(c for c in self._calls if _last(c.func) in _OPTIMIZERS)
        if call is not None:
            if name is not None:  # the options of one are not those of the other
                words = f"{self._keras}.optimizers.{name}({'' if rate is None else repr(rate)})"
                return [(*self._span(call), words)]
            if call.args:
                return [(*self._span(call.args[0]), repr(rate))]
            return [self._keyword(call, "learning_rate", repr(rate))]
        named = _only(self._compiled("optimizer", 0))
        if not isinstance(named, ast.Constant) or not isinstance(named.value, str):
            return None
        kinds = {kind.lower(): kind for kind in _OPTIMIZERS}
        kind = name or kinds.get(named.value.lower())
        if kind is None:
            return None
        given = "" if rate is None else repr(rate)
        return [(*self._span(named), f"{self._keras}.optimizers.{kind}({given})")]

    def activation(self, asked: Mapping[str, Any]) -> list[Edit] | None:
        if asked["head.activation"] != "remove":
            return None
        found = []
        for call in self._calls:
            held = [k.value for k in call.keywords if k.arg == "activation"]
            if _last(call.func) == "Activation":
                held += call.args[:1]
            found += [v for v in held if isinstance(v, ast.Constant) and v.value in _HEADS[:2]]
        value = _only(iter(found))
        return None if value is None else [(*self._span(value), "None")]

    def _compiled(self, keyword: str, place: int) -> Iterator[ast.expr]:
        """What ``compile`` is given for ``keyword``."""
        for call in self._calls:
            if _last(call.func) == "compile" and isinstance(call.func, ast.Attribute):
                named = [k.value for k in call.keywords if k.arg == keyword]
                yield from named or call.args[place : place + 1]

    def _keyword(self, call: ast.Call, name: str, value: str) -> Edit:
        for keyword in call.keywords:
            if keyword.arg == name:
                return (*self._span(keyword.value), value)
        end = self._span(call)[1] - 1
        before = self._text[:end].rstrip()
        comma = "" if before[-1] in "(," else ", "
        return (end, end, f"{comma}{name}={value}")

    def _span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._place(node.lineno, node.col_offset),
            self._place(node.end_lineno, node.end_col_offset),
        )

    def _place(self, line: int, column: int) -> int:
        """Columns are counted in bytes of UTF-8."""
        ahead = self._lines[line - 1].encode()[:column].decode("utf-8", "ignore")
        return self._starts[line - 1] + len(ahead)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _only(found: Iterator[Any]) -> Any:
    """The one that there is; None for none and for several."""
    several: Sequence[Any] = list(found)
    return several[0] if len(several) == 1 else None


def _keras_names(tree: ast.Module) -> Iterator[str]:
    """How the script calls Keras."""
    match: Callable[[str], bool] = lambda name: name in ("keras", "tf_keras")  # noqa: E731
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "tensorflow":
            yield from (a.asname or a.name for a in node.names if a.name == "keras")
        if isinstance(node, ast.Import):
            yield from (a.asname or a.name for a in node.names if match(a.name))
            yield from (
                f"{a.asname}.keras" for a in node.names if a.name == "tensorflow" and a.asname
            )
