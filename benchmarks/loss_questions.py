"""How long it takes to question a loss: on small arrays, and at 512×512×21 in a batch of two.

Each loss in a fresh process after TensorFlow is up; seconds and peak memory.

    python benchmarks/loss_questions.py [side]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOSSES = {
    "sparse cross-entropy": "keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255)",
    "categorical cross-entropy": "keras.losses.CategoricalCrossentropy()",
    "Dice by class": "keras.losses.Dice(axis=(0, 1, 2))",
}
ASK = """
import resource, sys, time
import keras, numpy as np, tensorflow as tf
from segdoctor.measures.labels import label_facts
from segdoctor.recorder.forward import Outputs
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.loss_answers import ask_loss, layout_of
from segdoctor.recorder.loss_as_run import loss_of_outputs
from segdoctor.recorder.loss_at_shape import ask_at_shape
from segdoctor.core.measured import HeadFacts

side, classes = int(sys.argv[2]), 21
tf.reduce_sum(tf.ones((8, 8)))
ids = np.random.default_rng(0).integers(0, classes, (2, side, side)).astype(np.int32)
ids[:, :8] = 255
loss = eval(sys.argv[1])
start = time.perf_counter()
contract = ask_loss(loss, classes)
small = time.perf_counter() - start
head = HeadFacts((2, side, side, classes), classes, 3, contract.prediction, -3.0, 3.0, 1.0)
y = ids
if contract.labels == "onehot":
    y = (ids[..., None] == np.arange(classes)).astype(np.float32)
labels = label_facts(y, classes, 255)
start = time.perf_counter()
asked = LossAsInFit(loss, keras.Sequential())
scores = tf.random.stateless_normal((2, side, side, classes), (1, 2))
scores = scores if contract.prediction == "logits" else tf.nn.softmax(scores)
as_run = loss_of_outputs(asked, Outputs(scores, None, None), y, None, ids == 255)
found = ask_at_shape(asked, contract, head, labels, y, None, ids, 255)
large = time.perf_counter() - start
assert found.undecided is not None and not found.raises, found
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
print(f"{len(contract.answers)} {small:.2f} {len(found.answers)} {large:.2f} {peak:.2f}")
"""


def main() -> None:
    side = sys.argv[1] if len(sys.argv) > 1 else "512"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    print(
        f"questions to a loss; batch 2, {side}×{side}×21; limits: 2 s small, 10 s and 2 GB in all"
    )
    for name, loss in LOSSES.items():
        done = subprocess.run(
            [sys.executable, "-c", ASK, loss, side],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        few, small, more, large, peak = done.stdout.split()
        whole = float(small) + float(large)
        print(
            f"  {name:26} small arrays: {few} questions in {small} s; at the batch's shape: as it "
            f"runs and {more} questions in {large} s; in all {whole:.2f} s; peak {peak} GB"
        )


if __name__ == "__main__":
    main()
