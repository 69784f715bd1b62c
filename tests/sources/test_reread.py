"""What the source says of a second ``fit``, without running on."""

from __future__ import annotations

import linecache
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from segdoctor.sources.script import reread

FROZEN = "base.trainable = False\nm.compile(a, b)\nm.fit(x, HERE(m))\n"
THAW = "def thaw(n, on):\n"
CASES = [
    ("base.trainable = True\nm.fit(x)\n", 5),
    ("base.trainable = True; m.fit(x)\n", 4),
    ("base.trainable = True\nm.compile(a, b); m.fit(x)\n", None),
    ("base.trainable = True; m.compile(a, b); m.fit(x)\n", None),
    ("base.trainable = True\nbuild(m)\nm.fit(x)\n", None),
    ("m.fit(x)\n", None),
    (f"{THAW}    for layer in n:\n        layer.trainable = on\nthaw([base], True)\nm.fit(x)\n", 8),
    ("def thaw(n):\n    n.trainable = True\nthaw(n=m)\nm.fit(x)\n", 7),
    ("def thaw(n):\n    n.trainable = True\n    n.compile(a, b)\nthaw(m)\nm.fit(x)\n", None),
    ("def thaw(n):\n    n.trainable = True\n    again(n)\nthaw(m)\nm.fit(x)\n", None),
]  # fmt: skip


@pytest.mark.parametrize(("behind", "line"), CASES)
def test_a_compile_between_counts_also_on_the_same_line(
    behind: str, line: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FROZEN + behind
    linecache.cache["reread.py"] = (len(source), None, source.splitlines(keepends=True), "x")
    layer = SimpleNamespace(trainable=False)
    model = SimpleNamespace(_flatten_layers=lambda: [layer], compile=lambda *a: None)
    model.fit = lambda *a: None
    monkeypatch.setattr(reread, "users_frames", lambda frame: iter([frame]))
    found: list[Any] = []

    def here(m: Any) -> None:
        if not found:
            layer.trainable = False
            found.append(reread.later_fit(sys._getframe(1), m))

    names = {
        "base": layer,
        "m": model,
        "a": 1,
        "b": 2,
        "x": 3,
        "HERE": here,
        "build": id,
        "again": id,
    }
    exec(compile(source, "reread.py", "exec"), names)
    assert (found[0] and found[0].fitted) == line
