"""Faulty metrics are named, sound ones are left alone, and their state is what it was."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.losses.metrics import SICK, SOUND, MetricCase, miou
from tests.losses.ward import metrics_told


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
