"""Promises on files: hostile, broken, too large, strangely named."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py

import segdoctor
from segdoctor.core.errors import UserError
from tests.security.hostile_models import broken_files, hostile_files
from tests.security.test_hostile_models import watched
from tests.sources.model_files import (
    conv,
    conv_weights,
    functional,
    image_input,
    write_h5,
    write_keras,
)

Row = tuple[str, str, str, bool]
CONFIG = functional(image_input(), conv())


def measured(*arguments: str) -> tuple[int, float, float, str]:
    """``(exit status, seconds, peak MB, stderr)`` of the program in a cold process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "segdoctor", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    return os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss / 1024, errors


def hostile_models(folder: Path) -> Iterator[Row]:
    here = folder / "hostile"
    here.mkdir()
    hostile = dict(hostile_files(here, here / "marker"))
    broken = dict(broken_files(here, here / "marker"))
    result = watched([*hostile.values(), *broken.values()], here)
    refused = sum(row[0] == 4 for row in result["found"][: len(hostile)])
    lines = sum(row[0] == 2 for row in result["found"][len(hostile) :])
    ran = int((here / "marker").exists()) + len(result["seen"]) + len(result["loaded"])
    yield (
        "1 hostile files: refused, exit 4",
        f"{refused} of {len(hostile)}",
        "all",
        refused == len(hostile),
    )
    yield "1 markers, imports, processes seen", str(ran), "0", ran == 0
    yield "4 no model: one line, exit 2", f"{lines} of {len(broken)}", "all", lines == len(broken)


