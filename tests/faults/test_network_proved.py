"""Fixes of the network and the training that a trial must confirm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import segdoctor
from tests.recorder import nets

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")

S, C = nets.SIZE, nets.CLASSES


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Images whose colours tell the class of each cell of 4×4 pixels."""
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, C, (4, S // 4, S // 4)), np.ones((1, 4, 4), int))
    colours = rng.normal(size=(C, 3)) * 2
    noise = 0.1 * rng.normal(size=(*ids.shape, 3))
    return (colours[ids] + noise).astype("float32"), ids.astype("int32")


def body(keras: Any, x: Any, **options: Any) -> Any:
    for place in range(2):
        x = keras.layers.Conv2D(16, 3, padding="same", name=f"conv{place}", **options)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    return keras.layers.Conv2D(C, 1, name="head", **options)(x)


def model(keras: Any, tail: Callable[[Any], Any] = lambda x: x, **options: Any) -> Any:
    image = keras.Input((S, S, 3))
    return keras.Model(image, tail(body(keras, image, **options)))


def heavy(keras: Any) -> Any:
    return model(keras, kernel_regularizer=keras.regularizers.L2(100.0))


def half_size(keras: Any) -> Any:
    return model(keras, keras.layers.AveragePooling2D(2))


def scrambled(keras: Any) -> Any:
    layers = keras.layers
    return model(
        keras,
        lambda x: layers.Reshape((S, S, C))(layers.Permute((2, 1))(layers.Reshape((C, S * S))(x))),
    )


@pytest.mark.parametrize(
    ("code", "build", "options"),
    [
        ("OPT004", heavy, {}),
        ("OPT009", model, {"freeze": 356}),
        ("MDL008", half_size, {}),
        ("MDL009", scrambled, {}),
    ],
)
def test_the_trial_confirms_the_fix(
    code: str, build: Callable[[Any], Any], options: dict[str, Any]
) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    report = segdoctor.check(
        build(keras),
        pictures(),
        loss=nets.crossentropy(keras),
        optimizer=keras.optimizers.Adam(1e-2),
        batch_size=8,
        num_classes=C,
        ignore_label=False,
        trial=segdoctor.Trial(budget_s=40, steps=40),
        **options,
    )
    finding = next(f for f in report.findings if f.code == code)
    assert finding.verdict is not None, [(f.code, f.verdict) for f in report.findings]
    assert finding.verdict.status == "confirmed", finding.verdict
