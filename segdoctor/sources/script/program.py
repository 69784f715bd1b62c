"""What is run: a script, a notebook or a module, as Python itself would run it."""

from __future__ import annotations

import builtins
import json
import linecache
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.given_file import given_bytes, given_text

_OF_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")


@dataclass(frozen=True, slots=True)
class Program:
    """``name`` for the report; ``first`` is what stands in ``sys.path[0]`` and ``argv0`` in
    ``sys.argv[0]``; ``run`` runs it as ``__main__``. ``left_out``: lines that were not run."""

    name: str
    argv0: str
    first: str
    run: Callable[[], Any]
    left_out: tuple[str, ...] = ()


def program_of(target: str, *, module: bool = False) -> Program:
    """
    Raises
    ------
    UserError
        If there is no such file or module, or if it is not Python.
    """
    if module:
        return Program(
            target,
            "-m",
            os.getcwd(),
            lambda: runpy.run_module(target, run_name="__main__", alter_sys=True),
        )
    path = Path(target)
    if not os.path.isfile(path):  # False also where no one may look, or the name is too long
        raise UserError(f"{clean(target)}: expected a script or a notebook, there is no such file")
    folder = os.path.dirname(os.path.realpath(target))
    if path.suffix == ".ipynb":
        cells, left_out = _cells(path)
        return Program(target, target, folder, lambda: _run_cells(target, cells), left_out)
    return Program(target, target, folder, lambda: _run_file(path))


@contextmanager
def as_main(program: Program, args: Sequence[str]) -> Iterator[None]:
    """``sys.argv``, ``sys.path[0]`` and ``__main__`` as the program expects them, for a while."""
    held = (sys.argv, list(sys.path), sys.modules.get("__main__"))
    sys.argv = [program.argv0, *args]
    sys.path.insert(0, program.first)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = held[0], held[1]
        if held[2] is not None:
            sys.modules["__main__"] = held[2]


def _run_file(path: Path) -> None:
    try:
        code = compile(given_bytes(path), os.fspath(path), "exec")
    except OSError as error:
        raise UserError(f"{clean(path)}: it cannot be read: {clean(error.strerror)}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _NotPythonError(f"{clean(path)}: it is not Python: {clean(error)}") from error
    exec(code, _main(os.fspath(path)))


class _NotPythonError(UserError):
    """A file that Python cannot compile."""


def _main(file: str) -> dict[str, Any]:
    module = ModuleType("__main__")
    module.__dict__.update(__file__=file, __builtins__=builtins)
    sys.modules["__main__"] = module
    return module.__dict__


def _cells(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The code cells of a notebook, and the lines that only IPython in a notebook could run."""
    try:
        notebook = json.loads(given_text(path))
        cells = [
            cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            for cell in notebook["cells"]
            if cell["cell_type"] == "code"
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{clean(path)}: expected a notebook of format 4 (JSON with cells): "
            f"{clean(type(error).__name__)} {clean(error, 80)}"
        ) from error
    plain, left_out = [], []
    for cell in cells:
        lines: list[str] = []
        word = cell.lstrip().partition("\n")[0].strip()
        if word.startswith("%%") and word.split()[0] not in _OF_PYTHON:  # another language
            left_out.append(word)
            plain.append("")
            continue
        for line in cell.splitlines():
            magic = line.lstrip()[:1] in ("%", "!")
            lines.append(line[: len(line) - len(line.lstrip())] + "pass" if magic else line)
            left_out += [line.strip()] if magic else []
        plain.append("\n".join(lines))
    return plain, tuple(left_out)


def _run_cells(name: str, cells: Sequence[str]) -> None:
    namespace = _main(name)
    for number, source in enumerate(cells, 1):
        file = f"{name}, cell {number}"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            code = compile(source, file, "exec")
        except (SyntaxError, ValueError) as error:
            raise _NotPythonError(f"{clean(file)}: it is not Python: {clean(error)}") from error
        exec(code, namespace)


def own_traceback(error: BaseException) -> str:
    """The traceback as Python would print it: without our frames around the script's."""
    trace = error.__traceback__
    while trace is not None and _ours(trace):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))


def _ours(trace: TracebackType) -> bool:
    name = str(trace.tb_frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in ("segdoctor", "runpy") or (
        "importlib" in trace.tb_frame.f_code.co_filename
    )
