"""Promises on faults in the middle: no memory, NaN, data that hang, replaced Lambdas in a trial."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

import segdoctor
from segdoctor.sources import patience
from segdoctor.sources.model_file import open_model_file
from tests.sources.folders import voc
from tests.sources.model_files import conv, conv_weights, functional, image_input, write_h5

Row = tuple[str, str, str, bool]
_RUN = ["--loss", "SparseCategoricalCrossentropy", "--from-logits", "--optimizer", "adam"]


def no_memory(folder: Path) -> Iterator[Row]:
    """A model that needs 3 GB, with no more than the system's limit of 1.5 GB and of 2.5 GB."""
    here = folder / "memory"
    here.mkdir()
    sizes = {"c1": (3, 64), "c2": (64, 64), "c3": (64, 64), "c4": (64, 2)}
    layers = [conv(name, n, activation="relu") for name, (_, n) in sizes.items()]
    weights: dict[str, Any] = {}
    for name, (inputs, filters) in sizes.items():
        for key, array in conv_weights(name, inputs, filters)[name]:
            drawn = np.random.default_rng(0).normal(0, 0.05, array.shape).astype("float32")
            weights.setdefault(name, []).append((key, drawn))
    wide = image_input(shape=(None, 1536, 1536, 3))
    model = write_h5(here / "wide.h5", functional(wide, *layers), weights)
    data = voc(here / "data", 4)
    for limit in (1_500, 2_500):
        out = here / f"out{limit}"
        command = ["check", str(model), "--data", str(data), *_RUN, "--out", str(out)]
        done = subprocess.run(
            [sys.executable, "-m", "segdoctor", *command, "--budget", "20s"],
            capture_output=True, text=True, check=False,
            preexec_fn=lambda most=limit << 20: resource.setrlimit(
                resource.RLIMIT_DATA, (most, most)
            ),
        )  # fmt: skip
        words = " ".join(done.stdout.split())
        told = "memory runs out" in words and "batch 2 ×" in words
        asked = (out / "report.json").exists() and json.loads((out / "report.json").read_text())
        kept = bool(asked) and bool(asked["measured"]) and "Traceback" not in done.stderr
        yield (
            f"10 {limit} MB for a run that needs 3 GB",
            f"exit {done.returncode}, batch and size: {told}, the rest reported: {kept}",
            "exit 3, said, kept",
            done.returncode == 3 and told and kept,
        )


def not_a_number(folder: Path) -> Iterator[Row]:
    """NaN in a weight, in an image, in the loss, and by the rate: which is named."""
    here = folder / "nan"
    here.mkdir()
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    y = (x[..., 0] > 0).astype("int32")
    shape = (None, 16, 16, 3)
    config = functional(image_input(shape=shape), conv("first"), conv("head", 2))
    weights = {**conv_weights("first"), **conv_weights("head", 4, 2)}
    sound = write_h5(here / "sound.h5", config, weights)
    kernel = np.array(weights["first"][0][1])
    kernel[0, 0, 0, 0] = np.nan
    broken = {**weights, "first": [("first/kernel:0", kernel), weights["first"][1]]}
    sick = write_h5(here / "sick.h5", config, broken)
    (here / "loss.py").write_text(
        "import tensorflow as tf\n"
        "def nan(y_true, y_pred):\n    return tf.reduce_mean(y_pred) * float('nan')\n"
    )
    holed = x.copy()
    holed[1, 3, 3, 0] = np.nan
    right = "SparseCategoricalCrossentropy(from_logits=True)"
    cases = {
        "a weight": (sick, x, right, "adam", "MDL004", "first"),
        "an image": (sound, holed, right, "adam", "DATA010", ""),
        "the loss": (sound, x, f"{here / 'loss.py'}:nan", "adam", "LOSS004", ""),
        "the rate": (sound, x, right, "SGD(learning_rate=1e30)", "OPT002", ""),
    }
    for what, (model, images, loss, optimizer, code, where) in cases.items():
        report = segdoctor.check(
            str(model), (images, y), loss=loss, optimizer=optimizer, trial=False
        )
        first = next((f for f in report.findings if f.severity == "error"), None)
        named = first is not None and first.code == code
        if named and where:
            assert first is not None
            named = any(where in str(item.where) for item in first.evidence)
        shown = "nothing" if first is None else first.code
        yield f"10 NaN by {what}", f"{shown} first", f"{code} {where}".strip(), named


_SCRIPT = """
import threading
import keras, numpy as np
layers = [keras.layers.Input((16, 16, 3)), keras.layers.Conv2D(2, 3, padding="same")]
model = keras.Sequential(layers)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
def batches():
    yield np.zeros((2, 16, 16, 3), "float32"), np.zeros((2, 16, 16), "int32")
    print("hanging", flush=True)
    threading.Event().wait()
if __name__ == "__main__":
    model.fit(batches(), epochs=1)
"""


