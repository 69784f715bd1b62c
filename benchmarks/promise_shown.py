"""Promises on what is shown and written: strange names, the same twice, nothing elsewhere."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

import segdoctor
from segdoctor.core.engine import examine_all
from segdoctor.core.trace import Missing, Trace
from segdoctor.examination.verdict import exit_code_of
from segdoctor.probes.registry import PROBES
from segdoctor.report.screen import written_as
from tests.sources.folders import mask, voc
from tests.sources.model_files import conv, conv_weights, functional, image_input, write_h5

Row = tuple[str, str, str, bool]
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def hostile_names() -> list[str]:
    """200 names: escapes, markup, formulas, overrides, format strings."""
    seeds = [
        "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "a\nb", "a\rb", "\u202egnp.exe", "\u2028x",
        "<script>document.title='PWNED'</script>",
        "\"><img src=x onerror=\"document.title='PWNED'\">",
        "' onmouseover='document.title=1", "</style><script>document.title='PWNED'</script>",
        "=1+1", "+cmd|'/c calc'!A0", "-2+3", "@SUM(A1)", "{{7*7}}", "${7*7}", "%s%n",
        "[red]x[/red]", "javascript:alert(1)", "../../etc/passwd", "\ufeffx", "NaN", "null",
        "&lt;b&gt;", "\x00x", "]]>", "::error::x", "%0A::error::x",
    ]  # fmt: skip
    return [f"{seeds[i % len(seeds)]}{i}" for i in range(200)]


def names(folder: Path) -> Iterator[Row]:
    """As layers of a model, and as image files that are empty."""
    layers = [conv(name) for name in hostile_names()]
    model = write_h5(folder / "names.h5", functional(image_input(), *layers), conv_weights("x"))
    data = voc(folder / "names", 2)
    for name in hostile_names():
        stem = name.replace("/", "|").replace("\x00", "")
        (data / "JPEGImages" / f"{stem}.jpg").write_bytes(b"")
        mask(data / "SegmentationClass" / f"{stem}.png")
    shutil.rmtree(data / "ImageSets")
    yield from _shown("layers", segdoctor.inspect(model), ["inspect", "--verbose", str(model)])
    yield from _shown("files", segdoctor.scan(data, deep=True), ["scan", str(data)])


def _shown(what: str, report: Any, command: list[str]) -> Iterator[Row]:
    done = subprocess.run(
        [sys.executable, "-m", "segdoctor", *command], capture_output=True, text=True, check=False
    )
    bad = _invisible(done.stdout + done.stderr) - {"\n", "\r"}
    yield f"15 200 {what} on the terminal: control characters", str(len(bad)), "0", not bad
    found = {
        kind: _invisible(*_texts(json.loads(written_as(report, kind), parse_constant=_no_number)))
        - {"\n"}
        for kind in ("json", "sarif")
    }
    found["junit, github"] = {
        c for kind in ("junit", "github") for c in _invisible(written_as(report, kind)) - {"\n"}
    }
    for kind, odd in found.items():
        yield f"15 the same as {kind}", f"valid, {len(odd)} control", "valid, 0", not odd
    cells = [cell for row in csv.reader(io.StringIO(report.frame().to_csv())) for cell in row]
    formulas = [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    formulas = [cell for cell in formulas if not _is_number(cell)]
    yield "15 the same as CSV: cells that are formulas", str(len(formulas)), "0", not formulas
    yield from _page(what, report)


def _page(what: str, report: Any) -> Iterator[Row]:
    out = Path(report.save(f"{report.subject}.report")[0])
    page = out.read_text()
    outside = page.count("http://") + page.count("https://") - page.count("http://www.w3.org")
    size = len(page.encode()) / 1e6
    yield (
        f"15 {what}: the page's outside addresses, size",
        f"{outside}, {size:.1f} MB",
        "0, 5 MB",
        outside == 0 and size <= 5 and "Content-Security-Policy" in page[:400],
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        print("not measured: the page in a browser (no chromium here)", file=sys.stderr)
        return
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    dom = subprocess.run(
        [chromium, *flags, f"--user-data-dir={out.parent / 'browser'}", "--dump-dom",
         f"file://{out}"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    title = dom.partition("<title>")[2].partition("</title>")[0]
    safe = "PWNED" not in title and "<script>document.title" not in dom and len(dom) > 1000
    yield f"15 {what}: scripts of names that ran in Chromium", "0" if safe else "1", "0", safe


def _invisible(*texts: str) -> set[str]:
    return {c for text in texts for c in text if unicodedata.category(c) in _INVISIBLE}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.items() if isinstance(value, dict) else value:
            yield from _texts(list(item) if isinstance(item, tuple) else item)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def same_twice(folder: Path) -> Iterator[Row]:
    """Two processes, an explicit trial: the same document, but for times."""
    model, data = _healthy(folder / "twice")
    trial = ["--loss", "SparseCategoricalCrossentropy", "--optimizer", "adam"]
    trial += ["--from-logits", "--steps", "3", "--crop", "16", "--trial-batch", "2"]
    for command in (
        ["inspect", str(model)],
        ["scan", str(data)],
        ["check", str(model), "--data", str(data), *trial, "--out", str(folder / "twice" / "o")],
    ):
        documents = []
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "segdoctor", *command, "--format", "json"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            documents.append(_timeless(json.loads(done.stdout)))
        same = documents[0] == documents[1]
        yield f"12 {command[0]} twice: the same JSON", "yes" if same else "no", "yes", same


def _timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    if isinstance(value, dict):
        timed = ("timings", "seconds")
        return {key: _timeless(item) for key, item in value.items() if key not in timed}
    return value


def _healthy(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    model = write_h5(
        folder / "m.h5", functional(image_input(shape=(None, 16, 16, 3)), conv()), conv_weights()
    )
    return model, voc(folder / "data", 4)


_HOOK = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
        note(event)
def note(word):
    try:
        with open({log!r}, "a") as log:
            log.write(word + "\\n")
    except OSError:
        pass  # the confined child, whose sockets the system refuses
note("begun")
sys.addaudithook(hook)
"""


