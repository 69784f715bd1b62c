"""The bar below a notebook's cell, and none where there is no notebook."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from segdoctor.report import notebook_bar


def test_no_notebook_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with notebook_bar.notebook_bar() as say:
        assert say is None


def test_it_shows_stages_and_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML = str  # type: ignore[attr-defined]
    handle = SimpleNamespace(update=shown.append)
    display.display = lambda first, display_id: handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    say: Any
    with notebook_bar.notebook_bar() as say:
        say("reading <masks>", 3, 10)
        say("reading <masks>", 4, 10)  # too soon to be drawn again
        say("asking the loss")
    assert len(shown) == 3
    assert 'value="3" max="10"' in shown[0]
    assert "reading &lt;masks&gt;" in shown[0]
    assert "<progress  " in shown[1]  # of unknown length
    assert "<progress" not in shown[2]
