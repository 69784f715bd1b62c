"""A file's run in a child process: what becomes of it is told, and nothing is left behind."""

from __future__ import annotations

import base64
import json
import marshal
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import segdoctor
from segdoctor.core.errors import UserError
from segdoctor.examination import apart, frames
from segdoctor.sources.sandbox import landlock_version

from ..sources.model_files import conv, conv_weights, functional, image_input, write_h5

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no child process here (Windows)")
LANDLOCK = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_h5(tmp_path / "m.h5", functional(image_input(), conv()), conv_weights())


def examined(model: Path, code: str, **options: Any) -> Any:
    """The report on a file whose custom objects are ``code``: it runs before any TensorFlow."""
    objects = model.with_name("objects.py")
    objects.write_text(code)
    return segdoctor.check(str(model), objects=str(objects), apart=True, trial=False, **options)


def children() -> set[str]:
    """Processes whose parent is this one."""
    found = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {line for line in found.stdout.splitlines() if not line.endswith(" ps")}


def test_a_hanging_step_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "STAGE_LIMIT_S", 2.0)  # a busy machine starts the child in one
    before = children()
    report = examined(model, "while True: pass")  # how soon: see benchmarks.promises
    assert report.exit_code == 3
    assert "the stage reading did not end within 2 s" in report.headline
    assert report.diagnosis is None
    assert children() == before


def test_a_killed_child_becomes_a_sentence(model: Path) -> None:
    report = examined(model, "import os; os.kill(os.getpid(), 9)")
    assert report.exit_code == 3
    assert "ended by SIGKILL in the stage reading" in report.headline
    assert "memory" in report.headline


def test_no_process_is_left(model: Path) -> None:
    before = children()
    code = "import os, time\nif not os.fork(): time.sleep(600)\nos.kill(os.getpid(), 11)"
    start = time.perf_counter()
    report = examined(model, code)
    assert time.perf_counter() - start < 60  # what it started is not waited for
    assert "SIGSEGV" in report.headline
    assert children() == before


@LANDLOCK
def test_nothing_is_written_outside(model: Path) -> None:
    marker = model.with_name("marker")
    with pytest.raises(UserError, match="PermissionError"):
        examined(model, f"open({str(marker)!r}, 'w').write('here')")
    assert not marker.exists()


def test_ctrl_c_ends_a_hanging_step(model: Path) -> None:
    model.with_name("objects.py").write_text("import time\ntime.sleep(600)")
    out = model.with_name("out")
    command = [sys.executable, "-m", "segdoctor", "check", str(model), "--out", str(out)]
    with subprocess.Popen(
        [*command, "--objects", str(model.with_name("objects.py"))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell starts what runs in its background with Ctrl-C ignored, and so its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            assert "reading the model file" in process.stderr.readline()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            start = time.perf_counter()
            shown, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in shown
    assert time.perf_counter() - start < 4  # 2 s on an idle machine: see benchmarks.promises
    assert json.loads((out / "report.json").read_text())["exit_code"] == 130


def test_live_objects_stay_here(model: Path) -> None:
    """What cannot be handed to a child is examined in this process."""
    from segdoctor.examination.request import Request

    assert apart.can_be_apart(Request(model=str(model), custom_objects={"f": lambda x: x})) is None
    assert apart.can_be_apart(Request(model=str(model))) is not None


class Evil:
    def __reduce__(self) -> Any:
        return (os.system, ("true",))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Evil()),
        b"cos\nsystem\n(S'true'\ntR.",
        b"csegdoctor.core.explain\nclean\n(S'x'\ntR.",
        b"\x80\x04\x8c\x16segdoctor.core.finding\x8c\x0cdataclasses.field\x93.",
        pickle.dumps({"no": "report"}),
        b"",
        b"\x80",
    ],
)
def test_the_parent_takes_nothing_but_reports(content: bytes) -> None:
    with pytest.raises(ValueError, match="no report"):
        frames.report_from(content)


def test_frames_of_nonsense() -> None:
    with pytest.raises(ValueError, match="beyond"):
        frames.Frames().feed(b"r\xff\xff\xff\xff")
    assert frames.Frames().feed(b"r\x02\0\0\0a") == []


TRIES = """
def evil(x):
    import os, socket, pathlib
    done = []
    for number, try_it in enumerate((
        lambda: pathlib.Path({marker!r}).write_text("x"),
        lambda: os.system("touch " + {marker!r}) and 1 / 0,
        lambda: socket.socket(),
        lambda: os.kill(os.getppid(), 15),
        lambda: os.unlink({kept!r}),
        lambda: os.chmod({kept!r}, 0),
    )):
        try:
            try_it()
            done.append(number)
        except (OSError, ZeroDivisionError):
            pass
    return x * float(len(done) == 0)
"""


@LANDLOCK
def test_trusted_code_is_confined(tmp_path: Path) -> None:
    """The Lambda multiplies by one only if everything that it tried was refused."""
    pytest.importorskip("tensorflow")
    import numpy as np

    marker, kept = tmp_path / "marker", tmp_path / "kept"
    kept.write_text("kept")
    space: dict[str, Any] = {}
    exec(TRIES.format(marker=str(marker), kept=str(kept)), space)
    code = base64.b64encode(marshal.dumps(space["evil"].__code__)).decode()
    lam = {"class_name": "Lambda", "name": "lam", "config": {"name": "lam"}}
    lam["config"] = {"name": "lam", "function": [code, None, None], "function_type": "lambda"}
    config = functional(image_input(), conv(), lam)
    path = write_h5(tmp_path / "m.h5", config, conv_weights())
    refused = segdoctor.check(str(path), trial=False, apart=True)
    assert refused.exit_code == 4
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    report = segdoctor.check(
        str(path), (x, np.zeros((1, 8, 8), "int32")), trust=True, trial=False,
        loss="SparseCategoricalCrossentropy(from_logits=True)", optimizer="sgd",
        select=("GRAD001", "OUT004"),
    )  # fmt: skip
    assert not marker.exists()
    assert kept.read_text() == "kept"
    assert any("sandbox: nothing is written" in note for note in report.notes)
    assert len(report.run["trusted_sha256"]) == 64
    assert "GRAD001" not in report.codes
    assert "OUT004" not in report.codes
    assert report.exit_code in (0, 1)


def test_what_comes_while_the_childs_end_is_seen_is_still_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last words may come between two looks: nothing yet, then the process has ended."""
    from segdoctor.core.held_back import Pressed
    from segdoctor.examination.request import Request

    pipe, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    look, looks = apart.Child._said, iter([False])

    def late(self: apart.Child, seconds: float) -> bool:
        for first in looks:
            with os.fdopen(os.dup(writing), "wb") as stream:
                frames.write_frame(stream, frames.USER_ERROR, b"history: expected a file")
            return first
        return look(self, seconds)

    monkeypatch.setattr(apart.Child, "_said", late)
    try:
        with pytest.raises(UserError, match="expected a file"):
            apart.Child(Request(model="m.h5"), process, pipe).report(Pressed())
    finally:
        os.close(pipe)
        os.close(writing)
