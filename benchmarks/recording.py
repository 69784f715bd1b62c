"""What recording costs beside training: steady state, first call and memory, side by side.

    python benchmarks/recording.py [--repeat 5] [--only NAME] [--quick] [--memory]

For each net: a plain traced training step (`model.fit`'s kind: one `tf.function` of forward,
gradient and update), its first call and its steady state; and a recorder on the same batch: its
first call in the process for that net (eager; of a large batch traced in part), its second (which
traces) and those after it. The learning-rate sweep and the zeroing of branches are timed apart
(``--quick`` leaves them out). With `--memory` the peak of the
process's memory instead: of training steps, and of recording, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

NETS: tuple[tuple[str, str, int, int, dict[str, Any]], ...] = (
    ("MobileNetV2 0.35", "mobilenetv2", 96, 4, {"alpha": 0.35}),
    ("MobileNetV2 1.0", "mobilenetv2", 256, 4, {}),
    ("Xception", "xception", 96, 2, {}),
)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def plain_step(model: Any, loss: Any, optimizer: Any, x: Any, y: Any) -> Callable[[], Any]:
    """One traced training step as people write it."""
    import tensorflow as tf

    @tf.function
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    xs, ys = tf.constant(x), tf.constant(y)
    return lambda: float(step(xs, ys))


def run_of(backbone: str, side: int, batch: int, options: Any) -> tuple[Any, ...]:
    """A new DeepLabv3+, a loss, an optimizer with its slots, and a batch of noise."""
    import keras

    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(0)
    model = build_deeplab(backbone, (side, side, 3), 21, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, side, side, 3)).astype("float32")
    return model, loss, optimizer, x, rng.integers(0, 21, (batch, side, side)).astype("int32")


def warm_up() -> None:
    """A step of another, small net: what TensorFlow does once in a process belongs to neither."""
    import keras

    net = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)])
    x, y = np.zeros((2, 32, 32, 3), "float32"), np.zeros((2, 30, 30), "int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain_step(net, loss, keras.optimizers.Adam(), x, y)()


def measured(
    name: str, backbone: str, side: int, batch: int, options: Any, repeat: int, quick: bool
) -> str:
    from segdoctor.recorder.branches import zeroed_branches
    from segdoctor.recorder.network import NetworkRecorder
    from segdoctor.recorder.sweep import sweep

    warm_up()
    model, loss, optimizer, x, y = run_of(backbone, side, batch, options)
    recorder = NetworkRecorder(model, loss, optimizer=optimizer)
    eager, tracing = (seconds(lambda: recorder(x, y)) for _ in range(2))
    step = plain_step(model, loss, optimizer, x, y)
    first = seconds(step)
    # In turns, so that what else the machine does meets both.
    pairs = [(seconds(step), seconds(step), seconds(lambda: recorder(x, y))) for _ in range(repeat)]
    steps = statistics.median(one for pair in pairs for one in pair[:2])
    records = statistics.median(pair[2] for pair in pairs)
    apart = ""
    if not quick:
        swept = seconds(lambda: sweep(model, loss, x, y, optimizer=optimizer))
        zeroing = seconds(lambda: zeroed_branches(model, x))
        apart = f"   apart: sweep {swept:5.1f} s, zeroing {zeroing:4.1f} s"
    return (
        f"{name:18} {side:4}/{batch}  first call: step {first:5.1f} s, recording {eager:5.1f} s = "
        f"{eager / first:4.2f}× (traced at once {tracing:5.1f} s = {tracing / first:4.2f}×)   "
        f"steady: step {steps:6.3f} s, recording {records:6.3f} s = {records / steps:4.2f} steps"
        f"{apart}"
    )


def peak(what: str, backbone: str, side: int, batch: int, options: Any) -> None:
    """Print the peak memory of this process in MB, after three steps or three recordings."""
    import resource

    from segdoctor.recorder.network import NetworkRecorder

    model, loss, optimizer, x, y = run_of(backbone, side, batch, options)
    recorder = NetworkRecorder(model, loss, optimizer=optimizer)
    work = plain_step(model, loss, optimizer, x, y) if what == "step" else lambda: recorder(x, y)
    for _ in range(3):
        work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def memory(name: str, backbone: str, side: int, batch: int, options: Any) -> str:
    """Both peaks, each measured in a child."""
    found = []
    for what in ("step", "recording"):
        call = (
            f"from benchmarks.recording import peak; peak{(what, backbone, side, batch, options)}"
        )
        told = subprocess.run(
            [sys.executable, "-c", call], capture_output=True, text=True, check=True
        )
        found.append(int(told.stdout.split()[-1]))
    return (
        f"{name:18} {side:4}/{batch}  peak of the process: steps {found[0]} MB, recording "
        f"{found[1]} MB = {found[1] / found[0]:4.2f}×"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    for name, backbone, side, batch, options in NETS:
        if arguments.only in name:
            net = (name, backbone, side, batch, options)
            if arguments.memory:
                line = memory(*net)
            else:
                line = measured(*net, arguments.repeat, arguments.quick)
            print(line, flush=True)


if __name__ == "__main__":
    main()