def nothing_elsewhere(folder: Path) -> Iterator[Row]:
    """A check with a trial, a scan and an inspect, with a home of their own."""
    here = folder / "elsewhere"
    model, data = _healthy(here)
    for part in ("home", "tmp", "work"):
        (here / part).mkdir()
    before = _state(here)
    out, hook = folder / "elsewhere-out", folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HOOK.format(log=str(hook / "log")))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG", "MPL", "KERAS"))}
    home = {"HOME": str(here / "home"), "TMPDIR": str(here / "tmp")}
    for command in (
        ["check", str(model), "--data", str(data), "--steps", "2", "--optimizer", "adam",
         "--loss", "SparseCategoricalCrossentropy", "--from-logits"],
        ["scan", str(data)],
        ["inspect", str(model)],
    ):  # fmt: skip
        subprocess.run(
            [sys.executable, "-B", "-m", "segdoctor", *command, "--out", str(out)],
            cwd=here / "work", env={**kept, **home, "PYTHONPATH": f"{hook}:{os.getcwd()}"},
            capture_output=True, check=False,
        )  # fmt: skip
    changed = sorted({*_state(here).items()} ^ {*before.items()})
    whole = (out / "report.json").exists()
    if changed:
        print(changed[:10], file=sys.stderr)
    yield (
        "13 check, scan, inspect: files changed outside --out",
        str(len(changed)),
        "0",
        not changed and whole,
    )
    log = (hook / "log").read_text().split()
    tried = sum(word != "begun" for word in log)
    yield "13 the same: connections tried", str(tried), "0", not tried and "begun" in log


def live_as_before(folder: Path) -> Iterator[Row]:
    """A live model, its optimizer and the random state, after an examination with a trial."""
    import keras

    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 16, 16, 3)).astype("float32"), rng.integers(0, 2, (2, 16, 16))
    i = keras.Input((16, 16, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(i))
    model = keras.Model(i, keras.layers.Conv2D(2, 1)(hidden))
    model.layers[1].trainable = False
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0)

    def state() -> list[Any]:
        arrays = [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables), x, y]
        flags = [layer.trainable for layer in model.layers]
        objects = [id(model.optimizer), id(model.loss), id(model.train_function)]
        return [
            *(array.tobytes() for array in arrays),
            *flags,
            *objects,
            str(np.random.get_state()),
        ]

    before = state()
    report = segdoctor.check(model, (x, y), trial=segdoctor.Trial(steps=2, crop=16))
    changed = sum(a != b for a, b in zip(before, state(), strict=True))
    yield (
        "13 a live run after a check with a trial: parts changed",
        f"{changed} of {len(before)}, {len(report.trials)} trials",
        "0",
        changed == 0 and bool(report.trials),
    )


def _state(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def exits(folder: Path) -> Iterator[Row]:
    """Each probe in turn is made to fail on a run of which all else is known to be sound."""
    zero = 0
    for broken in PROBES:
        crashing = replace(broken)
        object.__setattr__(crashing, "examine", wraps(broken.examine)(_fails))
        needs = {name: object() for name, _ in broken.needs()}
        outcomes = examine_all([crashing], Trace({**_nothing(), **needs}))
        status = exit_code_of(
            [], outcomes, fail_on="error", interrupted=False, refused=False, incomplete=False
        )
        zero += status != 3
    total = len(PROBES)
    yield f"14 {total} probes, one crashing: exit 0", str(zero), "0", zero == 0
    good, sick = _healthy(folder / "exits")[0], folder / "exits" / "sick.h5"
    weights = {"conv": [(name, array * float("nan")) for name, array in conv_weights()["conv"]]}
    write_h5(sick, functional(image_input(), conv()), weights)
    (folder / "exits" / "no_model.h5").write_bytes(b"<!DOCTYPE html><html></html>")
    wanted = {"m.h5": 0, "sick.h5": 1, "no_model.h5": 2, "absent.h5": 2}
    told = {
        name: subprocess.run(
            [sys.executable, "-m", "segdoctor", "inspect", str(good.with_name(name))],
            capture_output=True, check=False,
        ).returncode
        for name in wanted
    }  # fmt: skip
    yield (
        "14 sound, sick, no model, absent: exit",
        str([*told.values()]),
        "0, 1, 2, 2",
        told == wanted,
    )


def _fails(**facts: object) -> None:
    raise RuntimeError("a probe that crashes")


def _nothing() -> dict[str, object]:
    return {name: Missing("not here") for probe in PROBES for name, _ in probe.needs()}
