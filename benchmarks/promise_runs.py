"""Promises on long work: what ends a run, and what is left of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import segdoctor
from segdoctor.examination import apart
from tests.examination.test_apart import TRIES, children, examined
from tests.security.hostile_models import bytecode, lambdas
from tests.sources.model_files import (
    conv,
    conv_weights,
    functional,
    image_input,
    write_h5,
    write_keras,
)

Row = tuple[str, str, str, bool]


def model_in(folder: Path) -> Path:
    return write_h5(folder / "m.h5", functional(image_input(), conv()), conv_weights())


def sandbox(folder: Path) -> Iterator[Row]:
    kept, inside = folder / "kept", folder / "inside"
    kept.write_text("kept")
    inside.mkdir()
    code = TRIES.format(marker=str(folder / "marker"), kept=str(kept))
    code += f"\nfrom segdoctor.sources.sandbox import confine\nprint(confine({str(inside)!r}))\n"
    code += f"open({str(inside / 'x')!r}, 'w').write('x')\nprint(evil(1))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    said, result = done if len(done) == 2 else ("", "")
    yield (
        "5 sandbox: write, exec, socket, kill, delete, chmod outside",
        "all six refused" if result == "1.0" else f"not all refused; {said}",
        "refused",
        result == "1.0" and (inside / "x").exists(),
    )


def trusted(folder: Path) -> Iterator[Row]:
    """A Lambda that would write: refused; with --trust it runs, and may not."""
    here = folder / "trusted"
    here.mkdir()
    marker = here / "marker"
    lam = lambdas(bytecode(marker))["keras 3"]
    path = write_keras(here / "m.keras", functional(image_input(), lam))
    told = []
    for more in ([], ["--trust"]):
        command = ["check", str(path), *more, "--format", "json", "--out", str(here / "out")]
        done = subprocess.run(
            [sys.executable, "-m", "segdoctor", *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told.append((done.returncode, json.loads(done.stdout)["run"].get("trusted_sha256")))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (refused, _), (_, said) = told
    yield (
        "5 a Lambda that writes: without --trust, with it",
        f"exit {refused}; sha256 told: {said == digest}, written: {marker.exists()}",
        "exit 4; told, not written",
        refused == 4 and said == digest and not marker.exists(),
    )


def ends(folder: Path) -> Iterator[Row]:
    """A step that hangs, is killed, crashes; what it started is gone as well."""
    model = model_in(folder)
    before = children()
    limit, apart.STAGE_LIMIT_S = apart.STAGE_LIMIT_S, 2.0
    try:
        start = time.perf_counter()
        report = examined(model, "while True: pass")
        late = time.perf_counter() - start - 2.0
    finally:
        apart.STAGE_LIMIT_S = limit
    named = "the stage reading" in report.headline
    yield (
        "9 a hanging step: beyond its limit",
        f"{late:.1f} s, exit {report.exit_code}",
        "3 s, exit 3, stage named",
        late <= 3 and report.exit_code == 3 and named,
    )
    fork = "import os, time\nif not os.fork(): time.sleep(600)\n"
    for name, number in (("SIGKILL", 9), ("SIGSEGV", 11), ("SIGABRT", 6)):
        report = examined(model, f"{fork}os.kill(os.getpid(), {number})")
        yield (
            f"10 the child ended by {name}",
            f"exit {report.exit_code}, said: {name in report.headline}",
            "exit 3, in a sentence",
            report.exit_code == 3 and name in report.headline,
        )
    left = len(children() - before)
    yield "9 processes left behind", str(left), "0", left == 0


def interrupted(folder: Path, count: int) -> Iterator[Row]:
    """Ctrl-C at random points of a check that loads TensorFlow."""
    rng = random.Random(0)
    model, right, slowest, left = model_in(folder), 0, 0.0, 0
    before, finished = children(), 0
    for turn in range(count):
        out = folder / f"interrupted{turn}"
        process = subprocess.Popen(
            [sys.executable, "-m", "segdoctor", "check", str(model), "--out", str(out)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # A shell starts what runs in its background with Ctrl-C ignored, and so its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert process.stderr is not None
        process.stderr.readline()  # it has begun
        time.sleep(rng.uniform(0.0, 4.0))
        complete = (out / "report.png").exists()  # the last file: nothing is left to interrupt
        if process.poll() is not None:
            finished += 1
            process.communicate()
            continue
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        _, errors = process.communicate(timeout=60)
        slowest = max(slowest, time.perf_counter() - start)
        if complete and process.returncode == 0:
            finished += 1
            continue
        whole = (out / "report.json").exists() and json.loads((out / "report.json").read_text())
        right += process.returncode == 130 and bool(whole) and "Traceback" not in errors
    left = len(children() - before)
    tried = count - finished
    yield (
        f"9 Ctrl-C at {tried} random points: exit 130, report whole",
        f"{right} of {tried}",
        "all",
        right == tried > 0,
    )
    yield "9 the slowest of them", f"{slowest:.1f} s", "2 s", slowest <= 2
    yield "9 processes left behind by Ctrl-C", str(left), "0", left == 0


_SAVES = """
import sys, segdoctor
from segdoctor.report.files import save, write_whole
report = segdoctor.inspect(sys.argv[1])
print("begun", flush=True)
while True:
    save(report, sys.argv[2])
"""


def _torn(out: Path) -> bool:
    """Whether a file of the report is there in part."""
    ends_with = {"report.json": b"}\n", "report.html": b"</html>", "report.png": b"IEND\xaeB`\x82"}
    for name, end in ends_with.items():
        path = out / name
        if path.exists() and not path.read_bytes().rstrip(b"\n").endswith(end.rstrip(b"\n")):
            return True
    return False


def killed_while_writing(folder: Path, count: int) -> Iterator[Row]:
    rng = random.Random(0)
    model, torn = model_in(folder), 0
    out = folder / "killed"
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVES, str(model), str(out)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 2.5))
        process.kill()
        process.communicate()
        torn += _torn(out)
    yield f"11 SIGKILL at {count} random points: torn files", str(torn), "0", torn == 0


def full_disk(folder: Path) -> Iterator[Row]:
    """No file may grow beyond 20 kB: writing fails as it does on a full disk."""
    out = folder / "full"
    report = segdoctor.inspect(model_in(folder))
    report.save(str(out))
    old = {path.name: path.read_bytes() for path in out.iterdir()}
    code = (
        "import resource, signal, sys, segdoctor\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from segdoctor.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(folder / "m.h5"), "--out", str(out)],
        capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    same = {path.name: path.read_bytes() for path in out.iterdir()} == old
    line = "cannot write the report" in done.stderr and "Traceback" not in done.stderr
    yield (
        "11 a full disk",
        f"exit {done.returncode}, old report kept: {same}, one line: {line}",
        "exit 2, kept, one line",
        done.returncode == 2 and same and line,
    )
