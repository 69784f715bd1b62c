"""Where no budget is given, a trial on a GPU has a shorter one; a given one is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdoctor.examination import opening, stages


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1)])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "data": (x, (x[..., 0] > 0).astype("int32")), "loss": loss}


@pytest.mark.parametrize(
    ("gpu", "given", "seconds"),
    [(False, "auto", 60.0), (True, "auto", 30.0), (True, 45.0, 45.0)],
)
def test_the_budget(
    monkeypatch: pytest.MonkeyPatch, run: dict[str, Any], gpu: bool, given: Any, seconds: float
) -> None:
    import segdoctor

    seen: list[float] = []
    tried = stages.Examination._try

    def tell(self: Any) -> None:
        seen.append(self.request.trial.budget_s)
        tried(self)

    monkeypatch.setattr(stages.Examination, "_try", tell)
    monkeypatch.setattr(opening, "on_gpu", lambda device: gpu)
    trial = given if given == "auto" else segdoctor.Trial(budget_s=given)
    segdoctor.check(**run, trial=trial)
    assert seen == [seconds]


def test_here_is_said_what_tensorflow_has() -> None:
    tensorflow = pytest.importorskip("tensorflow")
    present = bool(tensorflow.config.list_physical_devices("GPU"))
    assert opening.on_gpu("auto") is present
    assert opening.on_gpu("cpu") is False
