"""No code of a model file runs: every variant is refused, and an audit hook saw nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .hostile_models import MODULE, broken_files, hostile_files

WATCHED = """
import json, sys
MODULE, FILES = json.loads(sys.stdin.read())
seen = []
def hook(event, args):
    if event in ("os.system", "subprocess.Popen", "os.exec", "socket.connect", "pickle.find_class"):
        seen.append([event, str(args)[:200]])
    elif event == "import" and MODULE in str(args[0]):
        seen.append([event, str(args[0])])
sys.addaudithook(hook)
import segdoctor
from segdoctor.core.errors import UserError
found = []
for path in FILES:
    try:
        # `inspect` reads in the same way; every fifth file shows that it says the same.
        codes = segdoctor.inspect(path).codes if len(found) % 5 == 0 else {"MDL001"}
        checked = segdoctor.check(path, trial=False, select="MDL")
        code = [f.message for f in checked.findings if f.code == "MDL001"]
        found.append([checked.exit_code, codes >= {"MDL001"}, code, checked.headline])
    except UserError as error:
        found.append([2, False, [str(error)], ""])
loaded = [name for name in ("tensorflow", "keras", "tf_keras", MODULE) if name in sys.modules]
print(json.dumps({"found": found, "seen": seen, "loaded": loaded}))
"""


def watched(paths: list[Path], folder: Path) -> dict[str, Any]:
    """What ``inspect`` and ``check`` say of the files, and what an audit hook saw meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{WATCHED}"],
        input=json.dumps([MODULE, [str(path) for path in paths]]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hostile")
    marker = folder / "marker"
    files = dict(hostile_files(folder, marker))
    broken = dict(broken_files(folder, marker))
    result = watched([*files.values(), *broken.values()], folder)
    told = dict(zip([*files, *broken], result.pop("found"), strict=True))
    return {**result, "marker": marker, "told": told, "hostile": list(files), "broken": [*broken]}


def test_nothing_ran(judged: dict[str, Any]) -> None:
    assert len(judged["hostile"]) >= 100
    assert not judged["marker"].exists()
    assert judged["seen"] == []
    assert judged["loaded"] == []


def test_every_variant_is_refused_with_what_was_found(judged: dict[str, Any]) -> None:
    passed = {
        name: judged["told"][name]
        for name in judged["hostile"]
        if judged["told"][name][0] != 4
        or not judged["told"][name][1]
        or not judged["told"][name][2]
    }
    assert passed == {}
    assert all("--trust" in judged["told"][name][3] for name in judged["hostile"])


def test_what_is_no_model_is_one_line(judged: dict[str, Any]) -> None:
    for name in judged["broken"]:
        code, _, lines, _ = judged["told"][name]
        assert code == 2, name
        assert "\n" not in lines[0]
