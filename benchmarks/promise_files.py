"""Promises on files: hostile, broken, too large, strangely named."""

from __future__ import annotations

import multiprocessing
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py

import segdoctor
from benchmarks.cold import cold
from benchmarks.linked import linked_folder
from benchmarks.scan_scale import SCAN
from segdoctor.core.errors import UserError
from tests.security.fuzzed import REFUSED, Reader, damaged, odd_models, readers
from tests.security.hostile_models import broken_files, hostile_files
from tests.security.test_hostile_models import watched
from tests.sources.model_files import (
    batch_norm,
    conv,
    conv_weights,
    functional,
    image_input,
    norm_weights,
    write_h5,
    write_keras,
)

Row = tuple[str, str, str, bool]
CONFIG = functional(image_input(), conv())


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


def static_and_light(folder: Path) -> Iterator[Row]:
    """A file of 167 layers, read in a cold process; and what that process has loaded."""
    here = folder / "light"
    here.mkdir()
    layers, weights = [], {}
    for number in range(83):
        name = f"norm{number}"
        layers += [conv(f"conv{number}", 4), batch_norm(name)]
        weights |= conv_weights(f"conv{number}", 4 if number else 3, 4) | norm_weights(name)
    path = write_h5(here / "167.h5", functional(image_input(), *layers), weights)
    done = cold([sys.executable, "-m", "segdoctor", "inspect", str(path)])
    code = (
        "import sys; from segdoctor.cli import main; status = main(['inspect', sys.argv[1]]); "
        "sys.exit(status or 10 * bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    loaded = cold([sys.executable, "-c", code, str(path)]).status == 10
    yield (
        f"3 inspect of {len(layers) + 1} layers in a cold process",
        f"exit {done.status}, {done.seconds:.2f} s, {done.megabytes:.0f} MB, TensorFlow: "
        f"{'loaded' if loaded else 'not loaded'}",
        "0.5 s, 100 MB, not loaded",
        done.status in (0, 1) and done.seconds <= 0.5 and done.megabytes <= 100 and not loaded,
    )


def bombs(folder: Path) -> Iterator[Row]:
    for name, path, refused in bomb_files(folder):
        done = cold([sys.executable, "-m", "segdoctor", "inspect", str(path)])
        status, seconds, memory, errors = done
        right = (status == 2 and errors.count("\n") == 1) if refused else status in (0, 1)
        yield (
            f"3 bomb: {name} ({path.stat().st_size / 1e3:,.0f} kB)",
            f"exit {status}, {seconds:.2f} s, {memory:.0f} MB",
            "1 s, 200 MB",
            right and seconds <= 1 and memory <= 200,
        )


def mutants(folder: Path, count: int, odd: int) -> Iterator[Row]:
    """Damaged files of every kind, and whole model files whose configuration is odd; half of them
    on each of two processors, and each judged by the processor time that it takes."""
    parts = 2 if count > 1 else 1
    rooms = [folder / f"mutants{part}" for part in range(parts)]
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(parts, mp_context=spawned) as pool:
        halves = [pool.submit(_tried, room, count // parts, odd // parts) for room in rooms]
        told = [half.result() for half in halves]
    tried, unhandled = sum(half[0] for half in told), sum(half[1] for half in told)
    slowest, which = max(half[2] for half in told)
    yield f"16 {tried:,} damaged and odd files: unhandled", str(unhandled), "0", unhandled == 0
    words = f"{slowest:.2f} s ({which})"
    yield "16 the slowest of them, of processor time", words, "2 s", slowest <= 2


def _tried(folder: Path, count: int, odd: int) -> tuple[int, int, tuple[float, str]]:
    """``(files, errors that were not handled, the slowest of them)``."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    folder.mkdir()
    rng = random.Random(folder.name)
    kinds = list(readers(folder))
    tried, unhandled, slowest = 0, 0, (0.0, "")

    def read(reader: Reader, path: Path) -> None:
        nonlocal tried, unhandled, slowest
        start, told = time.process_time() + _of_children(), ""
        try:
            reader.read(path)
        except REFUSED as error:
            told = str(error)
        except Exception as error:  # noqa: BLE001 - what is being counted
            print(f"{reader.name}: {error!r}", file=sys.stderr)
            unhandled += 1
        unhandled += "\n" in told
        tried += 1
        slowest = max(slowest, (time.process_time() + _of_children() - start, reader.name))

    for reader in kinds:
        path = folder / reader.name / reader.name
        path.parent.mkdir()
        for _ in range(count if reader.name.startswith(("model", "image", "mask")) else 10 * count):
            path.write_bytes(damaged(reader, rng))
            read(reader, path)
    models = {reader.name: reader for reader in kinds if reader.name.startswith("model")}
    for path in odd_models(folder, rng, odd):
        read(models[f"model{path.suffix}"], path)
    return tried, unhandled, slowest


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def many_pairs(folder: Path, voc: Path, count: int = 100_000) -> Iterator[Row]:
    """A folder of hard links, scanned; and again, ended by Ctrl-C."""
    made = linked_folder(voc, folder / "many", count)
    done = subprocess.run(
        [sys.executable, "-c", SCAN, str(made), str(count)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    took, _, peak = map(float, done.stdout.split())
    yield (
        f"8 {count:,} pairs: headers",
        f"{took:.0f} s, {peak:.0f} MB",
        "60 s, 500 MB",
        took <= 60 and peak <= 500,
    )
    # Once all is loaded; the folder is listed for three seconds, and then files are looked at.
    for what, seconds in (("while it is listed", 1.5), ("soon after", 6.0), ("later", 25.0)):
        yield _interrupted(what, made, folder / "part", seconds)


def _interrupted(what: str, made: Path, out: Path, seconds: float) -> Row:
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "segdoctor", "scan", str(made), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    shown, errors = process.communicate(timeout=60)
    late = time.perf_counter() - start
    if (out / "report.json").exists():
        said = "incomplete" in shown.lower()
        words = f"a partial report, marked: {said}"
    else:
        said = "nothing was examined" in errors
        words = f"one line that nothing was seen: {said}"
    return (
        f"8 Ctrl-C {what}",
        f"exit {process.returncode}, {late:.1f} s, {words}",
        "exit 130, 1 s, said",
        process.returncode == 130 and late <= 1 and said and "Traceback" not in errors,
    )
