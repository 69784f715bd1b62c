"""Where in the user's script something stands: the frames that are the user's, and loops."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
from collections.abc import Iterator
from types import FrameType
from typing import Any

from segdoctor.core.finding import Place

_NOT_THE_USERS = frozenset(
    ("keras", "tf_keras", "tensorflow", "segdoctor", "wrapt", "runpy", "importlib", "contextlib")
)
_STARTED_BY = "segdoctor.sources.script.program"
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def is_users(frame: FrameType) -> bool:
    """Whether a frame runs the user's code, and not a library's or ours."""
    name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    file = frame.f_code.co_filename
    return name not in _NOT_THE_USERS and "__autograph_generated" not in file and file[:1] != "<"


def users_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The user's frames from ``frame`` outwards, up to the one in which we started the script."""
    while frame is not None and frame.f_globals.get("__name__") != _STARTED_BY:
        if is_users(frame):
            yield frame
        frame = frame.f_back


def place_of(frame: FrameType | None, words: str) -> Place | None:
    """The innermost line of the user's at or above ``frame``."""
    for found in users_frames(frame):
        return Place(shown(found.f_code.co_filename), found.f_lineno, words)
    return None


def place_of_code(thing: Any, words: str) -> Place | None:
    """Where a function, or the class of an object, is defined, if that is the user's code."""
    function = inspect.unwrap(thing) if callable(thing) else thing
    if not hasattr(function, "__code__"):
        owner = type(thing)
        function = vars(owner).get("call") or vars(owner).get("__call__")
    code = getattr(function, "__code__", None)
    module = str(getattr(function, "__module__", "")).partition(".")[0]
    if code is None or module in _NOT_THE_USERS:
        return None
    return Place(shown(code.co_filename), code.co_firstlineno, words)


def shown(file: str) -> str:
    """A file as the user would write it: relative to the working directory where it lies below."""
    try:
        near = os.path.relpath(file)
    except ValueError:  # another drive
        return file
    return file if near.startswith("..") or not os.path.isabs(file) else near


def repeated(frame: FrameType | None) -> bool:
    """Whether a line of the user's that leads here stands in a loop."""
    return any(_in_loop(found) for found in users_frames(frame))


def _in_loop(frame: FrameType) -> bool:
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    first, line = frame.f_code.co_firstlineno, frame.f_lineno
    return any(
        node.lineno >= first and node.body[0].lineno <= line <= (node.end_lineno or line)
        for node in ast.walk(tree)
        if isinstance(node, _LOOPS)
    )
