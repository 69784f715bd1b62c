"""A model made under a distribution strategy: examined as one replica runs it, and left as it was.

In a process of its own: the devices of a process are fixed once TensorFlow has begun.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("tensorflow")

SCRIPT = """
import json
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import PACKAGE as keras
import segdoctor

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
y = rng.integers(0, 4, (4, 4, 4)).repeat(4, 1).repeat(4, 2).astype("int32")
noise = rng.normal(size=(4, 16, 16, 3)) * 0.3
x = (y[..., None] * np.array([5.0, -2, 1]) + noise).astype("float32")

def model(synchronized, head=None):
    layers = keras.layers
    with strategy.scope():
        image = keras.Input((16, 16, 3))
        h = layers.Conv2D(16, 3, padding="same", use_bias=False)(image)
        h = layers.ReLU()(layers.BatchNormalization(synchronized=synchronized)(h))
        net = keras.Model(image, layers.Conv2D(4, 1, activation=head)(h))
        net.compile(keras.optimizers.Adam(5e-2),
                    keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net

def asked(net, trial):
    before = [np.asarray(v) for v in net.variables]
    report = segdoctor.check(net, (x, y), batch_size=4, trial=trial)
    same = all(np.array_equal(a, np.asarray(b)) for a, b in zip(before, net.variables))
    return {"codes": {f.code: f.message for f in report.findings}, "same": same,
            "verdict": [one.verdict for one in report.trials], "replicas": report.run["replicas"]}

apart, together = model(False), model(True)
told = {"apart": asked(apart, segdoctor.Trial(steps=40)), "together": asked(together, False),
        "sick": asked(model(False, "softmax"), False)}
apart.fit(x, y, batch_size=4, epochs=1, verbose=0)
kernel = getattr(apart.layers[1].kernel, "_value", apart.layers[1].kernel)
told["fit"] = [type(kernel).__name__,
               bool(np.array_equal(kernel.values[0].numpy(), kernel.values[1].numpy()))]
print(json.dumps(told))
"""


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def told(request: pytest.FixtureRequest) -> dict:
    pytest.importorskip(request.param)
    script = SCRIPT.replace("PACKAGE", request.param)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_it_is_tried_as_one_replica_runs_it(told: dict) -> None:
    assert told["apart"]["verdict"] == ["learns"], told["apart"]
    assert told["apart"]["replicas"] == "2, examined as the first of them runs it: 2 of 4 examples"


def test_batch_norm_is_judged_by_the_share_of_a_replica(told: dict) -> None:
    assert "2 examples (4 shared out among 2 replicas)" in told["apart"]["codes"]["BN002"]
    assert "BN002" not in told["together"]["codes"]


def test_a_fault_is_found_under_a_strategy(told: dict) -> None:
    assert "OUT001" in told["sick"]["codes"]


def test_the_model_is_as_it_was_and_trains_on_all_replicas(told: dict) -> None:
    assert all(told[which]["same"] for which in ("apart", "together", "sick"))
    assert told["fit"] == ["MirroredVariable", True]
