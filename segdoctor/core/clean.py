"""The one function through which every outside string passes before it is shown."""

from __future__ import annotations

import unicodedata

_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: object, limit: int = 400) -> str:
    """``text`` without control, format and surrogate characters, cut to ``limit`` characters.

    Layer names, file names, class names and error texts come from strangers: escape sequences
    (ESC, OSC, C1), bidirectional overrides and line breaks would otherwise reach the terminal.
    Dropped characters are shown as ``·`` so that two names do not become the same.
    """
    plain = str(text)
    if len(plain) <= limit and plain.isascii() and plain.isprintable():
        return plain
    shown = "".join(
        "·" if unicodedata.category(character) in _DROPPED else character
        for character in plain.replace("\n", " ").replace("\t", " ")
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
