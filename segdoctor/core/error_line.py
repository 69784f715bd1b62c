"""A stranger's exception as one line."""

from __future__ import annotations

import re

from segdoctor.core.clean import clean

_TELLING = ("Received a label value", "must have the same", "Incompatible shapes", "shapes")


def error_line(error: BaseException, limit: int = 200) -> str:
    """The kind of the exception and the sentence that says what is wrong, if there is one.

    TensorFlow puts the failed operation's name before its message, and the call stack and the
    values behind it; AutoGraph puts the stack of the user's code before both: they are left out.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0] == "in user code:":
        lines = _behind_the_stack(lines)
    telling = next((line for line in lines if any(part in line for part in _TELLING)), None)
    line = re.sub(r"^\{\{.*?\}\}\s*", "", telling or (lines[0] if lines else ""))
    if "Received a label value" in line:
        line = line[line.index("Received a label value") :].partition("  Label values")[0]
    line = re.sub(r"\s*\[Op:\w+\]( name:.*)?$", "", line)
    return clean(f"{type(error).__name__}: {line}".rstrip(": "), limit)


def _behind_the_stack(lines: list[str]) -> list[str]:
    """What follows the stack, without the exception's name; all lines where nothing does."""
    named = [i for i, line in enumerate(lines) if re.match(r"\w*(Error|Exception): ", line)]
    if not named:
        return lines[1:]
    return [lines[named[-1]].partition(": ")[2], *lines[named[-1] + 1 :]]
