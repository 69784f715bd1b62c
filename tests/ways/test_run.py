"""``segdoctor run``: scripts in the styles people write, sick and healthy, up to their training.

They run in this process, without a trial: what is tested is what was captured, and that the first
code is the right one.
"""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import segdoctor
from segdoctor.core.errors import UntrainedError, UserError
from segdoctor.report.report import Report

SCRIPTS = Path(__file__).parent / "scripts"

SICK = [
    ("arrays.py", "OUT001", "fit", "compile"),
    ("class_based.py", "IGN003", "fit", "self.model.compile"),
    ("sequence.py", "LBL001", "fit", "model.fit"),
    ("generators.py", "HIST006", "fit", "model.fit"),
    ("own_train_step.py", "LOSS010", "fit", "def dice"),
    ("tape_loop.py", "OUT002", "a GradientTape loop", "optimizer.apply"),
    ("two_phase.py", "BN010", "fit", "backbone.trainable = True"),
    ("mixed_precision.py", "OPT006", "a GradientTape loop", "optimizer.apply"),
    ("main_with_arguments.py", "GRAD007", "fit", "model.fit"),
    ("on_batches.py", "OPT001", "train_on_batch", "compile"),
    ("legacy.py", "LBL008", "fit", "model.fit"),
]
HEALTHY = ["tf_data.py", "eager_loop.py", "two_phase_sound.py"]


@pytest.fixture(autouse=True)
def _in_the_scripts_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SCRIPTS)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a name\n" * 3))


def ran(script: str | Path, *args: str, **options: Any) -> Report:
    return segdoctor.run(script, args, **{"trial": False, **options})


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{text}")
    return str(path)


