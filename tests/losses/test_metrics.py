"""Faulty metrics are named, sound ones are left alone, and their state is what it was."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from segdoctor.measures.labels import label_facts
from segdoctor.recorder.metric_answers import ask_metrics
from tests.losses.metrics import SICK, SOUND, MetricCase, miou
from tests.losses.ward import head_of, metrics_told


@pytest.mark.parametrize("case", SICK, ids=lambda case: case.name)
def test_the_fault_is_named_first(case: MetricCase) -> None:
    found = metrics_told(case.metrics, **case.settings)
    assert found, "nothing was found"
    assert found[0].code == case.code, [(f.code, f.message) for f in found]
    assert found[0].fix is not None


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_nothing_is_wrong(case: MetricCase) -> None:
    found = metrics_told(case.metrics, **case.settings)
    assert not [(f.code, f.message) for f in found]


def test_a_metric_keeps_its_state() -> None:
    metric = miou()
    metric.update_state(np.array([0, 1, 2]), keras.utils.to_categorical([0, 1, 1], 3))
    before = float(metric.result())
    metrics_told([metric], form="ids")
    assert float(metric.result()) == before


@pytest.mark.parametrize(("dtype", "raises"), [(np.float32, False), (np.int32, True)])
def test_labels_are_handed_over_in_the_type_in_which_they_are_fed(dtype: Any, raises: bool) -> None:
    def product(y: Any, p: Any) -> Any:  # not of whole numbers and floats
        return tf.reduce_mean(tf.raw_ops.Mul(x=y, y=p))

    labels = label_facts(np.eye(8)[None, ..., None].astype(dtype), 1)
    (found,) = ask_metrics([(product, False)], head_of(1, (1, 8, 8)), labels)
    assert bool(found.raises) == raises
