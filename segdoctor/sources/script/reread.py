"""Reads on in the script behind its first ``fit``: is ``trainable`` changed, and fitted again
without a compile in between? Running on would mean to train, so here the source is read."""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Iterator
from types import FrameType
from typing import Any

from segdoctor.core.training_facts import LaterFit
from segdoctor.sources.script.places import shown, users_frames

_FITS = ("fit", "fit_generator", "train_on_batch")
_HARMLESS = frozenset(
    ("summary", "evaluate", "predict", "save", "save_weights", "get_layer", "count_params")
)


def later_fit(caller: FrameType | None, model: Any) -> LaterFit | None:
    """The next ``fit`` of the same scope that comes after a change of ``trainable`` and has no
    compile in between; None if there is none, or if a call in between may have compiled."""
    frame = next(users_frames(caller), None)
    if frame is None:
        return None
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    found = _events(_scope(tree, frame.f_lineno), _functions(tree))
    events = sorted(found, key=lambda event: (event[0], event[4]))
    receiver = next((e[3] for e in events if e[2] == "fit" and _on(e, frame.f_lineno)), None)
    if receiver is None:
        return None
    changed = 0
    for event in events:
        _, line, kind, detail, _ = event
        if event[1] <= frame.f_lineno:
            continue
        if kind == "compile" or (kind == "call" and detail == receiver):
            return None
        if kind == "flag" and _changes(model, detail):
            changed = changed or line
        if kind == "fit" and detail == receiver:
            if changed:
                return LaterFit(shown(frame.f_code.co_filename), changed, line)
            return None
    return None


def _on(event: tuple[Any, ...], line: int) -> bool:
    return bool(event[0] <= line <= event[1])


def _scope(tree: ast.Module, line: int) -> list[ast.stmt]:
    """The body of the innermost function that holds ``line``, else the module's."""
    best: Any = tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or line):
            best = node if best is tree or node.lineno >= best.lineno else best
    return list(best.body)


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions and methods of the script by their names, where a name is one's alone."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    names = [node.name for node in found]
    return {node.name: node for node in found if names.count(node.name) == 1}


def _flags_within(call: ast.Call, functions: dict[str, ast.FunctionDef]) -> list[object] | None:
    """What a function of the script's own sets ``trainable`` to, where that is all it may do to a
    model: None if it may compile or train, or is no function of the script."""
    of_self = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self"
    name = call.func.attr if isinstance(call.func, ast.Attribute) and of_self else ""
    name = call.func.id if isinstance(call.func, ast.Name) else name
    function = functions.get(name)
    if function is None:
        return None
    names = [argument.arg for argument in function.args.args][of_self:]
    given: dict[str | None, ast.expr] = {}
    given |= dict(zip(names, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords}
    found: list[object] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            passes = any(_named(argument) for argument in node.args)
            plain = isinstance(node.func, ast.Name) and hasattr(builtins, node.func.id)
            if called in (*_FITS, "compile") or (passes and not plain and not called):
                return None
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == "trainable":
                    value: Any = node.value
                    value = given.get(value.id, value) if isinstance(value, ast.Name) else value
                    found.append(value.value if isinstance(value, ast.Constant) else None)
    return found


def _events(
    body: list[ast.stmt], functions: dict[str, ast.FunctionDef]
) -> Iterator[tuple[int, int, str, Any, int]]:
    """``(first line, last line, kind, detail, column)`` of what matters; no nested function."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
        column = getattr(node, "col_offset", 0)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == "trainable":
                    value = node.value.value if isinstance(node.value, ast.Constant) else None
                    yield first, last, "flag", value, column
        if not isinstance(node, ast.Call):
            continue
        flags = _flags_within(node, functions)
        if flags:
            yield from ((first, last, "flag", value, column) for value in flags)
            continue
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        yield from ((first, last, "call", ast.unparse(a), column) for a in arguments if _named(a))
        if isinstance(node.func, ast.Attribute):
            receiver, name = ast.unparse(node.func.value), node.func.attr
            if name in _FITS:
                yield first, last, "fit", receiver, column
            elif name == "compile":
                yield first, last, "compile", receiver, column
            elif name not in _HARMLESS:
                yield first, last, "call", receiver, column


def _named(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _changes(model: Any, value: object) -> bool:
    """Whether some layer of the model now has the other flag."""
    if not isinstance(value, bool):
        return False
    return any(bool(layer.trainable) is not value for layer in model._flatten_layers())
