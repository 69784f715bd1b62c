"""Compile settings of every Keras."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.measures.compile_config import compile_facts


def serialised(name: str, /, **config: Any) -> dict[str, Any]:
    return {"module": "keras.x", "class_name": name, "config": config, "registered_name": None}


NAMED = {"module": "builtins", "class_name": "function", "config": "dice_loss"}


@pytest.mark.parametrize(
    ("loss", "name", "logits", "ignored"),
    [
        ("categorical_crossentropy", "categorical_crossentropy", False, None),
        (serialised("CategoricalCrossentropy"), "CategoricalCrossentropy", False, None),
        (
            serialised("SparseCategoricalCrossentropy", from_logits=True, ignore_class=255),
            *("SparseCategoricalCrossentropy", True, 255),
        ),
        (NAMED, "dice_loss", None, None),
        ("dice_loss", "dice_loss", None, None),
        (serialised("Focal") | {"registered_name": "Custom>Focal"}, "Custom>Focal", None, None),
        (["mse"], "mse", False, None),
        ({"out": "mse"}, "mse", False, None),
        (serialised("LossFunctionWrapper", fn="mse"), "mse", False, None),
    ],
)
def test_losses(loss: Any, name: str, logits: bool | None, ignored: int | None) -> None:
    found = compile_facts({"loss": loss})
    assert found is not None
    assert (found.loss, found.from_logits, found.ignore_class) == (name, logits, ignored)


def test_several_losses_are_not_one() -> None:
    found = compile_facts({"loss": {"a": "mse", "b": "mae"}})
    assert found is not None
    assert found.loss is None
    assert found.loss_config == {"per_output": ["mse", "mae"]}


def test_nothing_compiled() -> None:
    for nothing in (None, {}, [], "x", {"loss": None}):
        assert compile_facts(nothing) is None


def test_optimizer_of_keras_2_and_3() -> None:
    old = {"class_name": "Adam", "config": {"lr": 1e-3, "decay": 0.0, "epsilon": None}}
    found = compile_facts({"optimizer_config": old})
    assert found is not None
    assert (found.optimizer, found.learning_rate) == ("Adam", 1e-3)
    assert found.optimizer_config == {"learning_rate": 1e-3}
    new = compile_facts({"optimizer": serialised("SGD", learning_rate=0.1, momentum=0.9)})
    assert new is not None
    assert (new.optimizer, new.learning_rate) == ("SGD", 0.1)


def test_optimizers_that_tf_keras_registers() -> None:
    found = compile_facts({"optimizer_config": {"class_name": "Custom>Adam", "config": {}}})
    assert found is not None
    assert found.optimizer == "Adam"


def test_schedules() -> None:
    schedule = serialised("PolynomialDecay", initial_learning_rate=0.1, decay_steps=9)
    found = compile_facts({"optimizer": serialised("SGD", learning_rate=schedule)})
    assert found is not None
    assert found.learning_rate is None
    assert found.schedule["class_name"] == "PolynomialDecay"
    decaying = {"class_name": "SGD", "config": {"lr": 0.1, "decay": 1e-4}}
    found = compile_facts({"optimizer_config": decaying})
    assert found is not None
    assert found.schedule["class_name"] == "InverseTimeDecay"


def test_metrics() -> None:
    wrapper = serialised("MeanMetricWrapper", name="acc", fn="categorical_accuracy")
    metrics = [["accuracy", wrapper], serialised("MeanIoU", num_classes=3), "accuracy"]
    found = compile_facts({"loss": "mse", "metrics": metrics})
    assert found is not None
    assert found.metrics == ("accuracy", "categorical_accuracy", "MeanIoU")
