"""The code of a notebook as plain Python: what only IPython understands is left out, and named."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.given_file import given_text

_CELLS_OF_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")
_BEFORE_PYTHON = re.compile(r"%(?:time|timeit|prun|memit)\s+(?:-\w+(?:\s+\d+)?\s+)*(?=[^\s-])")
_MOVED = re.compile(r"%cd\s+(?:-q\s+)?['\"]?([^'\"]+?)['\"]?\s*$")
_ASSIGNED = re.compile(r"(\s*[\w., \[\]]+=\s*)[!%]")
_ASKED = re.compile(r"\s*\??\??[\w.]+\??\??\s*$")


def cells_of(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The code cells, and the lines of them that are not run.

    Raises
    ------
    UserError
        If it is no notebook of format 4.
    """
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
    plain: list[str] = []
    left_out: list[str] = []
    for cell in cells:
        text, left = _as_python(cell)
        plain.append(text)
        left_out += left
    return plain, tuple(left_out)


def _as_python(cell: str) -> tuple[str, list[str]]:
    """``(the cell as Python, the lines that were left out)``.

    A line is IPython's where Python cannot read it: one that begins with ``%`` may also be the
    rest of an expression.
    """
    word = cell.lstrip().partition("\n")[0].strip()
    if word.startswith("%%") and word.split()[0] not in _CELLS_OF_PYTHON:  # another language
        return "", [word]
    lines, left_out = cell.splitlines(), []
    for _ in range(len(lines)):
        number = _first_that_is_none("\n".join(lines))
        if number is None or number > len(lines):
            break
        line = lines[number - 1]
        plain = _plain(line)
        if plain is None:
            break  # Python's own error is told
        if plain.endswith(("pass", "= []")) and not line.startswith(_CELLS_OF_PYTHON):
            left_out.append(line.strip())
        lines[number - 1] = plain
    return "\n".join(lines), left_out


def _first_that_is_none(text: str) -> int | None:
    """The number of the first line that Python cannot read."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.lineno
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _plain(line: str) -> str | None:
    """What stands for ``line`` in Python; None if it is not IPython's either."""
    indent = line[: len(line) - len(line.lstrip())]
    rest = line.lstrip()
    if _BEFORE_PYTHON.match(rest):
        return indent + _BEFORE_PYTHON.sub("", rest, count=1)
    moved = _MOVED.match(rest)
    if moved:
        return f"{indent}__import__('os').chdir({moved.group(1)!r})"
    if rest[:1] in ("%", "!") or (_ASKED.match(rest) and "?" in rest):
        return f"{indent}pass"
    assigned = _ASSIGNED.match(line)
    return None if assigned is None else f"{assigned.group(1)}[]"
