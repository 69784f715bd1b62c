"""What is run: a script, a notebook or a module, as Python itself would run it."""

from __future__ import annotations

import builtins
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
from segdoctor.core.given_file import given_bytes
from segdoctor.sources.script.notebook import cells_of


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
        cells, left_out = cells_of(path)
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


def _run_cells(name: str, cells: Sequence[str]) -> None:
    namespace = _main(name)
    namespace.update(display=_display, get_ipython=lambda: None)  # IPython's own are at hand
    for number, source in enumerate(cells, 1):
        file = f"{name}, cell {number}"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            code = compile(source, file, "exec")
        except (SyntaxError, ValueError) as error:
            raise _NotPythonError(f"{clean(file)}: it is not Python: {clean(error)}") from error
        with _figures_unseen():
            exec(code, namespace)


def _display(*objects: Any, **options: Any) -> None:
    """As IPython's ``display`` does where there is no notebook."""
    for shown in objects:
        print(repr(shown))


@contextmanager
def _figures_unseen() -> Iterator[None]:
    """``plt.show()`` shows within the page in a notebook: no window is opened and waited for."""
    given = os.environ.get("MPLBACKEND")
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        yield
    finally:
        if given is None:
            os.environ.pop("MPLBACKEND", None)


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
