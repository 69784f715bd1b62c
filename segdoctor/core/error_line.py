"""A stranger's exception as one line."""

from __future__ import annotations

import re

from segdoctor.core.clean import clean

_TELLING = ("Received a label value", "must have the same", "Incompatible shapes", "shapes")


def error_line(error: BaseException, limit: int = 200) -> str:
    """The kind of the exception and the sentence that says what is wrong, if there is one.

    TensorFlow puts the failed operation's name before its message, and the call stack and the
    values behind it: they are left out.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = next((line for line in lines if any(part in line for part in _TELLING)), None)
    line = re.sub(r"^\{\{.*?\}\}\s*", "", telling or (lines[0] if lines else ""))
    if "Received a label value" in line:
        line = line[line.index("Received a label value") :].partition("  Label values")[0]
    line = re.sub(r"\s*\[Op:\w+\]( name:.*)?$", "", line)
    return clean(f"{type(error).__name__}: {line}".rstrip(": "), limit)