def bomb_files(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Name, file, and whether reading it is to be refused."""
    for name, side in (("3 GiB shape", 28_377), ("40 GiB shape", 103_622)):
        path = write_h5(folder / f"{side}.h5", CONFIG, {"conv": []})
        with h5py.File(path, "a") as file:
            group = file["model_weights/conv"]
            group.create_dataset("k", (side, side), "f4", chunks=(1024, 1024))
            del group.attrs["weight_names"]
            group.attrs["weight_names"] = [b"k"]
        yield name, path, True
    path = folder / "config.keras"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("config.json", "w", force_zip64=True) as stream,
    ):
        for _ in range(2048):
            stream.write(b" " * (1 << 20))
    yield "2 GiB configuration", path, True
    deep = '{"class_name": "Sequential", "config": ' + "[" * 20_000 + "]" * 20_000 + "}"
    yield "20,000-deep JSON", write_keras(folder / "deep.keras", deep), True
    path = folder / "members.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(10_000):
            archive.writestr(f"{index}", b"")
    yield "10,000 members", path, True
    wide = functional(image_input(), conv(filters=2**33))
    yield "2^33 filters", write_h5(folder / "filters.h5", wide, conv_weights()), False


def bombs(folder: Path) -> Iterator[Row]:
    for name, path, refused in bomb_files(folder):
        status, seconds, memory, errors = measured("inspect", str(path))
        right = (status == 2 and errors.count("\n") == 1) if refused else status in (0, 1)
        yield (
            f"3 bomb: {name} ({path.stat().st_size / 1e3:,.0f} kB)",
            f"exit {status}, {seconds:.2f} s, {memory:.0f} MB",
            "1 s, 200 MB",
            right and seconds <= 1 and memory <= 200,
        )


def _mutant(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def mutants(folder: Path, count: int) -> Iterator[Row]:
    rng = random.Random(0)
    sources = [
        write_h5(folder / "whole.h5", CONFIG, conv_weights()),
        write_keras(folder / "whole.keras", CONFIG, {"layers/conv2d/vars/0": [1.0]}),
    ]
    contents = [path.read_bytes() for path in sources]
    slowest, unhandled = 0.0, 0
    path = folder / "mutant.h5"
    for turn in range(count):
        path.write_bytes(_mutant(contents[turn % len(contents)], rng))
        start = time.perf_counter()
        try:
            segdoctor.inspect(path)
        except UserError as error:
            unhandled += "\n" in str(error)
        except Exception as error:  # noqa: BLE001 - what is being counted
            print(f"mutant {turn}: {error!r}", file=sys.stderr)
            unhandled += 1
        slowest = max(slowest, time.perf_counter() - start)
    yield f"16 {count} mutants of model files: unhandled", str(unhandled), "0", unhandled == 0
    yield "16 the slowest of them", f"{slowest:.2f} s", "2 s", slowest <= 2


def hostile_names() -> list[str]:
    """200 names: escapes, markup, formulas, overrides, format strings."""
    seeds = [
        "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "a\nb", "a\rb", "\u202egnp.exe", "\u2028x",
        "<script>document.title='PWNED'</script>",
        "\"><img src=x onerror=\"document.title='PWNED'\">",
        "' onmouseover='document.title=1", "</style><script>document.title='PWNED'</script>",
        "=1+1", "+cmd|'/c calc'!A0", "-2+3", "@SUM(A1)", "{{7*7}}", "${7*7}", "%s%n",
        "[red]x[/red]",
        "javascript:alert(1)", "../../etc/passwd", "\ufeffx", "NaN", "null", "&lt;b&gt;", "\x00x",
    ]  # fmt: skip
    return [f"{seeds[i % len(seeds)]}{i}" for i in range(200)]


def names(folder: Path) -> Iterator[Row]:
    layers = [conv(name) for name in hostile_names()]
    path = write_h5(folder / "names.h5", functional(image_input(), *layers), conv_weights("x"))
    report = segdoctor.inspect(path)
    out = folder / "names"
    report.save(str(out))
    shown = subprocess.run(
        [sys.executable, "-m", "segdoctor", "inspect", "--verbose", str(path)],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    bad = {c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    yield "15 200 names on the terminal: control characters", str(len(bad)), "0", not bad
    document = (out / "report.json").read_text()
    json.loads(document, parse_constant=lambda name: 1 / 0)
    yield "15 the same in JSON, without NaN", "read back", "valid", True
    page = (out / "report.html").read_text()
    outside = page.count("http://") + page.count("https://") - page.count("http://www.w3.org")
    yield "15 HTML: outside addresses", str(outside), "0", outside == 0
    chromium = shutil.which("chromium")
    if chromium is None:
        print("not measured: the page in a browser (no chromium here)", file=sys.stderr)
        return
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    dom = subprocess.run(
        [chromium, *flags, f"--user-data-dir={folder / 'browser'}", "--dump-dom",
         f"file://{out / 'report.html'}"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    title = dom.partition("<title>")[2].partition("</title>")[0]
    safe = "PWNED" not in title and "<script>document.title" not in dom and len(dom) > 1000
    yield "15 the page in Chromium: scripts of names that ran", "0" if safe else "1", "0", safe


def public_models(folder: Path) -> Iterator[Row]:
    told = total = 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".h5", ".hdf5", ".keras"):
            continue
        total += 1
        try:
            told += bool(segdoctor.inspect(path).raw.graph.layers)
        except UserError as error:
            told += "\n" not in str(error)
    yield "4 public model files: graph, or one line", f"{told} of {total}", "all", told == total


def bad_images(folder: Path, data: Path) -> Iterator[Row]:
    voc = folder / "voc"
    shutil.copytree(data / "voc", voc, copy_function=shutil.copyfile)
    for path in [voc, *voc.rglob("*")]:
        path.chmod(0o755)
    added = 0
    for path in sorted((data / "bad_images").iterdir()):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            shutil.copyfile(path, voc / "JPEGImages" / f"bad{added}.jpg")
            mask = next((voc / "SegmentationClass").glob("2*.png"))
            shutil.copyfile(mask, voc / "SegmentationClass" / f"bad{added}.png")
            added += 1
    listed = voc / "ImageSets" / "Segmentation" / "train.txt"
    listed.write_text(listed.read_text() + "".join(f"bad{i}\n" for i in range(added)))
    start = time.perf_counter()
    report = segdoctor.scan(voc, deep=True, split="train")
    seconds = time.perf_counter() - start
    scanned = len(report.raw.pairs)
    yield (
        f"7 {added} bad images among 80 good ones: scanned",
        f"{scanned} pairs, {seconds:.1f} s",
        f"{added + 80}",
        scanned == added + 80 and "DATA002" in report.codes,
    )