@pytest.mark.parametrize(("script", "code", "how", "line"), SICK, ids=lambda v: str(v)[:20])
def test_a_sick_script_gets_the_right_code_first(
    script: str, code: str, how: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ran(script)
    leading = [f for f in report.findings if not f.because_of]
    assert leading[0].code == code, report.codes
    assert (report.run["caught_at"], report.exit_code, report.kind) == (how, 1, "run")
    place = leading[0].place
    assert place is not None
    text = Path(script).read_text().splitlines()
    assert (Path(place.file).name, line in text[place.line - 1]) == (script, True), place
    assert "after" not in capsys.readouterr().out


@pytest.mark.parametrize("script", HEALTHY)
def test_a_healthy_script_has_no_error(script: str) -> None:
    report = ran(script)
    assert (report.exit_code, [f for f in report.findings if f.severity == "error"]) == (0, [])


def test_the_script_finds_its_arguments_and_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    before = (list(sys.argv), list(sys.path), sys.modules["__main__"])
    report = ran("main_with_arguments.py", "--epochs", "900", "--freeze", "0")
    assert "arguments ['--epochs', '900', '--freeze', '0'] a name" in capsys.readouterr().out
    assert report.exit_code == 0
    assert before == (sys.argv, sys.path, sys.modules["__main__"])


def test_continue_trains_as_if_nothing_had_been_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = written(
        tmp_path,
        "goes_on.py",
        "import keras, numpy as np\n"
        "from drawn import draw\n"
        "keras.utils.set_random_seed(3)\n"
        "import random\n"
        "def batches(x, y):\n"
        "    while True:\n"
        "        for i in (0, 4):\n"
        "            print('gave', i)\n"
        "            turned = random.random() < 0.5\n"
        "            x, y = (x[:, ::-1], y[:, ::-1]) if turned else (x, y)\n"
        "            yield x[i:i + 4], y[i:i + 4]\n"
        "i = keras.Input((16, 16, 3))\n"
        "model = keras.Model(i, keras.layers.Conv2D(3, 3, padding='same')(i))\n"
        "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        "model.compile(keras.optimizers.Adam(1e-2), loss)\n"
        "h = model.fit(batches(*draw()), steps_per_epoch=3, epochs=2, verbose=0)\n"
        "print('losses', h.history['loss'])\n"
        "np.random.seed()\n"
        "sys.exit(3)\n",
    )
    with pytest.raises(SystemExit):
        runpy.run_path(script, run_name="__main__")
    plain = capsys.readouterr().out
    report = ran(script, go_on=True)
    seen = capsys.readouterr().out
    assert plain.splitlines()[-1] == seen.splitlines()[-1]
    assert abs(plain.count("gave") - seen.count("gave")) <= 1  # read once, none twice, none lost
    assert report.exit_code == 3  # the script's own
    assert not any("lost to it" in note for note in report.notes)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("print('done')\n", 2, "never trained"),
        ("sys.exit(5)\n", 5, "exit status 5"),
        ("sys.exit(0)\n", 2, "never trained"),
        ("raise KeyError('the key')\n", 2, "failed before it trained"),
        ("import no_such_module_at_all\n", 2, "failed before it trained"),
        ("class Own(BaseException): pass\nraise Own\n", 2, "failed before it trained"),
        ("sys.stdout = None; raise ValueError\n", 2, "failed before it trained"),
    ],
)
def test_a_script_that_does_not_train(
    tmp_path: Path,
    text: str,
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with pytest.raises(UntrainedError, match=words) as caught:
        ran(written(tmp_path, "ends.py", text))
    assert caught.value.status == status
    told = capsys.readouterr().err
    if "failed" in words:
        assert told.startswith("Traceback")
        assert 'ends.py", line ' in told
        assert "segdoctor" not in told  # its own frames alone


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("absent.py", None, "there is no such file"),
        ("broken.py", "def (:\n", "it is not Python"),
        ("broken.ipynb", "{}", "expected a notebook"),
    ],
)
def test_what_cannot_be_run_is_one_line(
    tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        ran(tmp_path / name)


def test_a_bare_except_does_not_keep_the_script_alive(tmp_path: Path) -> None:
    script = written(
        tmp_path,
        "catches.py",
        "exec(open('arrays.py').read().split('print')[0])\n"
        "try:\n    model.fit(x, y, epochs=3)\n"
        "except Exception:\n    raise SystemExit(9)\n"
        "finally:\n    print('cleaned up')\n",
    )
    assert ran(script).exit_code == 1


def test_the_second_training_is_examined_where_it_is_asked_for() -> None:
    report = ran("two_phase.py", fit=2, select="BN010")
    assert report.codes == {"BN010"}
    values = {e.name: e.value for e in report.findings[0].evidence}
    assert values["variables unfrozen that do not train"] == 2  # measured, not read


def test_a_module_and_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (SCRIPTS / "arrays.py").read_text().replace("from drawn", "from tiny.drawn")
    package = tmp_path / "tiny"
    package.mkdir()
    for name, text in (
        ("__init__.py", ""),
        ("drawn.py", (SCRIPTS / "drawn.py").read_text()),
        ("train.py", source),
    ):
        (package / name).write_text(text)
    cells = [
        {"cell_type": "markdown", "source": ["# A title\n"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "word = 'a notebook'"]},
        {"cell_type": "code", "source": "%%bash\nls | wc -l"},
        {"cell_type": "code", "source": "files = !ls\ndisplay(files)\nword?"},
        {
            "cell_type": "code",
            "source": "%%time\n" + source.replace("model.fit", "%time model.fit"),
        },
    ]
    (tmp_path / "train.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))
    monkeypatch.chdir(tmp_path)
    assert "OUT001" in ran("tiny.train", module=True).codes
    report = ran("train.ipynb")
    assert "OUT001" in report.codes
    place = report.findings[0].place
    assert place is not None
    assert place.file == "train.ipynb, cell 4"
    with pytest.raises(UserError, match="no_such"):
        ran("tiny.no_such", module=True)


def test_a_crash_ends_the_script_alone(tmp_path: Path) -> None:
    """What was found is kept; and a crash before the training is one line."""
    script = written(
        tmp_path,
        "crashes.py",
        "import keras, os\n"
        "from drawn import draw\n"
        "asked = []\n"
        "def loss(y, p):\n"
        "    asked.append(1)\n"
        "    if len(asked) > 30:\n        os.kill(os.getpid(), 9)\n"
        "    return keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True)\n"
        "i = keras.Input((16, 16, 3))\n"
        "model = keras.Model(i, keras.layers.Conv2D(3, 1)(i))\n"
        "model.compile('adam', loss)\n"
        "model.fit(*draw(), epochs=500)\n",
    )
    report = ran(script, apart=True)
    assert (report.exit_code, report.kind, report.diagnosis) == (3, "run", None)
    assert "ended by SIGKILL in the stage recording" in report.headline
    assert report.subject == script
    early = written(tmp_path, "early.py", "import os; os.kill(os.getpid(), 11)\n")
    with pytest.raises(UntrainedError, match="SIGSEGV before it trained") as caught:
        ran(early, apart=True)
    assert caught.value.status == 3


def test_on_the_command_line_json_is_alone_on_stdout(tmp_path: Path) -> None:
    script = written(
        tmp_path,
        "legacy_by_variable.py",
        "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'\n"
        "import subprocess; subprocess.run(['echo', 'from a child'])\n"
        "import multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    print('workers', pool.map(abs, [-1, -2]), input())\n"
        "import tensorflow as tf\n"
        "from drawn import draw\n"
        "keras = tf.keras\n"
        "print('made by', keras.Sequential.__module__, sys.argv[1:], __name__)\n"
        "model = keras.Sequential([keras.layers.Conv2D(3, 1, input_shape=(16, 16, 3))])\n"
        "model.compile('adam', keras.losses.SparseCategoricalCrossentropy())\n"
        "model.fit(*draw(), epochs=5)\n",
    )
    command = [sys.executable, "-m", "segdoctor", "run", "--trial", "off", "--format", "json"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), script, "--lr", "3"],
        input="a word",
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["kind"]) == (1, "run")
    assert document["findings"][0]["code"] == "OUT002"
    assert document["findings"][0]["place"]["line"] == 12
    assert "workers [1, 2] a word" in done.stderr
    assert "made by tf_keras" in done.stderr
    assert "['--lr', '3'] __main__" in done.stderr
    assert "from a child" in done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