def hanging_data(folder: Path) -> Iterator[Row]:
    """A generator that never gives its second batch: Ctrl-C, and the limit of a batch."""
    script = folder / "hanging.py"
    script.write_text(_SCRIPT)
    out = folder / "hanging"
    process = subprocess.Popen(
        [sys.executable, "-m", "segdoctor", "run", "--out", str(out), str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    while "hanging" not in (process.stdout.readline() or "hanging"):
        pass
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    process.communicate(timeout=60)
    took = time.perf_counter() - start
    whole = (out / "report.json").exists()
    yield (
        "9 Ctrl-C while a generator hangs",
        f"exit {process.returncode}, {took:.1f} s, reported: {whole}",
        "exit 130, 2 s",
        process.returncode == 130 and took <= 2 and whole,
    )
    limit, patience.BATCH_LIMIT_S = patience.BATCH_LIMIT_S, 2.0
    space: dict[str, Any] = {"__name__": "script"}
    exec(_SCRIPT, space)
    try:
        start = time.perf_counter()
        with redirect_stdout(io.StringIO()):  # the table stands there
            report = segdoctor.check(space["model"], space["batches"](), trial=False)
        late = time.perf_counter() - start - 2.0
    finally:
        patience.BATCH_LIMIT_S = limit
    named = "batch 2 of the generator" in report.headline and "stage" in report.headline
    yield (
        "9 a hanging generator: beyond its limit",
        f"{late:.1f} s, exit {report.exit_code}",
        "3 s, exit 3, stage and batch named",
        late <= 3 and report.exit_code == 3 and named,
    )


def killed_workers(folder: Path) -> Iterator[Row]:
    """A Dask worker ended in the middle of a scan, and the child that reads a model file."""
    import distributed

    from segdoctor.sources.voc import scan_folder

    data = voc(folder / "workers", 400)
    here, killed = scan_folder(data), []
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def progress(count: int, total: int, what: str) -> None:
            if not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        there = scan_folder(data, scheduler=cluster.scheduler_address, progress=progress)
    yield (
        "10 a worker of a scan ended by SIGKILL",
        f"{len(there.masks)} of 400 pairs read, as without it: {there == here}",
        "all, the same",
        there == here and bool(killed),
    )


def replaced_lambdas(folder: Path) -> Iterator[Row]:
    """Every known Lambda of every Python at hand: the outputs of what replaces it, and a trial of
    a file with them, without --trust."""
    import tensorflow as tf

    from segdoctor.sources.model_file.rebuild import rebuild

    lines = Path("tests/sources/lambdas.jsonl").read_text().splitlines()
    x = np.random.default_rng(0).uniform(-1, 1, (2, 9, 9, 4)).astype("float32")
    meant = {
        "aligned": lambda x: tf.compat.v1.image.resize(x, (33, 33), align_corners=True),
        "closure": lambda x: tf.image.resize(x, (5, 6)),
        "corner": lambda x: tf.compat.v1.image.resize_bilinear(x, (5, 6)),
        "nearest": lambda x: tf.image.resize(x, (7, 8), method="nearest"),
        "default": lambda x: tf.image.resize(x, (3, 4)),
        "expand_last": lambda x: tf.expand_dims(x, -1),
        "to_one": lambda x: x / 127.5 - 1,
        "flip": lambda x: 1 - x,
        "relu2": lambda x: tf.clip_by_value(x, 0, 2),
        "softmax": tf.nn.softmax,
        "imports_below": lambda x: tf.compat.v1.image.resize(x, (4, 4), align_corners=True),
    }  # fmt: skip
    worst, count = 0.0, 0
    for line in lines:
        known = json.loads(line)["known"]
        for name, function in meant.items():
            lam = {"class_name": "Lambda", "name": "lam"}
            settings = {"name": "lam", "function": known[name], "function_type": "lambda"}
            config = functional(image_input(shape=(None, 9, 9, 4)), {**lam, "config": settings})
            path = write_h5(folder / "lambda.h5", config, {})
            model, _ = rebuild(open_model_file(path))
            worst = max(worst, float(np.abs(np.asarray(model(x)) - np.asarray(function(x))).max()))
            count += 1
    yield (
        f"2 {count} replaced Lambdas of {len(lines)} Pythons: largest difference",
        f"{worst:.1e}",
        "1e-5",
        worst <= 1e-5,
    )
    aligned = json.loads(lines[0])["known"]["aligned"]  # Python 2.7's
    settings = {"name": "lam", "function": aligned, "function_type": "lambda"}
    lam = {"class_name": "Lambda", "name": "lam", "config": settings}
    config = functional(image_input(shape=(None, 17, 17, 3)), conv("c", 2), lam)
    path = write_h5(folder / "tried.h5", config, conv_weights("c", 3, 2))
    y = np.random.default_rng(1).integers(0, 2, (2, 33, 33))
    report = segdoctor.check(
        str(path), (np.zeros((2, 17, 17, 3), "float32"), y), optimizer="adam",
        loss="SparseCategoricalCrossentropy(from_logits=True)", trial=segdoctor.Trial(steps=3),
    )  # fmt: skip
    yield (
        "2 a file with a Lambda of Python 2.7, without --trust",
        f"exit {report.exit_code}, {len(report.trials)} trials",
        "not 4, tried",
        report.exit_code != 4 and len(report.trials) > 0,
    )
