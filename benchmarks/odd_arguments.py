"""Every command of the program with broken and odd files in every place that takes one.

    python -m benchmarks.odd_arguments [--only REGEX] [--show]

Each call is to end in time with an honest exit status, one line where it is a user's error, no
traceback, no control character, and nothing written but the report. Exit status 1 if one is not.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.sources.model_files import (
    conv,
    conv_weights,
    functional,
    image_input,
    write_h5,
    write_keras,
)

_LIMIT_S = 20.0  # a hang has no end; a busy machine loads TensorFlow in ten
# Root reads everything; without these it is refused what its owner may not read.
_NOT_ALL = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
_FORKED = """
import os, sys
import segdoctor.cli, segdoctor.api
for line in sys.stdin:
    folder, *argv = eval(line)
    child = os.fork()
    if not child:
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(os.path.join(folder, "here"))
        os.setsid()
        sys.exit(segdoctor.cli.main(argv))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Case(NamedTuple):
    name: str
    arguments: list[str]
    statuses: tuple[int, ...]


def _config() -> dict[str, object]:
    return functional(image_input(), conv())


def odd_paths(folder: Path) -> dict[str, str]:
    """Paths that are no file of any use, by what is wrong with them."""
    folder.mkdir()
    (folder / "folder").mkdir()
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    files = {
        "empty": b"", "text": b"hello\n", "zeros": bytes(4096), "noise": os.urandom(4096),
        "html": b"<!DOCTYPE html><html></html>", "json": b'{"a": ', "bom": b"\xef\xbb\xbf",
        "zip": b"PK\x03\x04" + b"\0" * 40, "hdf5 head": b"\x89HDF\r\n\x1a\n" + b"\xff" * 200,
        "lines": b"\n" * 999, "utf16": "epoch,loss\n1,2\n".encode("utf-16"),
        "deep": b"[" * 99_999, "null": b"null", "list": b"[]", "number": b"1e999", "nan": b"NaN",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "dangling").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
    for name in ("closed", "closed folder"):
        path = folder / name
        path.mkdir() if "folder" in name else path.write_bytes(b"x")
        path.chmod(0)
    strange = ["a\nb", "\x1b[31mred", "\u202egnp.h5", "\udcff\udcfe", "=1+1", "<b>&", "-rf", " "]
    for name in strange:
        (folder / name).write_bytes(b"x")
    whole = {
        **{name: str(folder / name) for name in (*files, "folder", "saved", "loop", "dangling")},
        **{name: str(folder / name) for name in ("fifo", "socket", "closed", "closed folder")},
        **{f"name {name!r}": str(folder / name) for name in strange},
    }
    return whole | {
        "absent": str(folder / "absent"), "nothing": "", "blank": " ", "dot": ".", "root": "/",
        "through a file": str(folder / "text" / "x"), "through a closed folder":
        str(folder / "closed folder" / "x"), "a long name": "x" * 300, "a long path": "y/" * 3000,
        "device": "/dev/null", "endless device": "/dev/zero", "proc": "/proc/self/mem",
        "tilde": "~nobody/x", "url": "http://127.0.0.1:9/x", "other scheme": "foo://x",
    }  # fmt: skip


