"""The trial's first step, 60th step and steady step beside ``model.fit``'s, on the same model and
batch; the whole net trains, or the backbone is frozen.

    python -m benchmarks.first_step [--only mobilenetv2|xception]

Each figure is a process of its own, since TensorFlow keeps what it has traced; run on an idle
machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS, SIDE, CLASSES, EXAMPLES = 60, 96, 21, 2


def model_and_batch(backbone: str, frozen: bool) -> tuple[Any, Any, Any]:
    import keras
    import numpy as np

    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(0)
    model = build_deeplab(backbone, (SIDE, SIDE, 3), CLASSES)  # type: ignore[arg-type]
    if frozen:
        for layer in model.layers:
            if layer.name.startswith(
                ("Conv", "expanded_conv", "entry_flow", "middle_flow", "exit_flow")
            ):
                layer.trainable = False
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (EXAMPLES, SIDE, SIDE, 3)).astype("float32")
    return model, x, rng.integers(0, CLASSES, (EXAMPLES, SIDE, SIDE)).astype("int32")


def by_fit(backbone: str, frozen: bool) -> list[float]:
    """Seconds from the start until the end of each step."""
    import keras

    model, x, y = model_and_batch(backbone, frozen)
    ends: list[float] = []
    ended = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter() - start)
    )
    start = time.perf_counter()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=EXAMPLES, epochs=STEPS, verbose=0, callbacks=[ended])
    return ends


def by_trial(backbone: str, frozen: bool) -> list[float]:
    import keras

    from segdoctor.core.run import Batch, Run
    from segdoctor.trial.overfit import Exam, Length, overfit

    model, x, y = model_and_batch(backbone, frozen)
    # Random labels at their own grid: they are not learnt, so that no step is saved.
    exam = Exam(ids=y, void=None, kind="logits", class_axis=-1, grid=(SIDE, SIDE))
    ends: list[float] = []
    start = time.perf_counter()
    run = Run(
        model=model,
        batch=Batch(x=x, y=y),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.Adam(1e-3),
    )
    overfit(
        run,
        exam,
        name="as it is",
        length=Length(STEPS + 1, 1e9),
        say=lambda stage, done, total: ends.append(time.perf_counter() - start),
    )
    return ends[1:]  # the first call comes before the first step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("mobilenetv2", "xception"))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        how, backbone, frozen = arguments.one
        measure = by_fit if how == "fit" else by_trial
        print(json.dumps(measure(backbone, frozen == "frozen")))
        return
    print(f"{'':26}{'first step':>22}{'to the 60th':>22}{'steady step':>22}")
    for backbone in [arguments.only] if arguments.only else ["mobilenetv2", "xception"]:
        for what in ("whole", "frozen"):
            fit, trial = (_ends(how, backbone, what) for how in ("fit", "trial"))
            row = ""
            for place in (lambda e: e[0], lambda e: e[STEPS - 1], _steady):
                ours, theirs = place(trial), place(fit)
                row += f"{ours:8.2f} /{theirs:6.2f} ={ours / theirs:4.2f}"
            print(f"{backbone:14} {what:10} {row}", flush=True)


def _ends(how: str, backbone: str, what: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.first_step", "--one", how, backbone, what]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(ended.stdout.splitlines()[-1]))


def _steady(ends: list[float]) -> float:
    steps = sorted(b - a for a, b in itertools.pairwise(ends[20:]))
    return steps[len(steps) // 2]


if __name__ == "__main__":
    main()
