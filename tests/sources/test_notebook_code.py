"""What is run of a notebook: its Python, without what only IPython can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdoctor.core.errors import UserError
from segdoctor.sources.script.notebook import cells_of

CASES = [
    ("%matplotlib inline\nx = 1", "pass\nx = 1", ["%matplotlib inline"]),
    ("%time h = model.fit(x)", "h = model.fit(x)", []),
    ("for i in x:\n    %timeit -n 1 -r 2 f(i)", "for i in x:\n    f(i)", []),
    ("%%time\nmodel.fit(x)", "pass\nmodel.fit(x)", []),
    ("%%bash\nls", "", ["%%bash"]),
    ("files = !ls *.py", "files = []", ["files = !ls *.py"]),
    ("%cd -q 'a b'", "__import__('os').chdir('a b')", []),
    ("if x:\n    !pip install y\n", "if x:\n    pass", ["!pip install y"]),
    ("model?\n?model.fit", "pass\npass", ["model?", "?model.fit"]),
    # Python, though a line of it looks otherwise
    ("print('%d'\n  % 3)", "print('%d'\n  % 3)", []),
    ("t = '''\n%no\n!no\n'''", "t = '''\n%no\n!no\n'''", []),
    ("print('what?')  # really?", "print('what?')  # really?", []),
    ("def (:", "def (:", []),  # Python's own error is told when it is run
]


@pytest.mark.parametrize(("cell", "plain", "left_out"), CASES, ids=lambda v: str(v)[:12])
def test_a_cell(tmp_path: Path, cell: str, plain: str, left_out: list[str]) -> None:
    path = tmp_path / "n.ipynb"
    cells = [{"cell_type": "markdown", "source": "!"}, {"cell_type": "code", "source": cell}]
    path.write_text(json.dumps({"cells": cells}))
    assert cells_of(path) == ([plain], tuple(left_out))


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', '{"cells": [{}]}', "[" * 99_999])
def test_what_is_no_notebook_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(UserError, match="expected a notebook"):
        cells_of(path)
