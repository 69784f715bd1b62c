"""What recording costs beside training: steady state and first call, side by side, in one run.

    python benchmarks/recording.py [--repeat 3]

For each net: a plain traced training step (`model.fit`'s kind: one `tf.function` of forward,
gradient and update), its first call and its steady state; and `record_network` on the same batch,
its first call in the process for that net and its steady state. The learning-rate sweep and the
zeroing of branches are timed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
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


def measured(name: str, backbone: str, side: int, batch: int, options: Any, repeat: int) -> str:
    import keras

    from segdoctor.recorder.branches import zeroed_branches
    from segdoctor.recorder.network import record_network
    from segdoctor.recorder.sweep import sweep
    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(0)
    model = build_deeplab(backbone, (side, side, 3), 21, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, side, side, 3)).astype("float32")
    y = rng.integers(0, 21, (batch, side, side)).astype("int32")

    def record() -> Any:
        return record_network(model, loss, x, y, optimizer=optimizer)

    first_record = seconds(record)
    step = plain_step(model, loss, optimizer, x, y)
    first_step = seconds(step)
    steps = statistics.median(seconds(step) for _ in range(2 * repeat + 1))
    records = statistics.median(seconds(record) for _ in range(repeat))
    apart = seconds(lambda: sweep(model, loss, x, y, optimizer=optimizer))
    zeroing = seconds(lambda: zeroed_branches(model, x))
    return (
        f"{name:18} {side:4}/{batch}  first call: step {first_step:6.1f} s, recording "
        f"{first_record:6.1f} s = {first_record / first_step:4.2f}×   steady: step {steps:6.3f} s, "
        f"recording {records:6.2f} s = {records / steps:5.1f} steps   "
        f"apart: sweep {apart:5.1f} s, zeroing {zeroing:4.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    for name, backbone, side, batch, options in NETS:
        if arguments.only in name:
            line = measured(name, backbone, side, batch, options, arguments.repeat)
            print(line, flush=True)


if __name__ == "__main__":
    main()