def models(folder: Path) -> dict[str, str]:
    """Model files cut at 20 places each, and files of a wrong name."""
    folder.mkdir()
    whole = {
        "h5": write_h5(folder / "whole.h5", _config(), conv_weights()),
        "keras": write_keras(folder / "whole.keras", _config(), {"layers/conv2d/vars/0": [1.0]}),
    }
    found = {}
    for kind, path in whole.items():
        data = path.read_bytes()
        for part in range(20):
            cut = folder / f"cut{part}.{kind}"
            cut.write_bytes(data[: len(data) * part // 20])
            found[f"{kind} cut at {part}/20"] = str(cut)
        renamed = folder / f"renamed.{'keras' if kind == 'h5' else 'h5'}"
        renamed.write_bytes(data)
        found[f"{kind} of another name"] = str(renamed)
    return found


def data_set(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    for index in range(4):
        pixels = rng.integers(0, 255, (16, 16, 3), "uint8")
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{index}.jpg")
        mask = Image.fromarray((np.arange(256).reshape(16, 16) // 64).astype("uint8"))
        mask.save(folder / "SegmentationClass" / f"{index}.png")
    (folder / "ImageSets/Segmentation/train.txt").write_text("0\n1\n2\n3\n")
    return folder


def cases(folder: Path) -> Iterator[Case]:
    odd = odd_paths(folder / "odd")
    good = str(write_h5(folder / "good.h5", _config(), conv_weights()))
    data = str(data_set(folder / "data"))
    script = folder / "script.py"
    script.write_text("print('no training here')\n")
    quick = ["--trial", "off", "--select", "MDL"]
    for what, path in {**odd, **models(folder / "models")}.items():
        names_a_file = not path.startswith("-")
        # The whole .keras file holds weights that its layers do not take: it cannot be run.
        fine = (0, 1, 3) if "another name" in what or "19/20" in what else ()
        yield Case(f"inspect {what}", ["inspect", path], (2, *fine) if names_a_file else (2,))
        yield Case(f"check {what}", ["check", path, *quick], (2, *fine))
    for what, path in odd.items():
        yield Case(f"scan {what}", ["scan", path], (0, 1, 2) if what == "root" else (1, 2))
        yield Case(f"run {what}", ["run", path], (1, 2))
        yield Case(f"explain {what}", ["explain", path], (2,))
        yield Case(f"list {what}", ["list", path], (2,))
        out = ["inspect", good, "--out", path]
        yield Case(f"--out {what}", out, (0, 1, 2))
        for flag in ("--pairs", "--split", "--val-split", "--masks", "--images"):
            yield Case(f"scan {flag} {what}", ["scan", data, flag, path], (0, 1, 2))
        known = (2,) if path else (0,)
        yield Case(f"--baseline {what}", ["inspect", good, "--baseline", path], known)
        for flag in ("--data", "--history", "--objects", "--pairs"):
            more = [] if flag == "--data" else ["--data", data]
            command = ["check", good, *quick, *more, flag, path]
            yield Case(f"check {flag} {what}", command, (0, 1, 2))
        for flag in ("--loss", "--optimizer", "--metric"):
            yield Case(f"check {flag} {what}", ["check", good, *quick, flag, f"{path}:f"], (2,))
        chosen = (2,) if path.strip() else (0,)  # nothing chosen is everything
        yield Case(f"check --select {what}", ["check", good, "--select", path], chosen)
    for flag in (
        "--num-classes", "--batch-size", "--epochs", "--steps-per-epoch", "--learning-rate",
        "--budget", "--steps", "--crop", "--trial-batch", "--seed", "--ignore-label",
        "--label-map", "--device", "--keras", "--arch", "--freeze",
    ):  # fmt: skip
        for value in ("-1", "0", "x", "", "nan", "1e99", "9" * 400, "\x1b[31m", "1=1=1", "inf"):
            arguments = ["check", good, *quick, f"{flag}={value}"]
            yield Case(f"check {flag}={value[:20]!r}", arguments, (0, 1, 2))


class Program:
    """The program, loaded once and forked for each call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "here").mkdir()
        self._process = subprocess.Popen(
            [*(_NOT_ALL if os.getuid() == 0 else []), sys.executable, "-c", _FORKED],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(folder / "here")},
        )  # fmt: skip

    def __call__(self, arguments: list[str]) -> tuple[int, float, str, str]:
        """``(exit status, seconds, stdout, stderr)``; -9 if it had to be ended."""
        for name in ("stdout", "stderr"):
            (self._folder / name).write_bytes(b"")
        process, start = self._process, time.perf_counter()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(ascii([str(self._folder), *arguments]) + "\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        watch = subprocess.Popen(
            ["sh", "-c", f"sleep {_LIMIT_S} && kill -9 -{child} {child}"], stderr=subprocess.DEVNULL
        )
        status = int(process.stdout.readline())
        watch.kill()
        watch.wait()
        out, errors = (self._folder / name for name in ("stdout", "stderr"))
        shown = out.read_text("utf-8", "replace"), errors.read_text("utf-8", "replace")
        return status, time.perf_counter() - start, *shown


def wrong(case: Case, status: int, seconds: float, out: str, errors: str) -> str:
    """What is not as promised; nothing if all is."""
    lines = [line for line in errors.replace("\r", "\n").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("segdoctor") and not line.endswith(" …")]
    if seconds > _LIMIT_S:
        return "it hangs"
    if "Traceback" in errors + out and not case.name.startswith("run"):  # there, the script's own
        return "a traceback"
    if status not in case.statuses:
        return f"exit {status}"
    if status == 2 and len(told) != 1:
        return f"{len(told)} lines for the user"
    if case.name.startswith("run"):  # what the script itself says is its own
        out, errors = "", "".join(told)
    bad = {c for c in out + errors if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")} - {
        *"\n\r\t"
    }
    return f"control characters {sorted(bad)}" if bad else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="the calls whose name fits it")
    parser.add_argument("--show", action="store_true", help="also what is as promised")
    options = parser.parse_args()
    failed = total = 0
    slowest: tuple[float, str] = (0.0, "")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        program = Program(Path(name))
        for case in cases(Path(name)):
            if not re.search(options.only, case.name):
                continue
            total += 1
            status, seconds, out, errors = program(case.arguments)
            slowest = max(slowest, (seconds, case.name))
            found = wrong(case, status, seconds, out, errors)
            if found or options.show:
                failed += bool(found)
                print(f"{case.name}: {found or 'as promised'} (exit {status}, {seconds:.1f} s)")
                print("   ", ascii((errors or out)[-600:]), flush=True)
    print(f"{total} calls, {failed} not as promised; the slowest {slowest[0]:.1f} s ({slowest[1]})")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
